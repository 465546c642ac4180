"""Large pictures as overlapping tiles, and tiles' values as one map of the picture again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEAM_FLOOR = 1e-3  # added to a tile's weights: those at the picture's rim, which one tile covers, are tiny


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut.

    Attributes:
        stride: (down, across), largest distance from one tile to the next, pixels.
        picture_size: the longer side is scaled to so many pixels first; None leaves pictures as they are.
    """

    stride: tuple[int, int]
    picture_size: int | None = None

    def scaled_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) that a picture of `size` is scaled to."""
        if self.picture_size is None:
            return size
        scale = self.picture_size / max(size)
        height, width = (max(1, round(side * scale)) for side in size)
        return height, width

    def corners(self, size: tuple[int, int], tile: tuple[int, int]) -> np.ndarray:
        """(top, left) of every tile of a prepared picture, int [T, 2]: evenly spread, the whole picture covered."""
        tops, lefts = (_starts(side, length, step) for side, length, step in zip(size, tile, self.stride, strict=True))
        return np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)


def inner(size: tuple[int, int], least: tuple[int, int]) -> tuple[slice, slice]:
    """Where a picture of `size` (h, w) lies, in the middle, once it is padded to at least `least` (H, W)."""
    starts = [max(0, limit - side) // 2 for side, limit in zip(size, least, strict=True)]
    rows, columns = (slice(start, start + side) for start, side in zip(starts, size, strict=True))
    return rows, columns


def padded(picture: np.ndarray, least: tuple[int, int]) -> np.ndarray:
    """A picture [h, w, ...] in the middle of its own edge, repeated until it measures at least `least` (H, W)."""
    size = (picture.shape[0], picture.shape[1])
    places = zip(inner(size, least), size, least, strict=True)
    border = [(place.start, max(side, limit) - place.stop) for place, side, limit in places]
    if not any(before or after for before, after in border):
        return picture
    return np.pad(picture, border + [(0, 0)] * (picture.ndim - 2), mode="edge")


def _starts(side: int, length: int, step: int) -> np.ndarray:
    count = -(-(side - length) // step) + 1
    return np.rint(np.linspace(0, side - length, count)).astype(int)


def cut(picture: np.ndarray, corners: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """The tiles [T, H, W, ...] of a prepared picture [h, w, ...] at `corners` [T, 2]."""
    height, width = tile
    return np.stack([picture[top : top + height, left : left + width] for top, left in corners])


def stitch(values: np.ndarray, corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One map of a picture from maps of its tiles, without seams.

    Where tiles overlap their values are averaged, weighted by a raised cosine that falls to next to
    nothing at a tile's rim.

    Args:
        values: [T, ..., H, W].
        corners: (top, left) of each tile, int [T, 2]; together the tiles cover the picture.
        size: (h, w) of the picture.

    Returns:
        float32 [..., h, w].
    """
    height, width = values.shape[-2:]
    window = np.outer(_raised_cosine(height), _raised_cosine(width))
    total, weight = np.zeros((*values.shape[1:-2], *size)), np.zeros(size)
    for value, (top, left) in zip(values, corners, strict=True):
        total[..., top : top + height, left : left + width] += value * window
        weight[top : top + height, left : left + width] += window
    return (total / weight).astype(np.float32)


def _raised_cosine(length: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2 + SEAM_FLOOR
