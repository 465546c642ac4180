"""Pictures rather than network images: a row per picture, tiles' values stitched, those that a figure shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fanogan_pipeline.detection.detector import MEND
from fanogan_pipeline.errors import MismatchError
from fanogan_pipeline.evenly import evenly
from fanogan_pipeline.images import ImageSet, Tiles, picture_runs
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.tiling import stitch

GALLERIES = {  # decided_true: what the verdict was, what the label says
    "in_in": (False, False),
    "in_out": (False, True),
    "out_in": (True, False),
    "out_out": (True, True),
}
OF_A_KIND = 12  # pictures of each gallery
MAPPED = 8  # pictures beside their residual maps


def stitched(values: np.ndarray, tiles: Tiles | None, run: slice) -> np.ndarray:
    """Values [T, ..., H, W] of one picture's images, those of rows `run`, as [..., h, w]; of tiles as float32."""
    if tiles is None:
        return values[0]
    return stitch(values, tiles.corners[run], (int(tiles.height[run.start]), int(tiles.width[run.start])))


def picture_table(image_set: ImageSet) -> pd.DataFrame:
    """`image_id`, `label` and `is_anomaly` of each picture, a row per picture in order of first appearance."""
    first, tiles = image_set.first_rows, image_set.tiles
    names = image_set.image_id if tiles is None else tiles.picture_id
    columns = {"image_id": names, "label": image_set.labels, "is_anomaly": image_set.is_anomaly}
    return pd.DataFrame({name: values[first] for name, values in columns.items()})


def take_pictures(image_set: ImageSet, positions: Iterable[int]) -> ImageSet:
    """The set of the pictures at `positions` of `picture_table`, in their order."""
    runs = picture_runs(image_set.images, image_set.tiles)
    rows = [np.arange(runs[position].start, runs[position].stop) for position in positions]
    return image_set.take(np.concatenate([np.empty(0, int), *rows]))


def whole(values: np.ndarray, tiles: Tiles | None) -> list[np.ndarray]:
    """Values [N, ..., H, W] of images as those of whole pictures, [..., h, w] each."""
    return [stitched(values[run], tiles, run) for run in picture_runs(values, tiles)]


def whole_masks(image_set: ImageSet) -> Iterator[np.ndarray]:
    """The mask of each picture, bool [h, w], in the order of `picture_table`; the set has masks."""
    assert image_set.masks is not None
    for run in picture_runs(image_set.masks, image_set.tiles):
        yield stitched(image_set.masks[run], image_set.tiles, run) >= 0.5


def truth(image_set: ImageSet) -> np.ndarray | None:
    """The masks, float [N, H, W]: NaN for anomalous pictures without one, whose pixels nobody knows; None without."""
    if image_set.masks is None:
        return None
    masks = framed(list(whole_masks(image_set)), 0)
    unknown = picture_table(image_set)["is_anomaly"].to_numpy(bool) & ~masks.any(axis=(1, 2))
    return np.where(unknown[:, None, None], np.nan, masks)


def own_pixels(image_set: ImageSet, values: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Of maps or masks [h, w], one a picture in the order of `picture_table`, what is no padding; all of it where the
    set does not know how large its pictures were.
    """
    if image_set.sizes is None:
        yield from values
        return
    geometry = Geometry.from_json(json.loads(image_set.geometry))
    for value, (height, width) in zip(values, image_set.sizes[image_set.first_rows].tolist(), strict=True):
        yield value[geometry.inside((height, width))]


def sample(is_anomaly: np.ndarray, count: int, seed: int, anomalous: float = 0.75) -> np.ndarray:
    """Positions of at most `count` pictures at random, ascending, int [M].

    Args:
        is_anomaly: bool [N].
        count: how many, if there are so many.
        seed: of the choice.
        anomalous: share of them that is anomalous, less or more where one kind is too few.
    """
    order = np.random.default_rng(seed).permutation(len(is_anomaly))
    bad, good = order[is_anomaly[order]], order[~is_anomaly[order]]
    n_bad = min(len(bad), max(math.ceil(anomalous * count), count - len(good)))
    return np.sort(np.concatenate([bad[:n_bad], good[: count - n_bad]]))


def framed(values: list[np.ndarray], fill: float) -> np.ndarray:
    """Pictures [..., h, w] of different sizes in one array [N, ..., H, W], in the upper left, `fill` around them."""
    height = max((value.shape[-2] for value in values), default=1)
    width = max((value.shape[-1] for value in values), default=1)
    frame = np.full((len(values), *(values[0].shape[:-2] if values else ()), height, width), fill, np.float32)
    for place, value in zip(frame, values, strict=True):
        place[..., : value.shape[-2], : value.shape[-1]] = value
    return frame


def shown(image_set: ImageSet) -> np.ndarray:
    """The pictures of a set as the networks were given them, uint8 [N, C, H, W], white around the smaller ones."""
    return np.rint(framed(whole(image_set.images, image_set.tiles), 255)).astype(np.uint8)


def by_verdict(test_set: ImageSet, test_scores: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each of the `GALLERIES` at most `OF_A_KIND` pictures as `shown` and their scores [n], evenly from those
    farthest from the threshold on.
    """
    rows = {}
    for name, (flagged, anomalous) in GALLERIES.items():
        here = (test_scores["is_flagged"] == flagged) & (test_scores["is_anomaly"] == anomalous)
        order = test_scores[here].sort_values("score", ascending=not flagged, kind="stable").index.to_numpy()
        rows[name] = order[evenly(len(order), OF_A_KIND)]
    every = np.concatenate(list(rows.values()))
    images, scores = shown(take_pictures(test_set, every)), test_scores["score"].to_numpy()[every]
    ends = np.cumsum([len(found) for found in rows.values()])[:-1]
    return dict(zip(rows, zip(np.split(images, ends), np.split(scores, ends), strict=True), strict=True))


def mapped_sample(
    test_set: ImageSet, test_scores: pd.DataFrame, residual_maps: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """At most `MAPPED` pictures that have a residual map, evenly from the lowest score to the highest.

    Returns:
        Their positions in `picture_table` and those of their maps, int [M] each.

    Raises:
        MismatchError: a map is of a picture that the set does not have.
    """
    place = {image_id: row for row, image_id in enumerate(picture_table(test_set)["image_id"])}
    if strangers := sorted(set(residual_maps["image_id"]) - set(place)):
        raise MismatchError(
            f"residual_maps: found {strangers[0]}, which test_set does not have; run '{MEND}' to make "
            "some that fit, or choose versions that belong together with --load-versions"
        )
    rows = np.array([place[image_id] for image_id in residual_maps["image_id"]], int)
    order = np.argsort(test_scores["score"].to_numpy()[rows], kind="stable")
    chosen = order[evenly(len(order), MAPPED)]
    return rows[chosen], chosen
