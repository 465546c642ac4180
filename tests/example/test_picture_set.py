"""The example's pictures."""

import numpy as np
import pytest
from PIL import Image

from fanogan_pipeline.example.picture_set import SURFACES, write_example
from fanogan_pipeline.preprocessing.levelling import contrast

DEFECTS = [(surface, defect) for surface, kind in SURFACES.items() for defect in kind.defects]


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.parametrize("surface", SURFACES)
def test_the_layout_is_that_of_the_field_and_each_defect_has_its_mask(tmp_path, surface):
    write_example(tmp_path, surface, 3, 2, 2, (64, 80), 0)
    names = files(tmp_path)
    assert sum(name.startswith("train/good/") for name in names) == 3
    assert sum(name.startswith("test/good/") for name in names) == 2
    for defect in SURFACES[surface].defects:
        for number in range(2):
            picture = np.asarray(Image.open(tmp_path / f"test/{defect}/{number:03d}.png"))
            mask = np.asarray(Image.open(tmp_path / f"ground_truth/{defect}/{number:03d}_mask.png"))
            assert picture.shape == mask.shape
            assert set(np.unique(mask)) == {0, 255}
            assert 0 < (mask > 0).mean() < (0.9 if defect == "uneven" else 0.4)


@pytest.mark.parametrize("surface", SURFACES)
def test_the_same_seed_makes_the_same_bytes_and_another_makes_others(tmp_path, surface):
    for name, seed, train in (("a", 5, 2), ("b", 5, 3), ("c", 6, 2)):
        (tmp_path / name).mkdir()
        write_example(tmp_path / name, surface, train, 1, 1, (64, 80), seed)
    first, more, other = (files(tmp_path / name) for name in "abc")
    assert first.items() <= more.items()
    assert not set(first.values()) & set(other.values())


@pytest.mark.parametrize(("surface", "defect"), DEFECTS)
def test_a_defect_changes_the_surface_inside_its_mask(surface, defect):
    """Contrast inside the mask differs from outside, more than in a good picture under the same mask."""

    def gap(picture, mask):
        levelled = contrast(255 * picture, 16.0)
        inside, outside = levelled[mask], levelled[~mask]
        return abs(inside.mean() - outside.mean()) + abs(inside.std() - outside.std())

    bad, good = [], []
    for seed in range(12):
        picture, mask = SURFACES[surface].defects[defect]((160, 180), np.random.default_rng(seed))
        bad.append(gap(picture, mask))
        good.append(gap(SURFACES[surface].good((160, 180), np.random.default_rng(seed)), mask))
    assert np.median(bad) > 1.3 * np.median(good)
