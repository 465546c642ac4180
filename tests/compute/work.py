"""Shards for the tests of clusters: computed in processes of their own, which kill what the test asks them to."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fanogan_pipeline.compute import shards
from fanogan_pipeline.compute.executors import cluster_of
from fanogan_pipeline.parameters import ComputeParameters

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
        if self.victim and rows.start == FATAL and not (notes / "killed").exists():
            (notes / "killed").touch()
            os.kill(os.getpid() if self.victim == "worker" else int(self.victim), signal.SIGKILL)
        with (notes / f"computed-{rows.start}").open("a") as file:
            file.write("x")
        numbers = pd.Series(range(rows.start, rows.stop), dtype="int64")
        return pd.DataFrame({"row": numbers, "square": numbers.astype(float) ** 2})


def compute(scheduler: str = "", workers: int = 1) -> ComputeParameters:
    return ComputeParameters(engine="dask", scheduler=scheduler, workers=workers, shard_size=SIZE)


def client(scheduler: str, notes: str, parts: str, victim: str) -> pd.DataFrame:
    """All shards on the cluster."""
    with cluster_of(compute(scheduler)) as executor:
        task = Squares(notes, str(os.getpid()) if victim == "client" else victim)
        return shards.table_of_parts(shards.cut(COUNT, SIZE), task, Path(parts), executor)


if __name__ == "__main__":
    client(*sys.argv[1:])
