"""Pictures cut into tiles and put together again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.levelling import Levelling
from fanogan_pipeline.preprocessing.tiling import Tiling, cut, padded, stitch

TILE = (16, 20)


@given(height=st.integers(16, 90), width=st.integers(20, 90), down=st.integers(1, 16), across=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_tiles_cover_every_pixel_at_no_more_than_the_stride(height, width, down, across):
    corners = Tiling((down, across)).corners((height, width), TILE)
    covered = np.zeros((height, width), int)
    for top, left in corners:
        assert 0 <= top <= height - TILE[0]
        assert 0 <= left <= width - TILE[1]
        covered[top : top + TILE[0], left : left + TILE[1]] += 1
    assert covered.min() >= 1
    tops, lefts = np.unique(corners[:, 0]), np.unique(corners[:, 1])
    assert max(np.diff(tops), default=0) <= down
    assert max(np.diff(lefts), default=0) <= across
    assert len(corners) == len(tops) * len(lefts)


def test_stitching_what_was_cut_gives_the_picture_back():
    picture = np.random.default_rng(0).uniform(0, 255, (50, 71))
    corners = Tiling((7, 9)).corners(picture.shape, TILE)
    assert stitch(cut(picture, corners, TILE), corners, picture.shape) == pytest.approx(picture, rel=1e-5)


def test_seams_are_smooth():
    """Tiles that disagree by 1 meet in a ramp, not in a step."""
    corners = np.array([[0, 0], [0, 10]])
    values = np.stack([np.zeros(TILE), np.ones(TILE)])
    joined = stitch(values, corners, (16, 30))
    assert joined[:, :10] == pytest.approx(0)
    assert joined[:, 20:] == pytest.approx(1)
    assert np.abs(np.diff(joined, axis=1)).max() < 0.2
    assert (np.diff(joined, axis=1) >= 0).all()


def test_the_longer_side_is_scaled_and_small_pictures_are_padded_with_their_edge():
    picture = np.full((40, 100), 7, np.uint8)
    picture[:, 50:] = 9
    scaled = Geometry((32, 32), 1, tiling=Tiling((8, 8), picture_size=50)).scaled(picture)
    assert scaled.shape == (20, 50)
    found = padded(scaled, (32, 32))
    assert found.shape == (32, 50)
    assert set(np.unique(found)) <= {7, 8, 9}


def test_a_mask_is_cut_where_its_picture_is():
    rng = np.random.default_rng(1)
    mask = rng.random((45, 63)) < 0.3
    geometry = Geometry((16, 16), 1, tiling=Tiling((8, 8)))
    tiles, corners, size = geometry.cut(np.where(mask, np.uint8(200), np.uint8(10)))
    assert size == mask.shape
    assert ((tiles[:, 0] == 200) == geometry.cut_mask(mask)).all()
    assert len(corners) == len(tiles)


@pytest.mark.parametrize("channels", [1, 3])
def test_geometry_survives_json_and_cuts_the_same(channels):
    geometry = Geometry((16, 24), channels, "resize", Levelling(5.0, 300.0), Tiling((8, 12), 64))
    again = Geometry.from_json(geometry.to_json())
    picture = np.random.default_rng(2).integers(0, 256, (70, 50, 3), np.uint8)
    assert again == geometry
    ours, theirs = geometry.cut(picture), again.cut(picture)
    assert ours[0].shape[1:] == (channels, 16, 24)
    assert (ours[0] == theirs[0]).all()


def test_a_header_without_a_sensible_tiling_is_refused():
    with pytest.raises(InputError, match="local_contrast and tiling"):
        Geometry.from_json({"image_size": [16, 16], "channels": 1, "fit": "pad", "tiling": {"stride": 3}})
