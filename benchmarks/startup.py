"""From `kedro run` on MNIST to the end of the first training step, in a copy of the project."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.project import copy_project

from benchmarks.children import environment

FIRST_STEP = "wgan: step 1 of 1"  # the line of the phase's last step, here its only one
PARAMETERS = "wgan.steps=1,training.log_every=1"


@dataclass(frozen=True)
class Start:
    """Seconds, medians over the repeats.

    Attributes:
        wall: on the clock.
        cpu: of the processor, all threads.
    """

    wall: float
    cpu: float


def measure(repeats: int) -> Start:
    """Once to warm the disk's cache up, then `repeats` times."""
    with tempfile.TemporaryDirectory() as place:
        project = copy_project(Path(place) / "project")
        once(project)
        found = [once(project) for _ in range(repeats)]
    return Start(*(statistics.median(column) for column in zip(*found, strict=True)))


def once(project: Path) -> tuple[float, float]:
    """Seconds on the clock and of the processor until the first training step is done; the run is ended there."""
    command = [sys.executable, "-m", "kedro", "run", "--params", PARAMETERS]
    where = {**environment(), "PYTHONPATH": str(project / "src"), "COLUMNS": "200"}
    began = time.perf_counter()
    run = subprocess.Popen(
        command, cwd=project, env=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    seen: list[str] = []
    try:
        for line in run.stdout or ():
            seen.append(line)
            if FIRST_STEP in line:
                return time.perf_counter() - began, _cpu_seconds(run.pid)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    raise RuntimeError(f"kedro run ended before its first training step:\n{''.join(seen[-20:])}")


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
