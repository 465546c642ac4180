"""Residual maps of whole pictures, without seams, and terms of whole pictures, pooled over tiles and map pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from fanogan_pipeline.detection.localisation import residual_maps, smoothed
from fanogan_pipeline.detection.pictures import stitched
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.statistics import ResidualStatistics, fit_statistics
from fanogan_pipeline.detection.training_set import TrainingSet
from fanogan_pipeline.images import ImageSet, Tiles, picture_runs

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
    each = itertools.chain.from_iterable(residual_maps(images, restorer, statistics.maps, batch_size))
    for run in picture_runs(images, tiles):
        values = np.stack(list(itertools.islice(each, run.stop - run.start)))
        whole_map = smoothed(stitched(values, tiles, run), smoothing)
        yield rim_levelled(whole_map, rim) if rim.size else whole_map


def fit_picture_statistics(
    selection: ImageSet, restorer: Restorer, training_set: TrainingSet | None, batch_size: int, smoothing: float
) -> ResidualStatistics:
    """`fit_statistics` of a selection set; tiles have no level for each pixel, but one towards the rim (`fit_rim`).
    The other arguments are those of `fit_statistics` and `picture_maps`.
    """
    images, tiles, restorer = selection.images, selection.tiles, restorer.remembering()
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
    restorer = restorer.remembering()
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
