"""Pictures of any size become images of one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import label

from fanogan_pipeline.detection.pixel_metrics import EIGHT
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


def crack(size, seed):
    """One pixel wide, any way, never interrupted."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-1, 2, (int(rng.integers(1, 60)), 2)).cumsum(axis=0)
    mask = np.zeros(size, bool)
    mask[tuple(np.clip(rng.integers(size) + steps, 0, np.array(size) - 1).T)] = True
    return mask


@pytest.mark.parametrize("geometry", PLACES)
@given(height=st.integers(1, 120), width=st.integers(1, 120), seed=st.integers(0, 1 << 30))
@settings(max_examples=20, deadline=None)
def test_a_defect_neither_vanishes_nor_falls_to_pieces_as_its_picture_is_scaled(geometry, height, width, seed):
    mask = crack((height, width), seed)
    if geometry.tiling is None:
        prepared = geometry.apply_to_mask(mask)
    else:
        _, corners, whole = geometry.cut(np.zeros(mask.shape, np.uint8))
        prepared = stitch(geometry.cut_mask(mask).astype(float), corners, whole) >= 0.5
    assert label(prepared, EIGHT)[1] == 1


def test_a_pixel_of_a_mask_is_anomalous_where_any_that_falls_on_it_is():
    mask = np.random.default_rng(0).random((24, 32)) < 0.1
    shrunk = Geometry((12, 8), 1).apply_to_mask(mask)
    assert (shrunk == mask.reshape(12, 2, 8, 4).any(axis=(1, 3))).all()
    assert (Geometry((48, 96), 1).apply_to_mask(mask) == mask.repeat(2, axis=0).repeat(3, axis=1)).all()
    assert (Geometry((12, 64), 1).apply_to_mask(mask) == mask.reshape(12, 2, 32).any(axis=1).repeat(2, axis=1)).all()


def test_a_pixel_of_a_mask_falls_where_its_centre_does():
    """Centres of five pixels on three: 0.3, 0.9, 1.5, 2.1, 2.7."""
    falls_on = np.array([0, 0, 1, 2, 2])
    for shrunk, mask in zip(falls_on, np.eye(5, dtype=bool), strict=True):
        assert np.flatnonzero(Geometry((3, 2), 1).apply_to_mask(mask[:, None])[:, 0]).tolist() == [shrunk]
    for at, mask in enumerate(np.eye(3, dtype=bool)):
        assert (Geometry((5, 2), 1).apply_to_mask(mask[:, None])[:, 0] == (falls_on == at)).all()


def test_grey_is_the_luma_of_colour():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert Geometry((4, 4), 1).apply(red)[0, 0, 0] == 76  # 0.299 * 255


def test_a_geometry_survives_its_json_and_refuses_another():
    geometry = Geometry((32, 48), 3, "pad")
    assert Geometry.from_json(geometry.to_json()) == geometry
    with pytest.raises(InputError, match="expected image_size"):
        Geometry.from_json({"image_size": [1]})
    for name in geometry.to_json().keys() - {"decoding"}:  # which models of before it was noted lack
        with pytest.raises(InputError, match="model header: found geometry"):
            Geometry.from_json({key: value for key, value in geometry.to_json().items() if key != name})
