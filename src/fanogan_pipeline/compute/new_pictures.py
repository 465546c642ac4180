"""New pictures, shard by shard: read, prepared as the detector's own file says, measured; memory stays flat."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fanogan_pipeline.compute import shards
from fanogan_pipeline.compute.executors import threads
from fanogan_pipeline.compute.folders import remove_unless_held
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.prepare import prepare_readable


@dataclass(frozen=True)
class NewTerms:
    """Pictures [a, b) of a source -> `image_id`, residual terms and `reason` ("" unless the picture is broken)."""

    source: ImageSource
    detector: AnomalyDetector
    workers: int

    @property
    def geometry(self) -> Geometry:
        """The detector's own."""
        return Geometry.from_json(json.loads(self.detector.detector.geometry))

    def __call__(self, pictures: slice) -> pd.DataFrame:
        rows = np.arange(pictures.start, pictures.stop)
        images, tiles, reasons = prepare_readable(self.source, rows, self.geometry, self.workers)
        found = pd.DataFrame({"image_id": self.source.table["image_id"].to_numpy(dtype=str)[rows], "reason": reasons})
        if not len(images):
            return found
        readable = found.index[found["reason"] == ""]
        return found.join(self.detector.terms(images, tiles).set_axis(readable))


def parts_folder(place: Path, source: ImageSource, detector: AnomalyDetector, shard_size: int) -> Path:
    """The folder of the parts of this very work: these pictures, unchanged, through this detector."""
    names = source.table[[name for name in ("image_id", "stamp") if name in source.table]].to_csv(index=False)
    facts = json.dumps([detector.detector.digest, shard_size, hashlib.sha256(names.encode()).hexdigest()])
    return place.resolve() / f"inference-{hashlib.sha256(facts.encode()).hexdigest()[:32]}"


def measure(
    source: ImageSource, detector: AnomalyDetector, shard_size: int, workers: int, place: Path
) -> tuple[pd.DataFrame, Path]:
    """The table of `NewTerms` over all pictures, going on from the parts of a run that was stopped.

    Args:
        source: the pictures.
        detector: that judges them.
        shard_size: pictures in memory at once.
        workers: threads that decode.
        place: a local folder for the parts of unfinished work.

    Returns:
        The table and the folder of its parts, to be removed once the table is safe.
    """
    folder = parts_folder(place, source, detector, shard_size)
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        for other in place.resolve().glob("inference-*"):
            if other != folder:
                remove_unless_held(other)
        with threads(1) as pool:  # one shard at a time: a shard decodes and computes on every core by itself
            cuts = shards.cut(len(source), shard_size)
            return shards.table_of_parts(cuts, NewTerms(source, detector, workers), folder, pool), folder
    finally:
        os.close(held)
