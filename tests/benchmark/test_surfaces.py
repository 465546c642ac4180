"""Pictures of surfaces for the residual map's figures: what is trained on is not tested with, and masks are true."""

import numpy as np
import pytest
from benchmarks import surfaces
from PIL import Image

from fanogan_pipeline.datasets import ImageFolderDataset


@pytest.fixture(scope="module")
def textures():
    rng = np.random.default_rng(0)
    return [rng.uniform(60, 180, (512, 512)) for _ in range(2)]


def test_a_surface_is_a_folder_of_pictures_with_masks(textures, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("surface")
    for name, count in (("TRAIN", 3), ("TEST", 2), ("DEFECTIVE", 2)):
        monkeypatch.setattr(surfaces, name, count)
    surfaces.write_surface(folder, textures[0], textures[1:], 0)
    source = ImageFolderDataset(filepath=str(folder)).load()
    counts = source.table.groupby(["part", "label"]).size().to_dict()
    defects = {("test", defect.__name__): 2 for defect in surfaces.DEFECTS}
    assert counts == {("train", "good"): 3, ("test", "good"): 2, **defects}
    assert source.table["has_mask"].sum() == 2 * len(surfaces.DEFECTS)
    assert {source.read(row).shape for row in range(len(source))} == {(128, 128)}


@pytest.mark.parametrize("defect", surfaces.DEFECTS)
def test_a_defect_changes_what_its_mask_holds_and_next_to_nothing_far_from_it(defect, textures):
    rng = np.random.default_rng(1)
    for _ in range(5):
        picture, other = (surfaces._cut(texture, rng, ["test"]) for texture in textures)
        changed, mask = defect(picture, rng, other)
        gaps = np.abs(changed - picture)
        assert mask.any()
        assert gaps[mask].mean() > 10 * gaps[~mask].mean()


def test_pictures_to_train_on_and_to_test_with_share_no_pixel():
    for rows, bands in surfaces.BANDS.items():
        trained, tested = (
            {row % rows for first, last in bands[part] for row in range(first, last)} for part in ("train", "test")
        )
        assert not trained & tested
        assert all(last - first >= surfaces.SIDE for part in bands.values() for first, last in part)


def test_a_photograph_of_another_size_is_refused(tmp_path):
    Image.new("L", (300, 300)).save(tmp_path / "small.png")
    with pytest.raises(SystemExit, match="found 300x300 pixels, expected 1024 or 512 rows"):
        surfaces.read_texture(tmp_path / "small.png")
