"""Synthetic anomalies from normal images: what a choice can be judged by where no real anomaly may be seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

SIDES = (0.2, 0.45)  # of a changed box, as shares of the image's sides
LIVELY = 0.5  # a box counts as content where it varies at least this share of what its image does
TRIES = 20  # boxes drawn in search of content

Maker = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def synthetic_anomalies(images: np.ndarray, seed: int | tuple[int, ...]) -> dict[str, np.ndarray]:
    """Each image changed in each of several ways.

    Args:
        images: uint8 [N, C, H, W], normal.
        seed: of boxes, partners and warps; a number or several.

    Returns:
        Kind of change -> uint8 [N, C, H, W].
    """
    made = {}
    for number, (kind, maker) in enumerate(MAKERS.items()):
        rng = np.random.default_rng([*np.atleast_1d(seed), number])
        partners = images[rng.integers(len(images), size=len(images))]
        made[kind] = np.stack([maker(image.copy(), other, rng) for image, other in zip(images, partners, strict=True)])
    return made


def _box(image: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice]:
    """A box with content in it, where one is found."""
    _, height, width = image.shape
    for _ in range(TRIES):
        sides = [max(2, round(side * rng.uniform(*SIDES))) for side in (height, width)]
        box = _placed(sides, (height, width), rng)
        if image[:, box[0], box[1]].std() >= LIVELY * image.std():
            break
    return box


def _elsewhere(box: tuple[slice, slice], size: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    """A box of the same sides at another place."""
    return _placed([part.stop - part.start for part in box], size, rng)


def _placed(sides: list[int], size: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    """A box of these sides at any place."""
    starts = [int(rng.integers(0, limit - side + 1)) for side, limit in zip(sides, size, strict=True)]
    return slice(starts[0], starts[0] + sides[0]), slice(starts[1], starts[1] + sides[1])


def move(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of the image again at another place."""
    box = _box(image, rng)
    there = _elsewhere(box, image.shape[1:], rng)
    image[:, there[0], there[1]] = image[:, box[0], box[1]].copy()
    return image


def blank(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of one value: the image's median or any."""
    box = _box(image, rng)
    image[:, box[0], box[1]] = np.median(image) if rng.random() < 0.5 else rng.integers(256)
    return image


def paste(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of another image, from another place."""
    box = _box(image, rng)
    there = _elsewhere(box, image.shape[1:], rng)
    image[:, box[0], box[1]] = other[:, there[0], there[1]]
    return image


def turn(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square turned or mirrored in place."""
    rows, columns = _box(image, rng)
    side = min(rows.stop - rows.start, columns.stop - columns.start)
    rows, columns = slice(rows.start, rows.start + side), slice(columns.start, columns.start + side)
    square = image[:, rows, columns].copy()
    ways = (
        square.transpose(0, 2, 1)[:, ::-1],
        square[:, ::-1],
        square[..., ::-1],
        square.transpose(0, 2, 1)[..., ::-1],
    )
    image[:, rows, columns] = ways[int(rng.integers(len(ways)))]
    return image


def join(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One side of the image, the other side of another."""
    axis = int(rng.integers(1, 3))
    cut = int(rng.integers(image.shape[axis] // 3, 2 * image.shape[axis] // 3 + 1))
    return np.concatenate([image.take(range(cut), axis), other.take(range(cut, other.shape[axis]), axis)], axis)


def warp(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth and strong distortion."""
    return _distorted(image, smooth=1 / 7, reach=1 / 4, rng=rng)


def ripple(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A finer distortion."""
    return _distorted(image, smooth=1 / 14, reach=1 / 6, rng=rng)


def _distorted(image: np.ndarray, smooth: float, reach: float, rng: np.random.Generator) -> np.ndarray:
    _, height, width = image.shape
    side = min(height, width)
    shifts = []
    for _ in range(2):
        field = ndimage.gaussian_filter(rng.standard_normal((height, width)), smooth * side)
        shifts.append(field / np.abs(field).max() * reach * side * rng.uniform(0.5, 1))
    places = np.mgrid[:height, :width] + np.stack(shifts)
    return np.stack([ndimage.map_coordinates(channel, places, order=1, mode="nearest") for channel in image])


MAKERS: dict[str, Maker] = {maker.__name__: maker for maker in (move, blank, paste, turn, join, warp, ripple)}
