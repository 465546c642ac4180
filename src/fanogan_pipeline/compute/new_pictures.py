"""New pictures, shard by shard: read, prepared as the detector's own file says, measured; memory stays flat."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import torch
from pyarrow.parquet import ParquetFile

from fanogan_pipeline import own_code
from fanogan_pipeline.compute import shards
from fanogan_pipeline.compute.executors import cluster_of, threads
from fanogan_pipeline.compute.files import work_file
from fanogan_pipeline.compute.folders import digest, held, read_models, write_models
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.images import ImageSource, PictureFiles, Tiles, of_runs, picture_runs
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.parameters import ComputeParameters, InferenceParameters
from fanogan_pipeline.preprocessing.prepare import prepare_readable
from fanogan_pipeline.preprocessing.seen import warn_of_darkness
from fanogan_pipeline.training import devices

logger = logging.getLogger(__name__)
TOGETHER = 256  # pictures computed by one thread at a time, or a larger batch: the same on every engine, so bytes are


@dataclass(frozen=True)
class NewTerms:
    """Pictures [a, b) of a source -> `image_id`, `reason` ("" unless it cannot be judged), `brightest` (as
    `prepare_readable` tells) and residual terms: NaN with a reason, no columns where all have one.

    Attributes:
        source: the pictures.
        detector: that measures them.
        workers: threads that decode.
        what: named on the progress bar; "" for no bar.
        pool: threads that compute, each `TOGETHER` pictures at a time; None, the caller's own.
        stop: once set, the next picture to read or to compute raises CancelledError.
    """

    source: ImageSource
    detector: AnomalyDetector
    workers: int
    what: str = "reading pictures"
    pool: Executor | None = None
    stop: Event = field(default_factory=Event)

    def __call__(self, pictures: slice) -> pd.DataFrame:
        rows = np.arange(pictures.start, pictures.stop)
        source, geometry = replace(self.source, read=self._read), self.detector.geometry
        images, tiles, reasons, brightest = prepare_readable(source, rows, geometry, self.workers, self.what)
        names = self.source.table["image_id"].iloc[rows].to_numpy(dtype=str)
        found = pd.DataFrame({"image_id": names, "reason": reasons, "brightest": brightest})
        if not len(images):
            return found
        readable = found.index[found["reason"] == ""]
        return found.join(self._terms(images, tiles).set_axis(readable))

    def _read(self, row: int) -> np.ndarray:
        self._go_on()
        return self.source.read(row)

    def _terms(self, images: np.ndarray, tiles: Tiles | None) -> pd.DataFrame:
        runs, batch = picture_runs(images, tiles), int(self.detector.detector.settings["batch_size"])

        def terms(pictures: slice) -> pd.DataFrame:
            self._go_on()
            return self.detector.terms(*of_runs(images, tiles, runs[pictures]))

        # whole batches, for what is short of one is filled up
        return shards.table(shards.cut(len(runs), max(1, TOGETHER // batch) * batch), terms, self.pool)

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise CancelledError


def new_terms_from(folder: str, files: PictureFiles, workers: int, shard_size: int, pictures: slice) -> pd.DataFrame:
    """The same from what lies in a folder, the detector read once by a worker, and from files that it sees itself.

    Raises:
        InputError: the worker sees none of the pictures of a shard.
    """
    with ParquetFile(Path(folder) / "pictures.parquet") as file:
        table = file.read_row_group(pictures.start // shard_size).to_pandas()
    names = table["image_id"].tolist()
    source = ImageSource(table, lambda row: files.read(names[row]))
    found = NewTerms(source, _read(folder), workers, what="")(slice(0, len(names)))
    if (found["reason"] != "").all() and not any(map(files.exists, names)):
        raise InputError(
            f"new_images: a worker sees none of {plural(len(names), 'picture')} such as {found['reason'].iloc[0]}; "
            "have every worker see their folder under the same path or URL, or set compute.engine: local"
        )
    return found


def measure(
    source: ImageSource,
    detector: AnomalyDetector,
    models: Mapping[str, Checkpoint],
    parameters: InferenceParameters,
    compute: ComputeParameters,
    place: Path,
) -> tuple[pd.DataFrame, Path]:
    """The table of `NewTerms` over all pictures, going on from the parts of a run that was stopped; what the source
    skipped stands first.

    Args:
        source: the pictures; spread over a cluster only where other processes can read them.
        detector: that judges them.
        models: the checkpoints of `folders.MODELS` that it was made of; only a cluster needs them.
        parameters: `shard_size`, pictures in memory at once, and `workers`, threads that decode.
        compute: the engine.
        place: a local folder, seen by all workers, for the parts of unfinished work.

    Returns:
        The table and the folder of the work, to be removed once the table is safe.

    Raises:
        ClusterError: the cluster was lost; its finished parts are kept for the next try.
        InputError: pictures that are read with other settings than those that the detector learnt from; there is no
            cluster to be had, or a part cannot be written.
    """
    detector.geometry.expect_decoding(source.decoding, "new_images")
    if compute.engine != "local" and source.files is None:
        logger.warning("new_images: these pictures lie in this process's memory; they are computed here")
        compute = compute.model_copy(update={"engine": "local"})
    cuts = shards.cut(len(source), parameters.shard_size)
    with held(place, "inference", _facts(source, detector, parameters)) as folder, cluster_of(compute) as cluster:
        if cluster is None or source.files is None:
            each = torch.get_num_threads() if detector.restorer.device.type == "cpu" else 1
            with threads(1) as one, threads(each) as pool:  # one shard at a time: it fills the memory that one may
                local = NewTerms(source, detector, parameters.workers, pool=pool)
                try:
                    return _of_all(source, detector, shards.table_of_parts(cuts, local, folder / "parts", one)), folder
                except BaseException:  # Ctrl-C reaches this thread alone, and what is under way is waited for
                    local.stop.set()
                    raise
        _write(folder, source, detector, models, parameters)
        there = partial(new_terms_from, str(folder), source.files, parameters.workers, parameters.shard_size)
        return _of_all(source, detector, shards.table_of_parts(cuts, there, folder / "parts", cluster)), folder


def _of_all(source: ImageSource, detector: AnomalyDetector, found: pd.DataFrame) -> pd.DataFrame:
    """What the source skipped, then what was found, with a word where all of it is dark; every reason without the path
    in front, which `image_id` is."""
    rows, brightest, settled = np.arange(len(found)), found.pop("brightest").to_numpy(), detector.geometry.decoding
    warn_of_darkness("new_images", source, rows, brightest, settled)
    named = zip(found["image_id"], found["reason"], strict=True)
    found["reason"] = [reason.split(f"{name}: ", 1)[-1] for name, reason in named]
    return pd.concat([source.skipped, found], ignore_index=True) if len(source.skipped) else found


def _facts(source: ImageSource, detector: AnomalyDetector, parameters: InferenceParameters) -> list[Any]:
    """Of this very work: these pictures, unchanged and decoded in this way, through this detector and code."""
    names = source.table[[name for name in ("image_id", "stamp") if name in source.table]].to_csv(index=False)
    files = source.files.facts() if source.files else None
    # without stamps nothing tells changed pictures, and no parts but one's own count
    own = "" if "stamp" in source.table else uuid.uuid4().hex
    how = [detector.detector.digest, detector.restorer.device.type, parameters.shard_size, torch.__version__]
    return [*how, own_code.code_digest(), digest(names), files, own]


def _write(
    folder: Path,
    source: ImageSource,
    detector: AnomalyDetector,
    models: Mapping[str, Checkpoint],
    parameters: InferenceParameters,
) -> None:
    """All that workers need, as plain files; whole ones, for workers of a run before may still be reading."""
    with work_file(folder / "pictures.parquet") as draft:  # a group of rows is a shard, which is all a worker reads
        source.table[["image_id"]].to_parquet(draft, index=False, row_group_size=parameters.shard_size)
    write_models(folder, models)
    with work_file(folder / "detector.json") as draft:
        draft.write_text(json.dumps({"device": detector.restorer.device.type, "detector": detector.detector.to_json()}))


@lru_cache(maxsize=2)
def _read(folder: str) -> AnomalyDetector:
    """The detector that `_write` left, ready to compute on one thread."""
    place = Path(folder)
    values = json.loads((place / "detector.json").read_text())
    device = devices.choose_device(values["device"])
    devices.settle_in(1)
    wgan, encoder, fitted = read_models(place)
    return AnomalyDetector.load(wgan, encoder, fitted, values["detector"], device)
