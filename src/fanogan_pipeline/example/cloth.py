"""A woven cloth as a grey picture: warp and weft threads in a plain weave, under uneven light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

PERIOD = 6.0  # pixels from one thread to the next
GROUND = 0.12  # brightness between the threads


@dataclass(frozen=True)
class Gap:
    """A stretch of one thread that is not there.

    Attributes:
        is_warp: a warp thread (runs down the picture) or a weft thread (runs across).
        thread: its number, counted from the picture's left or upper edge.
        start, stop: the stretch, pixels along the thread.
    """

    is_warp: bool
    thread: int
    start: int
    stop: int


def weave(size: tuple[int, int], rng: np.random.Generator, gap: Gap | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A picture of cloth.

    Args:
        size: (H, W), pixels.
        rng: where the threads' places, tones, the light and the grain come from.
        gap: a thread that is missing for a stretch.

    Returns:
        Brightness float64 [H, W] in [0, 1], and the gap's mask bool [H, W].
    """
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    warp = (columns + rng.uniform(0, PERIOD) + 0.6 * _wobble(size, rng)) / PERIOD
    weft = (rows + rng.uniform(0, PERIOD) + 0.6 * _wobble(size, rng)) / PERIOD
    tones = rng.normal(1.0, 0.04, (2, int(max(size) / PERIOD) + 4))
    warp_thread, weft_thread = np.floor(warp).astype(int) + 1, np.floor(weft).astype(int) + 1
    across_warp, across_weft = _round(warp), _round(weft)
    warp_light = tones[0][warp_thread] * across_warp * (0.7 + 0.3 * across_weft)
    weft_light = tones[1][weft_thread] * across_weft * (0.7 + 0.3 * across_warp) * 0.9
    is_warp_on_top = (warp_thread + weft_thread) % 2 == 0
    cloth = np.where(is_warp_on_top, warp_light, weft_light)
    mask = np.zeros(size, bool)
    if gap is not None:
        thread, along = (warp_thread, rows) if gap.is_warp else (weft_thread, columns)
        mask = (thread == gap.thread + 1) & (along >= gap.start) & (along < gap.stop)
        cloth = np.where(mask & (is_warp_on_top == gap.is_warp), 0.1, cloth)
    light = 1 + 0.12 * _wobble(size, rng, 0.4)
    grain = rng.normal(0, 0.02, size)
    return np.clip((GROUND + 0.62 * gaussian_filter(cloth, 0.5)) * light + grain, 0, 1), mask


def _round(phase: np.ndarray) -> np.ndarray:
    """How light falls across a thread: bright in its middle, dark towards its neighbours."""
    return np.sin(np.pi * (phase % 1)) ** 0.8


def _wobble(size: tuple[int, int], rng: np.random.Generator, scale: float = 0.15) -> np.ndarray:
    """A smooth random field [H, W] from -1 to 1; `scale` is the Gaussian's standard deviation as a share of the
    shorter side."""
    field = gaussian_filter(rng.normal(size=size), scale * min(size), mode="reflect")
    return (field - field.mean()) / max(float(np.abs(field - field.mean()).max()), 1e-9)
