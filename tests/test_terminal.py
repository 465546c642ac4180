"""What a person sees: a bar and colours on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from kedro.framework.project import configure_project, pipelines
from tests.project import ROOT

SHOW = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from fanogan_pipeline.training.progress import Progress
progress = Progress("wgan", 100, 40, 64)
for step in (60, 80, 100):
    progress.show(step, {"loss_critic": step / 8})
progress.close()
"""
REFUSED = ("-m", "kedro", "run", "--params", "wgan.stepz=1")


def on_a_terminal(*arguments: str, **variables: str) -> str:
    """What `python ARGUMENTS` writes to a terminal."""
    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 160))
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "160", **variables}
    process = subprocess.Popen([sys.executable, *arguments], stdout=theirs, stderr=theirs, env=environment, cwd=ROOT)
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(mine, 65536)
        except OSError:  # Linux's way of saying that nobody is left to write
            break
        if not chunk:
            break
        written += chunk
    os.close(mine)
    process.wait()
    return written.decode()


def in_a_pipe(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=cwd)


def test_training_shows_a_bar_on_a_terminal() -> None:
    shown = on_a_terminal("-c", SHOW)
    last = [part for part in shown.split("\r") if part.strip()][-1]
    assert "wgan: 100%" in last
    assert "100/100" in last
    assert "images/s" in last
    assert "loss_critic=12.5" in last
    assert "<00:00" in last  # the time left


def test_training_shows_lines_in_a_pipe() -> None:
    lines = in_a_pipe("-c", SHOW).stderr.splitlines()
    assert len(lines) == 1  # the last step; others only every so many seconds
    assert lines[0].startswith("wgan: step 100 of 100, ")
    assert lines[0].endswith("0 s left, loss_critic=12.5")


def test_a_refusal_is_red_on_a_terminal_alone() -> None:
    line = "Error: wgan: unknown parameter 'stepz'; did you mean 'steps'?"
    assert f"\x1b[31m{line}" in on_a_terminal(*REFUSED)
    plain = on_a_terminal(*REFUSED, NO_COLOR="1")
    assert line in plain
    assert "\x1b[31m" not in plain
    piped = in_a_pipe(*REFUSED)
    assert piped.returncode == 1
    assert piped.stderr.splitlines()[-1] == line
    assert "\x1b" not in piped.stdout + piped.stderr


def test_make_help_names_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = [line.split(":")[0] for line in Path(ROOT / "Makefile").read_text().splitlines() if ":  ##" in line]
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert set(targets) <= set(listed)
    assert {"run", "test", "lint", "coverage", "viz", "tensorboard"} <= set(listed)


def test_in_a_pipe_every_record_is_one_line(smoke_project: Path) -> None:
    lines = (smoke_project / "run.log").read_text().splitlines()
    records = [line for line in lines if re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO ", line)]
    assert sum("Completed node: " in line for line in records) == len(nodes_of_the_whole_job())
    others = [line for line in lines if line not in records]
    assert all(line[:1] in "┌│└" or line.startswith("report: ") for line in others), others


def nodes_of_the_whole_job() -> list[str]:
    configure_project("fanogan_pipeline")
    return [node.name for node in pipelines["__default__"].nodes]


SPREAD = """
import logging
import kedro.framework.project  # as the script kedro does, in its workers too
from fanogan_pipeline.compute.executors import cluster_of, processes
from fanogan_pipeline.parameters import ComputeParameters
def warn():
    logging.getLogger("fanogan_pipeline").warning("many " * 40)
if __name__ == "__main__":
    with ENGINE as executor:
        executor.submit(warn).result()
"""

BESIDE = """
import logging, os
import kedro.framework.project
from fanogan_pipeline.compute.worker import work
os.environ["RANK"] = "0"
try:
    work("no such job")
except FileNotFoundError:
    logging.getLogger("fanogan_pipeline").warning("many " * 40)
"""
DASK = "cluster_of(ComputeParameters(engine='dask', scheduler='', workers=1, shard_size=1))"


@pytest.mark.parametrize("script", [SPREAD.replace("ENGINE", "processes(1)"), SPREAD.replace("ENGINE", DASK), BESIDE])
def test_records_of_workers_are_lines_too(script: str, tmp_path: Path) -> None:
    if "dask" in script:
        pytest.importorskip("distributed")
    project = project_of_settings(tmp_path)
    (project / "spread.py").write_text(script)
    shown = in_a_pipe("spread.py", cwd=project, COLUMNS="80")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING (many ){40}\n", shown.stdout), shown.stdout


NAMES = """
import logging
from pathlib import Path
from kedro.framework.startup import bootstrap_project
from fanogan_pipeline.log import suit_the_reader
bootstrap_project(Path.cwd())
suit_the_reader()
logging.getLogger("fanogan_pipeline").warning("left out: %s", "[red]a[/b].png")
"""


def test_brackets_in_a_files_name_are_no_markup() -> None:
    assert "left out: [red]a[/b].png" in re.sub(r"\x1b\[[\d;]*m", "", on_a_terminal("-c", NAMES))
    assert "WARNING left out: [red]a[/b].png\n" in in_a_pipe("-c", NAMES).stdout


SPOKEN = """
import logging
import kedro.framework.project
from fanogan_pipeline.log import show, suit_the_reader
suit_the_reader()
logger = logging.getLogger("fanogan_pipeline.anything")
logger.setLevel("DEBUG")
for number in range(3):
    logger.log(logging.WARNING, "number %d", number)
logger.debug("for the log alone")
show("\\u250c\\u2500 the table")
"""


def project_of_settings(folder: Path) -> Path:
    """What Kedro knows a project by, and its logging."""
    (folder / "conf").mkdir(parents=True)
    for name in ("pyproject.toml", "conf/logging.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_a_table_is_shown_where_its_borders_have_no_letters() -> None:
    shown = in_a_pipe("-c", SPOKEN, PYTHONIOENCODING="ascii")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.endswith("?? the table\n")


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    project = project_of_settings(tmp_path)
    (project / "info.log").mkdir()
    shown = in_a_pipe("-c", SPOKEN, cwd=project)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.count("info.log: cannot be written (Is a directory); this run keeps no log") == 1


def test_a_project_keeps_its_log_wherever_in_it_a_run_is_started(tmp_path: Path) -> None:
    project = project_of_settings(tmp_path)
    (project / "notebooks").mkdir()
    shown = in_a_pipe("-c", SPOKEN, cwd=project / "notebooks")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "for the log alone" not in shown.stdout
    assert "for the log alone" in (project / "info.log").read_text()


@pytest.mark.parametrize("spoken", [SPOKEN, SPOKEN.replace("WARNING", "DEBUG")])
def test_a_run_goes_on_quietly_when_its_reader_has_read_enough(spoken: str, tmp_path: Path) -> None:
    project = project_of_settings(tmp_path)
    command = [sys.executable, "-c", spoken]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=project) as run:
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 0
    assert "for the log alone" in (project / "info.log").read_text()
