"""Masks of the pictures that have one, as their images are prepared."""

from __future__ import annotations

import logging

import numpy as np

from fanogan_pipeline.images import ImageSource, Tiles, picture_runs
from fanogan_pipeline.preprocessing.geometry import Geometry

logger = logging.getLogger(__name__)


def read_masks(
    source: ImageSource, rows: np.ndarray, geometry: Geometry, tiles: Tiles | None, is_anomaly: np.ndarray
) -> np.ndarray | None:
    """Masks of prepared pictures or of their tiles, empty where a picture has none; None where no picture has one.

    A word on anomalous pictures whose mask is empty: pixel numbers leave them out.

    Args:
        source: where they lie.
        rows: row numbers [N] of its table.
        geometry: as the pictures were prepared.
        tiles: of the same pictures in the same order, from `prepare.prepare_split`.
        is_anomaly: of each picture, bool [N].

    Returns:
        bool [N, H, W], or [number of tiles, H, W].
    """
    has_mask = source.table["has_mask"].to_numpy(dtype=bool)[rows]
    if source.read_mask is None or not has_mask.any():
        return None
    runs = picture_runs(rows, tiles)
    masks = np.zeros((runs[-1].stop, *geometry.image_size), bool)
    empty = []
    for position in np.flatnonzero(has_mask):
        mask = source.read_mask(int(rows[position]))
        if is_anomaly[position] and not mask.any():
            empty.append(source.table["image_id"].iat[rows[position]])
        masks[runs[position]] = geometry.apply_to_mask(mask) if tiles is None else geometry.cut_mask(mask)
    if empty:
        logger.warning(
            "data_prep: black masks of anomalous pictures: %d of %d, such as that of %s; pixel numbers leave these "
            "pictures out; in a JPEG or WebP mask values of 127 and less count as black",
            *(len(empty), int((has_mask & is_anomaly).sum()), empty[0]),
        )
    return masks
