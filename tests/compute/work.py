"""Shards for the tests of clusters: computed in processes of their own, which kill what the test asks them to."""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fanogan_pipeline.compute import shards
from fanogan_pipeline.compute.executors import cluster_of
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import PictureFiles
from fanogan_pipeline.parameters import ComputeParameters
from fanogan_pipeline.training import devices

COUNT, SIZE, FATAL = 50, 7, 21


@dataclass(frozen=True)
class Squares:
    """Rows -> their squares. Says in `folder` which shards were computed; at one of them it kills, once.

    Attributes:
        folder: of the notes.
        victim: "worker", or a process number; "" kills nobody.
    """

    folder: str
    victim: str = ""

    def __call__(self, rows: slice) -> pd.DataFrame:
        notes = Path(self.folder)
        kill_once(notes, self.victim, rows.start == FATAL)
        with (notes / f"computed-{rows.start}").open("a") as file:
            file.write("x")
        numbers = pd.Series(range(rows.start, rows.stop), dtype="int64")
        return pd.DataFrame({"row": numbers, "square": numbers.astype(float) ** 2})


@dataclass(frozen=True)
class Watched:
    """Pictures in files; says in `folder` how often each was read, and at one of them kills, once.

    Attributes:
        files: the pictures.
        folder: of the notes.
        victim: as `Squares`'.
        fatal: name of the picture.
    """

    files: PictureFiles
    folder: str
    victim: str = ""
    fatal: str = ""

    def read(self, image_id: str) -> np.ndarray:
        kill_once(Path(self.folder), self.victim, image_id == self.fatal)
        with (Path(self.folder) / f"read-{image_id}").open("a") as file:
            file.write("x")
        return self.files.read(image_id)

    def exists(self, image_id: str) -> bool:
        return self.files.exists(image_id)

    def stamp(self, image_id: str) -> str:
        return self.files.stamp(image_id)

    def facts(self) -> dict[str, Any]:
        return self.files.facts()


def kill_once(notes: Path, victim: str, is_time: bool) -> None:
    """Kill this worker or the process of that number, the first time that it is time."""
    if victim and is_time and not (notes / "killed").exists():
        (notes / "killed").touch()
        os.kill(os.getpid() if victim == "worker" else int(victim), signal.SIGKILL)


def fail(notes: str) -> None:
    """Raise, and say in the folder `notes` that it has come to that."""
    with (Path(notes) / "failed").open("a") as file:
        file.write("x")
    raise InputError("nothing that doing it again would mend")


def pages_asked_for(times: int) -> int:
    """Pages of memory that this worker, settled in, asks the machine for while it fills 2048 pages over and over."""
    devices.settle_in(1)
    np.ones(2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.ones(2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def compute(scheduler: str = "", workers: int = 1) -> ComputeParameters:
    return ComputeParameters(engine="dask", scheduler=scheduler, workers=workers, shard_size=SIZE)


def client(scheduler: str, notes: str, parts: str, victim: str) -> pd.DataFrame:
    """All shards on the cluster."""
    with cluster_of(compute(scheduler)) as executor:
        task = Squares(notes, str(os.getpid()) if victim == "client" else victim)
        return shards.table_of_parts(shards.cut(COUNT, SIZE), task, Path(parts), executor)


if __name__ == "__main__":
    client(*sys.argv[1:])
