"""Pictures of any size become images of one."""

import numpy as np
import pytest
from PIL import Image

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.tiling import Tiling, stitch


def test_a_picture_of_the_right_size_is_not_touched():
    picture = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    assert np.array_equal(Geometry((28, 28), 1).apply(picture)[0], picture)


@pytest.mark.parametrize("fit", ["resize", "pad"])
@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (7, 9), (300, 20)])
def test_every_shape_fits(fit, shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for channels in (1, 3):
        assert Geometry((32, 48), channels, fit).apply(picture).shape == (channels, 32, 48)
    assert Geometry((32, 48), 1, fit).apply_to_mask(picture > 128).shape == (32, 48)


def test_padding_keeps_the_aspect_ratio_and_repeats_the_edge():
    picture = np.full((10, 40), 90, np.uint8)
    picture[:, 20:] = 200
    padded = Geometry((40, 40), 1, "pad").apply(picture)[0]
    assert (padded[:, :18] == 90).all()
    assert (padded[:, 22:] == 200).all()
    marked = np.zeros((10, 40), bool)
    marked[:2, :5] = True  # a defect at the rim goes on in what is added to its picture
    mask = Geometry((40, 40), 1, "pad").apply_to_mask(marked)
    assert mask[:17, :5].all()
    assert mask.sum() == 17 * 5


PLACES = [
    Geometry((40, 40), 1, "pad"),
    Geometry((40, 40), 1, "resize"),
    Geometry((32, 32), 1, tiling=Tiling((8, 8), picture_size=50)),
    Geometry((32, 32), 1, tiling=Tiling((8, 8))),
]


@pytest.mark.parametrize("size", [(20, 90), (90, 20), (40, 40), (101, 37), (7, 9)])
@pytest.mark.parametrize("geometry", PLACES)
def test_the_picture_lies_where_it_is_said_to_in_what_is_prepared_of_it(geometry, size):
    rows, columns = np.indices(size)
    picture = (128 + 100 * rows / size[0] - 100 * columns / size[1]).astype(np.uint8)
    if geometry.tiling is None:
        prepared = geometry.apply(picture)[0]
    else:
        tiles, corners, whole = geometry.cut(picture)
        prepared = np.rint(stitch(tiles[:, 0].astype(float), corners, whole)).astype(np.uint8)
    inside = geometry.inside(size)
    shape = prepared[inside].shape
    scaled = np.asarray(Image.fromarray(picture).resize(shape[::-1], Image.Resampling.BILINEAR))
    assert (prepared[inside] == scaled).all()
    edges = np.pad(scaled, [(s.start, n - s.stop) for s, n in zip(inside, prepared.shape, strict=True)], mode="edge")
    assert (prepared == edges).all()


def test_grey_is_the_luma_of_colour():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert Geometry((4, 4), 1).apply(red)[0, 0, 0] == 76  # 0.299 * 255


def test_a_geometry_survives_its_json_and_refuses_another():
    geometry = Geometry((32, 48), 3, "pad")
    assert Geometry.from_json(geometry.to_json()) == geometry
    with pytest.raises(InputError, match="expected image_size"):
        Geometry.from_json({"image_size": [1]})
