"""What can be wrong with ground metal: each defect gives a picture and the mask of what it changed."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from fanogan_pipeline.example.lines import bent_line
from fanogan_pipeline.example.metal import Size, field, ground_metal, hole
from fanogan_pipeline.example.painting import Painted, Painter


def blowhole(size: Size, rng: np.random.Generator) -> Painted:
    """One or two holes, larger and darker than pores."""
    metal = ground_metal(size, rng)
    holes = [hole(size, rng, rng.uniform(1.8, 5), rng.uniform(0.07, 0.22)) for _ in range(rng.integers(1, 3))]
    depth = np.sum(holes, axis=0)
    return metal - depth, depth > 0.025


def crack(size: Size, rng: np.random.Generator) -> Painted:
    """A thin, dark, crooked line."""
    cover = bent_line(size, rng, rng.uniform(0.15, 0.5), 14, 0.35, rng.uniform(0.9, 2.2))
    return ground_metal(size, rng) - rng.uniform(0.07, 0.18) * cover, cover > 0.3


def chip(size: Size, rng: np.random.Generator) -> Painted:
    """A piece broken off the edge: a rough patch at the rim."""
    cover = _patch(size, rng, rng.uniform(12, 40), at_rim=True)
    change = rng.uniform(-0.12, 0.08) + rng.uniform(0.02, 0.06) * field(size, 2.5, rng)
    return ground_metal(size, rng) + cover * change, cover > 0.5


def fray(size: Size, rng: np.random.Generator) -> Painted:
    """A patch that is torn along the streaks, brighter than its surroundings."""
    cover = _patch(size, rng, rng.uniform(10, 30), at_rim=bool(rng.random() < 0.6))
    torn = gaussian_filter(rng.standard_normal(size), (3, 0.8)) * rng.uniform(0.06, 0.25)
    return ground_metal(size, rng) + cover * (rng.uniform(0.02, 0.1) + torn), cover > 0.5


def uneven(size: Size, rng: np.random.Generator) -> Painted:
    """Ground too much here and too little there: large patches, brighter, which the mask holds, and darker."""
    patches = np.tanh(rng.uniform(1, 3) * field(size, rng.uniform(0.08, 0.2) * min(size), rng))
    return ground_metal(size, rng) * (1 + rng.uniform(0.08, 0.2) * patches), patches > 0


def _patch(size: Size, rng: np.random.Generator, radius: float, at_rim: bool) -> np.ndarray:
    """How much of each pixel an uneven patch covers, [H, W] in [0, 1]; radius in pixels."""
    centre = rng.uniform(0, 1, 2) * size
    if at_rim:
        axis = int(rng.integers(2))
        centre[axis] = rng.choice([0, size[axis]])
    rows, columns = np.mgrid[: size[0], : size[1]]
    down, across = (rows - centre[0]) / radius, (columns - centre[1]) / (radius * rng.uniform(0.6, 1.6))
    return expit(8 * (1 - np.hypot(down, across) - 0.35 * field(size, radius / 4, rng)))


METAL_DEFECTS: dict[str, Painter] = {paint.__name__: paint for paint in (blowhole, crack, chip, fray, uneven)}
