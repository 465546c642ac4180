"""Bent lines, for scratches and cracks."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

FINE = 4  # lines are drawn so many times larger, then shrunk, to have smooth edges


def bent_line(
    size: tuple[int, int], rng: np.random.Generator, length: float, bends: int, bend: float, width: float
) -> np.ndarray:
    """How much of each pixel a line covers, float64 [H, W] in [0, 1].

    Args:
        size: (H, W), pixels.
        rng: of place, direction and bends.
        length: as a share of the shorter side.
        bends: how many.
        bend: their standard deviation, radians.
        width: pixels.
    """
    turns = np.cumsum(np.r_[rng.uniform(0, 2 * np.pi), rng.normal(0, bend, bends)])
    path = np.cumsum(np.c_[np.cos(turns), np.sin(turns)], axis=0) * length * min(size) / len(turns)
    path += rng.uniform(0.35, 0.65, 2) * np.array(size[::-1]) - path.mean(axis=0)
    canvas = Image.new("L", (size[1] * FINE, size[0] * FINE))
    points = [tuple(point) for point in (path * FINE).tolist()]
    ImageDraw.Draw(canvas).line(points, fill=255, width=max(1, round(FINE * width)), joint="curve")
    return np.asarray(canvas.resize(size[::-1], Image.Resampling.BOX), float) / 255
