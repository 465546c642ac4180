"""What the figures were taken on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass

import joblib
import torch

from benchmarks.children import ROOT
from fanogan_pipeline.surroundings import processor


@dataclass(frozen=True)
class Machine:
    """Where and when.

    Attributes:
        processor: its name.
        cores: that this process may use.
        threads: that PyTorch computes with.
        memory: of the machine, GB.
        gpu: what was measured, with its CUDA; "" where that was the CPU.
        python, torch: versions.
        date: today's.
        commit: of the code, with a mark where it has been changed since.
    """

    processor: str
    cores: int
    threads: int
    memory: float
    gpu: str
    python: str
    torch: str
    date: str
    commit: str


def load() -> float:
    """Processes that wanted to run over the last minute."""
    return os.getloadavg()[0]


def this_machine(device: torch.device) -> Machine:
    return Machine(
        processor=processor(),
        cores=joblib.cpu_count(),
        threads=torch.get_num_threads(),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        gpu=_gpu(device) if device.type == "cuda" else "",
        python=platform.python_version(),
        torch=torch.__version__,
        date=datetime.date.today().isoformat(),
        commit=_commit(),
    )


def _gpu(device: torch.device) -> str:
    found = torch.cuda.get_device_properties(device)
    return f"one {found.name} ({found.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda})"


def _commit() -> str:
    try:
        named = _git("rev-parse", "--short", "HEAD")
        return named + (" and changes" if _git("status", "--porcelain", "--", "src", "benchmarks", "conf") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
