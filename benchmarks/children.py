"""Measurements that need a process of their own, because a process has but one peak of memory and one start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def peak_gigabytes() -> float:
    """The most physical memory this process has held so far (getrusage would begin with its parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e9


def environment() -> dict[str, str]:
    """For a child: this project's modules, no colours, no telemetry."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "NO_COLOR": "1",
        "DO_NOT_TRACK": "1",
    }


def ask(module: str, *arguments: str, **variables: str) -> dict[str, Any]:
    """What `python -m benchmarks.MODULE ARGUMENTS` answers as JSON in its last line, with these variables set."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment() | variables, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])
