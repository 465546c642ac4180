"""From pictures where they lie to the four sets."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from tqdm import tqdm

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSet, ImageSource
from fanogan_pipeline.preprocessing.geometry import Geometry

CHUNK = 256  # pictures handed to the workers at once: bounds what is decoded but not yet stored


def read_images(source: ImageSource, rows: np.ndarray, geometry: Geometry, workers: int, what: str) -> np.ndarray:
    """Decode and fit pictures in parallel, straight into one array.

    Args:
        source: where they lie.
        rows: row numbers [N] of its table.
        geometry: what they become.
        workers: threads that decode.
        what: named on the progress bar.

    Returns:
        uint8 [N, C, H, W].
    """
    images = np.empty((len(rows), geometry.channels, *geometry.image_size), np.uint8)

    def fill(position: int) -> None:
        images[position] = geometry.apply(source.read(int(rows[position])))

    with ThreadPoolExecutor(workers) as pool:
        for chunk in _progress(range(0, len(rows), CHUNK), what):
            list(pool.map(fill, range(chunk, min(chunk + CHUNK, len(rows)))))
    return images


def read_masks(source: ImageSource, rows: np.ndarray, geometry: Geometry) -> np.ndarray | None:
    """Masks bool [N, H, W], empty where a picture has none; None where no picture has one."""
    has_mask = source.table["has_mask"].to_numpy(dtype=bool)[rows]
    if source.read_mask is None or not has_mask.any():
        return None
    masks = np.zeros((len(rows), *geometry.image_size), bool)
    for position in np.flatnonzero(has_mask):
        masks[position] = geometry.apply_to_mask(source.read_mask(int(rows[position])))
    return masks


def image_sums(images: np.ndarray) -> list[str]:
    """SHA-256 (hex) of each image [N, C, H, W] as the networks see it."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def settle_duplicates(split: pd.DataFrame, policy: str) -> pd.DataFrame:
    """No image stands on two sides of the split.

    Args:
        split: columns `image_id`, `split`, `sha256`.
        policy: "refuse" or "drop" (every copy outside the set that is fixed furthest from the
            training images goes: test before calibration before selection before train).

    Returns:
        The rows that stay.

    Raises:
        InputError: a duplicate across the splits, with policy "refuse".
    """
    priority = split["split"].map({"test": 0, "calibration": 1, "selection": 2, "train": 3})
    stays_in = priority.groupby(split["sha256"]).transform("min")
    stray = priority > stays_in
    if stray.any() and policy == "refuse":
        first = split[stray].iloc[0]
        other = split[(split["sha256"] == first["sha256"]) & (split["split"] != first["split"])].iloc[0]
        raise InputError(
            f"raw_images: {int(stray.sum())} images stand on two sides of the split, such as '{first['image_id']}' "
            f"({first['split']}) and '{other['image_id']}' ({other['split']}); remove the copies or set "
            "data_prep.duplicates: drop"
        )
    return split[~stray]


def split_digest(split: pd.DataFrame, geometry: Geometry) -> str:
    """SHA-256 (hex) that names a split: its images, their sides and their geometry."""
    columns = ["image_id", "split", "label", "is_anomaly", "sha256"]
    rows = split[columns].sort_values("image_id").to_csv(index=False)
    return hashlib.sha256(f"{json.dumps(geometry.to_json(), sort_keys=True)}\n{rows}".encode()).hexdigest()


def image_set(
    images: np.ndarray, table: pd.DataFrame, digest: str, geometry: Geometry, masks: np.ndarray | None = None
) -> ImageSet:
    """An `ImageSet` of images [N, C, H, W] and their rows of the table."""
    return ImageSet(
        images,
        table["label"].to_numpy(dtype=str),
        table["is_anomaly"].to_numpy(dtype=bool),
        table["image_id"].to_numpy(dtype=str),
        digest,
        masks,
        json.dumps(geometry.to_json(), sort_keys=True),
    )


def _progress(steps: Iterable[int], what: str) -> Iterable[int]:
    return tqdm(steps, desc=what, unit="chunk", disable=not sys.stderr.isatty(), leave=False)
