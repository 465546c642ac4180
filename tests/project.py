"""Copies of this project in temporary folders, and the commands a user would type in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def copy_project(folder: Path) -> Path:
    """A project of its own with this one's code, configuration (not the user's) and raw MNIST, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pyproject.toml", "README.md", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)  # no links: plugins of Kedro's write into the first
    # Kedro wants the code to lie in the project, links followed
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=lambda path, names: names if path.endswith("local") else [])
    (folder / "data/01_raw").mkdir(parents=True)
    (folder / "data/01_raw/mnist").symlink_to(ROOT / "data/01_raw/mnist")
    return folder


def kedro(project: Path, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    """`kedro ARGUMENTS` in the project, as `in_python` runs it."""
    return in_python(project, "-m", "kedro", *arguments, expect=expect)


def in_python(project: Path, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` in the project, without colours, on one thread."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
    environment["PYTHONPATH"] = str(project / "src")
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert expect is None or done.returncode == expect, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def newest(project: Path, dataset: str) -> Path:
    """The newest version of a file under data/, by its file name."""
    return sorted(project.glob(f"data/*/{dataset}/*/{dataset}"))[-1]
