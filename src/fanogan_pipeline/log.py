"""What a run logs, as the reader's place wants it: coloured on a terminal, a record a line in a pipe."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import sys
from pathlib import Path
from typing import TextIO

import yaml
from kedro.framework.context.context import _convert_paths_to_absolute_posix
from kedro.framework.project import LOGGING
from kedro.utils import find_config_file, find_kedro_project
from rich.logging import RichHandler

logger = logging.getLogger(__name__)
PLAIN = "%(asctime)s %(levelname)s %(message)s"


class _Lines(logging.StreamHandler):
    """Writes to what is standard output now, as rich's handler does."""

    def __init__(self, level: int) -> None:
        logging.Handler.__init__(self, level)

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, the name is logging's
        if not isinstance(sys.exception(), BrokenPipeError):
            return super().handleError(record)
        _fall_silent()


def show(text: str) -> None:
    """Print what is for people to read at the end of a run."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _fall_silent()


def _fall_silent() -> None:
    """Whoever read along, `head` say, has read enough: the run goes on without a word."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def suit_the_reader() -> None:
    """Set up what Kedro's logging leaves open: where it goes, and how the console shows it."""
    _find_configuration()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a run does not fail for a table's border that ASCII lacks
    _refit_console()
    _drop_unwritable_files()


def _find_configuration() -> None:
    """Kedro looks for `conf/logging.yml` in the current folder alone, not in the project around it."""
    project = find_kedro_project(Path.cwd())
    if "KEDRO_LOGGING_CONFIG" in os.environ or find_config_file("conf/logging") or project is None:
        return
    if (path := project / "conf/logging.yml").is_file():
        LOGGING.configure(_convert_paths_to_absolute_posix(project, yaml.safe_load(path.read_text("utf-8"))))


def _drop_unwritable_files() -> None:
    """Log to no file that cannot be written: every single record would fail."""
    root = logging.getLogger()
    for handler in [found for found in root.handlers if isinstance(found, logging.FileHandler)]:
        try:
            open(handler.baseFilename, "a").close()
        except OSError as error:
            root.removeHandler(handler)
            level = logging.DEBUG if multiprocessing.parent_process() else logging.WARNING  # a run's processes are many
            logger.log(level, "%s: cannot be written (%s); this run keeps no log", handler.baseFilename, error.strerror)


def _refit_console() -> None:
    """Refit Kedro's handler of the console.

    On a terminal, brackets in a message are no markup: a file may be called "[/b].png". Elsewhere rich would fold every
    record to 80 columns, so that nothing could be searched for.
    """
    root = logging.getLogger()
    for handler in [found for found in root.handlers if isinstance(found, RichHandler)]:
        handler.markup = False
        if not sys.stdout.isatty():
            lines = _Lines(handler.level)
            lines.setFormatter(logging.Formatter(PLAIN, "%Y-%m-%d %H:%M:%S"))
            root.removeHandler(handler)
            root.addHandler(lines)


def quieten_the_package() -> None:
    """Quieten what `conf/logging.yml` does, which Kedro does not look for in an archive of the configuration."""
    logging.getLogger("kedro.io").setLevel(logging.WARNING)
    logging.getLogger("kedro_viz").setLevel(logging.ERROR)  # it misses a project's folder to leave its notes in
