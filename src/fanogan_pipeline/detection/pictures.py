"""Pictures rather than network images: tiles' maps stitched, tiles' terms pooled, a row per picture."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from fanogan_pipeline.detection.localisation import residual_maps, smoothed
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.statistics import ResidualStatistics, fit_statistics
from fanogan_pipeline.detection.training_set import TrainingSet
from fanogan_pipeline.images import ImageSet, Tiles, picture_runs
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.tiling import stitch

MAP_TERMS = ("map_residual", "map_contrast", "map_maximum")

LEAST_MEDIAN = 1e-3  # of a map, whose mean is about 1


@dataclass(frozen=True)
class Pooling:
    """How many values of a picture become one.

    Attributes:
        kind: "mean", "maximum" or "top_share" (mean of the largest share).
        top_share: that share, in (0, 1].
        smoothing: standard deviation of the Gaussian over a residual map, pixels.
    """

    kind: str
    top_share: float
    smoothing: float

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Pooling:
        """That of `scoring`'s parameters, as a detector carries them."""
        return cls(str(settings["pooling"]), float(settings["top_share"]), float(settings["map_smoothing"]))

    def pool(self, values: np.ndarray) -> np.ndarray:
        """[M, ...] -> [...]."""
        if self.kind == "mean":
            return values.mean(axis=0)
        count = max(1, math.ceil(self.top_share * len(values))) if self.kind == "top_share" else 1
        return np.partition(values, len(values) - count, axis=0)[len(values) - count :].mean(axis=0)


def picture_maps(
    images: np.ndarray,
    tiles: Tiles | None,
    restorer: Restorer,
    statistics: ResidualStatistics,
    batch_size: int,
    smoothing: float,
) -> Iterator[np.ndarray]:
    """The residual map of each picture in turn, smoothed, without seams: float32 [h, w], the prepared picture's size.

    Memory does not grow with the number of pictures. Tiled pictures' maps are levelled towards the rim (`fit_rim`).

    Args:
        images: uint8 [N, C, H, W], whole pictures or tiles.
        tiles: where they were cut from, or None.
        restorer: the networks.
        statistics: of the selection set.
        batch_size: images computed at once.
        smoothing: standard deviation of the Gaussian, pixels.
    """
    rim = statistics.maps.rim.cpu().numpy()
    ready = np.empty((0, *images.shape[2:]), np.float32)
    batches = residual_maps(images, restorer, statistics.maps, batch_size)
    for run in picture_runs(images, tiles):
        parts, missing = [], run.stop - run.start
        while missing > 0:
            if not len(ready):
                ready = next(batches)
            parts.append(ready[:missing])
            ready = ready[missing:]
            missing -= len(parts[-1])
        values = np.concatenate(parts)
        whole_map = smoothed(values[0] if tiles is None else stitched(values, tiles, run), smoothing)
        yield rim_levelled(whole_map, rim) if rim.size else whole_map


def fit_picture_statistics(
    selection: ImageSet, restorer: Restorer, training_set: TrainingSet | None, batch_size: int, smoothing: float
) -> ResidualStatistics:
    """`fit_statistics` of a selection set; tiles have no level for each pixel, but one towards the rim (`fit_rim`).
    The other arguments are those of `fit_statistics` and `picture_maps`.
    """
    images, tiles = selection.images, selection.tiles
    fitted = fit_statistics(images, restorer, training_set, batch_size, is_aligned=tiles is None)
    return fitted if tiles is None else fit_rim(images, tiles, restorer, fitted, batch_size, smoothing)


def fit_rim(
    images: np.ndarray,
    tiles: Tiles,
    restorer: Restorer,
    statistics: ResidualStatistics,
    batch_size: int,
    smoothing: float,
) -> ResidualStatistics:
    """The statistics with the level of pictures' maps towards their rim, where fewer tiles overlap and the map is
    less steady; fitted on the tiles of the selection set. The arguments are those of `picture_maps`.
    """
    reach = min(images.shape[2:]) // 2
    sums = np.zeros((3, reach + 1))
    for found in picture_maps(images, tiles, restorer, statistics, batch_size, smoothing):
        distance = rim_distance(found.shape, reach).ravel()
        values = found.ravel().astype(np.float64)
        sums += [np.bincount(distance, power, reach + 1) for power in (np.ones_like(values), values, values**2)]
    seen = sums[0] > 0  # small pictures have no pixel far from the rim
    count, total, square = sums[:, seen]
    mean = total / count
    rim = np.stack([mean, np.sqrt(np.clip(square / count - mean**2, 1e-12, None))])
    device = statistics.maps.level.device
    maps = replace(statistics.maps, rim=torch.from_numpy(rim.astype(np.float32)).to(device))
    return replace(statistics, maps=maps)


