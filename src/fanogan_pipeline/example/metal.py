"""Ground metal as a grey picture: streaks, grain and pores under light that differs from picture to picture."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.special import expit

Size = tuple[int, int]


def ground_metal(size: Size, rng: np.random.Generator) -> np.ndarray:
    """A good picture, brightness float64 [H, W] as `Painted`; how bright, how rough and how worn, each draws anew."""
    level = rng.uniform(0.18, 0.6)
    texture = _streaks(size, rng) + _grain(size, rng) + rng.uniform(0.002, 0.01) * field(size, 5, rng)
    picture = _light(size, level, rng) + texture * level / 0.4
    for _ in range(rng.poisson(5)):
        picture -= hole(size, rng, rng.uniform(0.7, 1.6), rng.uniform(0.02, 0.07))
    if rng.random() < 0.3:  # a faint stain
        picture += field(size, 14, rng).clip(1, 2) * rng.uniform(0.004, 0.02)
    return picture


def field(size: Size, wave: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random field [H, W] with mean 0 and deviation 1; `wave` is the Gaussian's standard deviation, pixels."""
    values = gaussian_filter(rng.standard_normal(size), wave, mode="reflect")
    return (values - values.mean()) / values.std()


def hole(size: Size, rng: np.random.Generator, radius: float, depth: float) -> np.ndarray:
    """How dark a soft-edged ellipse somewhere in the picture is, [H, W] up to `depth`; radius in pixels."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    down, across = (place - rng.uniform(0.05, 0.95) * side for place, side in zip((rows, columns), size, strict=True))
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.6, 1)
    along, aside = across * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - across * np.sin(turn)
    return depth * expit(3 * (radius - np.hypot(along, aside / flat)))


def _light(size: Size, level: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness that falls off to one side and towards the rim."""
    down, across = np.meshgrid(*(np.linspace(-0.5, 0.5, side) for side in size), indexing="ij")
    slope = rng.normal(0, 0.05, 2)
    fall = rng.uniform(0, 0.24) * (down**2 + across**2)
    return level + slope[0] * down + slope[1] * across - fall + rng.uniform(0, 0.024) * field(size, min(size) / 5, rng)


def _streaks(size: Size, rng: np.random.Generator) -> np.ndarray:
    """What grinding leaves, down the picture: long streaks and short ones."""
    columns = gaussian_filter1d(rng.standard_normal(size[1]), rng.uniform(0.5, 1.5))
    long = columns / columns.std() * (1 + 0.4 * field(size, 25, rng))
    short = gaussian_filter(rng.standard_normal(size), (12, 0.7))
    return rng.uniform(0.002, 0.016) * long + rng.uniform(0.1, 0.5) * short / 6


def _grain(size: Size, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.016, 0.044) * gaussian_filter(rng.standard_normal(size), 0.7)
