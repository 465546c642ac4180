"""A Dask cluster as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import distributed
from tests.project import ROOT


class Cluster:
    """A scheduler and one worker of one thread, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "scheduler.json"
        place = ["--scheduler-file", str(self.file)]
        self.processes = [self._start("scheduler", *place, "--port", "0", "--no-dashboard", "--host", "127.0.0.1")]
        self.processes.append(
            self._start("worker", *place, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder))
        )
        with distributed.Client(scheduler_file=str(self.file), timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
        self.address = json.loads(self.file.read_text())["address"]

    @staticmethod
    def _start(part: str, *arguments: str) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
        environment |= {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3"}
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", *arguments]
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()
