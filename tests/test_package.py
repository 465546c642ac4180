"""The packaged project runs away from its source tree, with the archive of its configuration."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.project import ROOT, copy_project, newest

pytest.importorskip("build")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `kedro package` makes: the unpacked wheel (`site`) and the archive `conf.tar.gz`.

    Built with the setuptools that is installed, since `kedro package` itself would fetch one.
    """
    folder = tmp_path_factory.mktemp("package")
    project = copy_project(folder / "project")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(project)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    with tarfile.open(folder / "conf.tar.gz", "w:gz") as archive:
        archive.add(project / "conf", "conf")
    return folder


def test_the_wheel_holds_every_module(package: Path) -> None:
    wanted = {path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*.py")}
    assert wanted <= {path.relative_to(package / "site") for path in (package / "site").rglob("*.py")}
    assert "fanogan_pipeline = fanogan_pipeline.__main__:main" in next(
        (package / "site").glob("*.dist-info/entry_points.txt")
    ).read_text().replace("\n", " ")


def run(package: Path, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package / "site"), "NO_COLOR": "1", "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "fanogan_pipeline", "--conf-source", str(package / "conf.tar.gz"), *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


def test_it_runs_in_an_empty_folder(package: Path, tmp_path: Path) -> None:
    (tmp_path / "data/01_raw").mkdir(parents=True)
    (tmp_path / "data/01_raw/mnist").symlink_to(ROOT / "data/01_raw/mnist")
    done = run(package, tmp_path, "--env", "smoke", "--pipelines", "data_prep")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert newest(tmp_path, "train_set.npz").stat().st_size > 100_000
    assert "Completed node: data_prep.build_sets" in done.stdout
    assert "WARNING" not in done.stdout
    assert "Loading data from" not in done.stdout


def test_its_errors_are_one_line_too(package: Path, tmp_path: Path) -> None:
    done = run(package, tmp_path, "--params", "wgan.stepz=3")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Error: wgan: unknown parameter 'stepz'; did you mean 'steps'?"
