"""Uneven light taken away: a picture as its contrast against the brightness around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fanogan_pipeline.lazy import lazily

with lazily():
    from scipy import ndimage

DARK = 5.0  # grey levels added to the brightness around: where there is next to no light, noise is not blown up
FITTED_ON = 200  # pictures that a gain is fitted on
DEVIATION = 42.5  # grey levels that a standard deviation of training pictures becomes: three reach the ends
MIDDLE = 127.5  # grey level that even light becomes
BLANK = 30  # grey levels from there; a levelled picture that stays within shows nothing, not even a small defect
FLAT = 0.4  # contrast; what reaches it shows something, though things on black, which have far more, set a small gain
LEAST_DEVIATION = 0.01  # of contrast; pictures flatter than this are not stretched further


@dataclass(frozen=True)
class Levelling:
    """Grey levels 127.5 + gain * contrast.

    Light is a factor of what a camera sees, so that contrast is a ratio. One gain for all pictures keeps a rough
    surface rougher than a smooth one, and a defect as strong as it is against its surroundings.

    Attributes:
        sigma: standard deviation of the Gaussian that brightness is taken under, pixels after scaling.
        gain: grey levels a unit of contrast, fitted on training pictures (`fit_levelling`).
    """

    sigma: float
    gain: float

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """uint8 [h, w] or [h, w, C], each channel for itself -> the same, clipped to 0..255."""
        return np.clip(np.rint(MIDDLE + self.gain * contrast(picture, self.sigma)), 0, 255).astype(np.uint8)

    def is_blank(self, images: np.ndarray) -> bool:
        """Whether nothing is left of a picture, all its levelled images uint8 [T, C, H, W]."""
        return float(np.abs(images - MIDDLE).max()) < min(BLANK, max(FLAT * self.gain, 1.0))  # 1: even light is rounded


def contrast(picture: np.ndarray, sigma: float) -> np.ndarray:
    """(p - m) / (m + `DARK`) with m the mean under a Gaussian of `sigma` pixels, float32, the picture's shape."""
    values = picture.astype(np.float32)
    mean = ndimage.gaussian_filter(values, (sigma, sigma, *(0,) * (picture.ndim - 2)), mode="reflect")
    return (values - mean) / (mean + DARK)


def to_fit_on(rows: np.ndarray, seed: int) -> np.ndarray:
    """At most `FITTED_ON` of the rows at random, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:FITTED_ON])


def fit_levelling(pictures: Iterable[np.ndarray], sigma: float) -> Levelling:
    """The levelling that gives these pictures (uint8 [h, w] or [h, w, C]) a deviation of `DEVIATION` on average."""
    deviation = float(np.mean([contrast(picture, sigma).std() for picture in pictures]))
    return Levelling(sigma, DEVIATION / max(deviation, LEAST_DEVIATION))
