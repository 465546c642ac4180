"""What a run is made in: the code's commit, packages, machine and device."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib


def git_state(folder: Path) -> dict[str, Any] | None:
    """`commit` (hex) and `is_clean` of the repository around a folder; None without git or a commit."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    answers = []
    for question in (["rev-parse", "HEAD"], ["status", "--porcelain"]):
        try:
            done = subprocess.run(
                ["git", *question], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        answers.append(done.stdout.strip())
    return {"commit": answers[0], "is_clean": not answers[1]}


def packages() -> dict[str, str]:
    """Name -> version of everything installed."""
    texts = (item.metadata for item in metadata.distributions())  # each read once, for that takes a while
    found = {text["Name"]: text["Version"] for text in texts}
    return dict(sorted((name, version) for name, version in found.items() if name))


def machine() -> dict[str, Any]:
    """What besides the parameters a result's last bits depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    return {**found, "processor": processor(), "cores": joblib.cpu_count()}


def processor() -> str:
    """Name of the CPU, or of its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def device(wanted: str) -> dict[str, Any]:
    """What computes where the parameter `device` says so: `device`, and of a GPU `cuda` and `cudnn`, the versions.

    Nothing in a process that has not needed PyTorch, whose import takes a second.
    """
    if "torch" not in sys.modules:
        return {}
    import torch

    if wanted == "cpu" or not torch.cuda.is_available():
        return {"device": "cpu"}
    libraries = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return {"device": torch.cuda.get_device_name(), **libraries}
