"""Uneven light taken away."""

import numpy as np
import pytest
from tests.parts import digits

from fanogan_pipeline.preprocessing.levelling import DEVIATION, FITTED_ON, Levelling, contrast, fit_levelling, to_fit_on

SIDE = 120
LIGHT = np.linspace(0.5, 1.5, SIDE)[:, None] * np.ones((SIDE, SIDE))
SPOT = np.s_[61:64, 61:64]


def surface(seed, grain=8.0, level=100.0):
    """Grain under light that doubles and more from the upper to the lower edge, and a dark spot of 5 pixels."""
    picture = level + np.random.default_rng(seed).normal(0, grain, (SIDE, SIDE))
    picture[60:65, 60:65] -= 0.6 * level
    return np.rint(picture * LIGHT).clip(0, 255).astype(np.uint8)


def test_uneven_light_goes_and_a_defect_stays():
    picture = surface(3)
    levelled = fit_levelling([picture], 16.0).apply(picture).astype(float)
    bands = levelled.reshape(6, 20, SIDE)[1:5]  # at the rim there is less to tell light from grain by
    assert np.ptp(bands.mean((1, 2))) < 12
    assert np.ptp(bands[[0, 1, 3]].std((1, 2))) < 8  # the third holds the spot
    assert levelled[SPOT].max() < 5


def test_a_darker_picture_of_the_same_surface_looks_the_same():
    """Light is a factor: half of it leaves the contrast as it was, but for what is rounded and next to black."""
    bright, dark = contrast(surface(4), 16.0), contrast(surface(4, 4.0, 50.0), 16.0)
    assert np.abs(bright - dark).mean() < 0.02
    assert np.abs(bright).mean() > 0.06


def test_one_gain_for_all_keeps_rough_surfaces_rougher_and_gives_the_deviation_on_average():
    pictures = [surface(seed, grain) for seed, grain in enumerate((4.0, 8.0, 12.0))]
    levelling = fit_levelling(iter(pictures), 16.0)
    spread = [levelling.apply(picture).astype(float).std() for picture in pictures]
    assert spread[0] < spread[1] < spread[2]
    assert np.mean(spread) == pytest.approx(DEVIATION, rel=0.25)  # the spot is clipped


@pytest.mark.parametrize("shape", [(30, 31), (30, 31, 3)])
def test_a_flat_picture_becomes_grey_and_channels_are_levelled_one_by_one(shape):
    flat = np.full(shape, 90, np.uint8)
    assert (fit_levelling([flat], 4.0).apply(flat) == 128).all()
    mixed = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    levelled = Levelling(4.0, 60.0).apply(mixed)
    assert levelled.shape == shape
    if len(shape) == 3:
        alone = Levelling(4.0, 60.0).apply(np.ascontiguousarray(mixed[..., 1]))
        assert (levelled[..., 1] == alone).all()


def test_the_gain_is_fitted_on_pictures_from_all_of_them():
    rows = np.arange(1000, 2000)
    some = to_fit_on(rows, 0)
    assert len(np.unique(some)) == FITTED_ON
    assert np.isin(some, rows).all()
    assert some.mean() == pytest.approx(1500, abs=80)  # four of its deviations
    assert not np.array_equal(some, to_fit_on(rows, 1))
    assert to_fit_on(rows[:9], 0).tolist() == rows[:9].tolist()


@pytest.mark.parametrize("sigma", [8.0, 32.0])
def test_beside_things_on_black_an_ordinary_picture_is_not_blank(sigma):
    images, labels = digits("train")
    training = images[labels == 1][:50, 0]
    levelling = fit_levelling(training, sigma)
    rng = np.random.default_rng(0)
    scratched, edge = np.full((28, 28), 128, np.uint8), np.full((28, 28), 60, np.uint8)
    scratched[10], edge[:, 14:] = 255, 200
    shown = [scratched, edge, rng.integers(0, 256, (28, 28), np.uint8), *training]
    assert not any(levelling.is_blank(levelling.apply(picture)) for picture in shown)
    covered, blown = rng.integers(0, 4, (28, 28), np.uint8), rng.integers(245, 256, (28, 28), np.uint8)
    even = np.full((28, 28), 128, np.uint8)
    assert all(levelling.is_blank(levelling.apply(picture)) for picture in (covered, blown, even))
