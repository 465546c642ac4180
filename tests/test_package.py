"""The packaged project runs away from its source tree, with the archive of its configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.cli import project as kedro_project
from kedro.framework.startup import bootstrap_project
from tests.project import ROOT, copy_project, newest

pytest.importorskip("build")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `kedro package` makes: the unpacked wheel (`site`) and the archive `conf.tar.gz`."""
    folder = tmp_path_factory.mktemp("package")
    project = copy_project(folder / "project")
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/local/credentials.yml").write_text("mine: {key: secret}")

    def call(command: list[str], **_: str) -> None:
        """Kedro's, in the project, with the setuptools that is installed: it would fetch one."""
        command = [*command, *(["--no-isolation"] if "build" in command else [])]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kedro_project, "call", call)
        CliRunner().invoke(kedro_project.package, obj=bootstrap_project(project), catch_exceptions=False)
    (wheel,) = project.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    shutil.move(project / "dist/conf-fanogan_pipeline.tar.gz", folder / "conf.tar.gz")
    return folder


def test_the_wheel_holds_every_module(package: Path) -> None:
    wanted = {path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*.py")}
    assert wanted <= {path.relative_to(package / "site") for path in (package / "site").rglob("*.py")}
    assert "fanogan_pipeline = fanogan_pipeline.__main__:main" in next(
        (package / "site").glob("*.dist-info/entry_points.txt")
    ).read_text().replace("\n", " ")


def test_credentials_stay_at_home(package: Path) -> None:
    with tarfile.open(package / "conf.tar.gz") as archive:
        names = archive.getnames()
    assert "conf/base/catalog.yml" in names
    assert "conf/local/credentials.yml" not in names


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
