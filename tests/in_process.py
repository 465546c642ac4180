"""`kedro run` inside the test's own process: the very command, without the seconds that a new process takes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from tests.project import copy_project

from fanogan_pipeline.cli import cli  # before a project's copy of it can come first


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, and the last line that it wrote to its standard error."""

    status: int
    line: str
    output: str


def run_here(project: Path, *arguments: str) -> Outcome:
    """`kedro run ARGUMENTS` in the project."""
    with _standing_in(project), _logging_kept():
        bootstrap_project(project)
        done = CliRunner().invoke(cli, ["run", *arguments], catch_exceptions=False)
        lines = done.stderr.strip().splitlines()
        return Outcome(done.exit_code, lines[-1] if lines else "", done.output)


def copy_of(finished: Path, folder: Path) -> Path:
    """A project of its own with all that a finished one's runs have left."""
    project = copy_project(folder)
    for part in finished.glob("data/0[5-8]*"):
        shutil.copytree(part, project / "data" / part.name)
    return project


def stored_files(project: Path) -> dict[str, int]:
    """Every file under data/ that a run could have written, with its size."""
    found = [path for path in project.glob("data/0[5-8]*/**/*") if path.is_file()]
    return {str(path.relative_to(project)): path.stat().st_size for path in found}


@contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Kedro sets logging up anew for every project; the tests' own comes back afterwards."""
    loggers = [logging.getLogger(name) for name in (None, "kedro", "kedro.io", "fanogan_pipeline")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, handlers in before:
            for handler in set(logger.handlers) - set(handlers):
                handler.close()
            logger.setLevel(level)
            logger.handlers[:] = handlers
