"""Pictures of any size become images of one."""

import numpy as np
import pytest

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.preprocessing.geometry import Geometry


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
    mask = Geometry((40, 40), 1, "pad").apply_to_mask(np.ones((10, 40), bool))
    assert mask.sum() == 10 * 40  # what was added is not anomalous


def test_grey_is_the_luma_of_colour():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert Geometry((4, 4), 1).apply(red)[0, 0, 0] == 76  # 0.299 * 255


def test_a_geometry_survives_its_json_and_refuses_another():
    geometry = Geometry((32, 48), 3, "pad")
    assert Geometry.from_json(geometry.to_json()) == geometry
    with pytest.raises(InputError, match="expected image_size"):
        Geometry.from_json({"image_size": [1]})