def rim_levelled(found: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """A map [h, w] with the mean 1 and the spread of a picture's middle at every distance from the rim; at least 0."""
    distance = rim_distance(found.shape, rim.shape[1] - 1)
    mean, spread = rim[:, distance]
    return np.maximum(0, 1 + (found - mean) * (rim[1, -1] / spread)).astype(np.float32)


def rim_distance(size: tuple[int, ...], reach: int) -> np.ndarray:
    """Distance of each pixel from the nearest rim, at most `reach`, int [h, w]."""
    down, across = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in size)
    return np.minimum(np.minimum(down[:, None], across), reach)


def stitched(values: np.ndarray, tiles: Tiles, run: slice) -> np.ndarray:
    """Values [T, ..., H, W] of one picture's tiles, those of rows `run`, as float32 [..., h, w]."""
    return stitch(values, tiles.corners[run], (int(tiles.height[run.start]), int(tiles.width[run.start])))


def picture_terms(
    images: np.ndarray,
    tiles: Tiles | None,
    restorer: Restorer,
    statistics: ResidualStatistics,
    batch_size: int,
    pooling: Pooling,
    with_map: bool,
    wanted: Collection[str] | None = None,
) -> pd.DataFrame:
    """Residual terms of each picture, a row per picture in order of first appearance.

    Args:
        images, tiles, restorer, statistics, batch_size: see `picture_maps`.
        pooling: of tiles' terms and of map pixels.
        with_map: also `map_residual` (the pooled residual map), `map_contrast` (the same over the map's median: what
            stands out from its own picture, rough or smooth) and `map_maximum` (the map's largest value).
        wanted: names of residual terms; None, all.

    Returns:
        The columns of `residual_terms`, pooled over a picture's tiles, and those of the map.
    """
    terms = residual_terms(images, restorer, statistics, batch_size, wanted)
    if tiles is not None:
        values = terms.to_numpy()
        terms = pd.DataFrame([pooling.pool(values[run]) for run in tiles.runs()], columns=terms.columns)
    if with_map:
        maps = picture_maps(images, tiles, restorer, statistics, batch_size, pooling.smoothing)
        pooled = [_map_terms(found.ravel(), pooling) for found in maps]
        terms[list(MAP_TERMS)] = np.array(pooled, np.float64).reshape(-1, len(MAP_TERMS))
    return terms


def _map_terms(values: np.ndarray, pooling: Pooling) -> tuple[float, float, float]:
    """The `MAP_TERMS` of a map's values [h * w]."""
    pooled = float(pooling.pool(values))
    return pooled, pooled / max(float(np.median(values)), LEAST_MEDIAN), float(values.max())


def picture_table(image_set: ImageSet) -> pd.DataFrame:
    """`image_id`, `label` and `is_anomaly` of each picture, a row per picture in the order of `picture_terms`."""
    table = pd.DataFrame(
        {"image_id": image_set.image_id, "label": image_set.labels, "is_anomaly": image_set.is_anomaly}
    )
    if image_set.tiles is None:
        return table
    first = image_set.first_rows
    return table.iloc[first].assign(image_id=image_set.tiles.picture_id[first]).reset_index(drop=True)


def picture_rows(image_set: ImageSet, positions: np.ndarray) -> np.ndarray:
    """Row numbers of the images of the pictures at `positions` of `picture_table`, int [M]."""
    if image_set.tiles is None:
        return np.asarray(positions, int)
    runs = image_set.tiles.runs()
    return np.concatenate([np.empty(0, int), *(np.arange(runs[k].start, runs[k].stop) for k in positions)])


def whole(values: np.ndarray, tiles: Tiles | None) -> list[np.ndarray]:
    """Values [N, ..., H, W] of images as those of whole pictures, float32 [..., h, w] each."""
    if tiles is None:
        return list(values)
    return [stitched(values[run], tiles, run) for run in tiles.runs()]


def whole_masks(image_set: ImageSet) -> Iterator[np.ndarray]:
    """The mask of each picture, bool [h, w], in the order of `picture_table`; the set has masks."""
    assert image_set.masks is not None
    if image_set.tiles is None:
        yield from image_set.masks
        return
    for run in image_set.tiles.runs():
        yield stitched(image_set.masks[run], image_set.tiles, run) >= 0.5


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
