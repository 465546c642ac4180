"""The example's pictures."""

import numpy as np
import pytest
from PIL import Image

from fanogan_pipeline.example.defects import DEFECTS
from fanogan_pipeline.example.picture_set import write_example


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def test_the_layout_is_that_of_the_field_and_each_defect_has_its_mask(tmp_path):
    write_example(tmp_path, 3, 2, 2, (64, 80), 0)
    names = files(tmp_path)
    assert sum(name.startswith("train/good/") for name in names) == 3
    assert sum(name.startswith("test/good/") for name in names) == 2
    for defect in DEFECTS:
        for number in range(2):
            picture = np.asarray(Image.open(tmp_path / f"test/{defect}/{number:03d}.png"))
            mask = np.asarray(Image.open(tmp_path / f"ground_truth/{defect}/{number:03d}_mask.png"))
            assert picture.shape == mask.shape
            assert set(np.unique(mask)) == {0, 255}
            assert 0 < (mask > 0).mean() < 0.2


def test_the_same_seed_makes_the_same_bytes_and_another_makes_others(tmp_path):
    for name, seed, train in (("a", 5, 2), ("b", 5, 3), ("c", 6, 2)):
        (tmp_path / name).mkdir()
        write_example(tmp_path / name, train, 1, 1, (64, 80), seed)
    first, more, other = (files(tmp_path / name) for name in "abc")
    assert first.items() <= more.items()
    assert not set(first.values()) & set(other.values())


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_a_defect_changes_the_cloth_inside_its_mask(defect):
    """The mask tells bright or dark pixels apart from the rest of the picture better than chance would."""
    gaps = []
    for seed in range(12):
        picture, mask = DEFECTS[defect]((80, 90), np.random.default_rng(seed))
        gaps.append(abs(picture[mask].mean() - picture[~mask].mean()))
    assert np.median(gaps) > 0.05
