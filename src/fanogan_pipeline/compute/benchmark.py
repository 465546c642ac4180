"""The benchmark's cells, over processes or a cluster, and kept: another class or seed adds to those there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import scipy
import sklearn
import torch

from fanogan_pipeline.benchmark.cells import METHODS, Cell, run_cell
from fanogan_pipeline.benchmark.shared import Settings
from fanogan_pipeline.compute import shards
from fanogan_pipeline.compute.executors import cluster_of, processes
from fanogan_pipeline.compute.files import work_file
from fanogan_pipeline.compute.folders import digest, held
from fanogan_pipeline.datasets.staging import remove_unless_held
from fanogan_pipeline.errors import plural
from fanogan_pipeline.parameters import WITHOUT_EFFECT, ComputeParameters
from fanogan_pipeline.training import devices

logger = logging.getLogger(__name__)

# Parameters of `Settings` that no score of a cell depends on.
WITHOUT_EFFECT_ON_CELLS = {
    "benchmark": {"classes", "seeds", "resamples", "confidence"},
    "data_prep": {"normal_classes", *WITHOUT_EFFECT["data_prep"]},
    "scoring": {"false_alarm_rate", "pooling", "top_share", "map_smoothing", "residual_maps"},
    "training": {"log_every", *WITHOUT_EFFECT["training"]},
}
A_GPU = 4  # processes that share one: much of a cell, such as PCA or an SVM, is a core's work


def cells_from(folder: str, settings: Settings, cells: Sequence[Cell], rows: slice) -> pd.DataFrame:
    """Cells [a, b) of those named -> their scores, with the pictures that lie in a folder."""
    images, table = _read(folder)
    devices.choose_device(settings.device)
    devices.settle_in(1)
    return pd.concat([run_cell(images, table, name, seed, settings) for name, seed in cells[rows]], ignore_index=True)


def run_cells(
    images: np.ndarray,
    table: pd.DataFrame,
    cells: Sequence[Cell],
    settings: Settings,
    compute: ComputeParameters,
    place: Path,
    code: str,
) -> pd.DataFrame:
    """The scores of every cell; cells that an earlier run has finished, of whatever table, are not computed again.

    Args:
        images: uint8 [N, C, H, W], every picture prepared.
        table: a row per picture, see `cells.split_class`.
        cells: what to compute.
        settings: parameters.
        compute: the engine.
        place: a local folder, seen by all workers, where finished cells stay: those of `training.keep_unfinished` other
            settings, codes or libraries too, and of other pictures all.
        code: digest of the code that scores are made by.

    Returns:
        The tables of `run_cell`, one below the other.
    """
    pictures = digest(table[["image_id", "label", "part", "group", "sha256"]].to_numpy(str).tolist())[:12]
    versions = [library.__version__ for library in (torch, sklearn, scipy, np)]
    facts = [_what_counts(settings), versions, code]
    most = settings.training.keep_unfinished
    with ExitStack() as at_the_end:
        folder = at_the_end.enter_context(held(place, f"benchmark-{pictures}", facts, most))
        at_the_end.callback(_clear, folder.parent, f"benchmark-{pictures}")
        shown = at_the_end.enter_context(held(folder, "pictures", pictures))
        _write(shown, images, table)
        work = partial(cells_from, str(shown), settings, cells)
        cuts, names = shards.cut(len(cells), 1), [digest(cell) for cell in cells]
        logger.info("benchmark: %s, each kept in %s once it is done", plural(len(cells), "cell"), folder)
        tell = partial(_tell, cells, time.monotonic())
        with cluster_of(compute) as cluster:
            own = nullcontext(cluster) if cluster is not None else _own_processes(compute, settings, len(cells))
            with own as executor:
                found = shards.table_of_parts(cuts, work, folder / "parts", executor, tell, names)
    for name in ("normal_class", "method", "part", "label", "detail"):
        found[name] = found[name].astype("category")  # millions of rows of a few words
    return found


def _what_counts(settings: Settings) -> dict[str, Any]:
    """The parameters that a cell depends on: all but which cells there are, how they are summed up, and what has no
    place where one process trains one class from beginning to end. The order of methods is none of it."""
    found: dict[str, Any] = settings.model_dump(mode="json", exclude=WITHOUT_EFFECT_ON_CELLS)
    found["benchmark"]["methods"] = sorted(settings.benchmark.methods or METHODS)
    return found


def _own_processes(compute: ComputeParameters, settings: Settings, count: int) -> AbstractContextManager:
    wanted = compute.workers or (joblib.cpu_count() if settings.device == "cpu" else min(joblib.cpu_count(), A_GPU))
    return processes(max(1, min(wanted, count)))


def _tell(cells: Sequence[Cell], start: float, part: int, done: int, missing: int) -> None:
    """Cell number `part` is in, the `done`-th of those that were missing."""
    name, seed = cells[part]
    left = (missing - done) * (time.monotonic() - start) / done / 60
    logger.info("benchmark: class %s, seed %d is in, %d to come, %.0f min left", name, seed, missing - done, left)


def _write(folder: Path, images: np.ndarray, table: pd.DataFrame) -> None:
    """The pictures for the workers, as plain files; whole ones, for workers of a run before may still be reading."""
    with work_file(folder / "images.npy") as draft:
        np.save(draft, images, allow_pickle=False)
    with work_file(folder / "table.parquet") as draft:
        table.to_parquet(draft, index=False)


def _clear(place: Path, kind: str) -> None:
    """Pictures are not kept beside finished cells, those of a run that was killed neither."""
    for left in place.glob(f"{kind}-*/pictures-*"):
        remove_unless_held(left)


@lru_cache(maxsize=1)
def _read(folder: str) -> tuple[np.ndarray, pd.DataFrame]:
    """What `_write` left; the images stay in their file."""
    place = Path(folder)
    images = np.load(place / "images.npy", mmap_mode="r", allow_pickle=False)
    return images, pd.read_parquet(place / "table.parquet")
