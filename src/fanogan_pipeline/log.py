"""What a run logs, as the reader's place wants it: coloured on a terminal, a record a line in a pipe."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from rich.logging import RichHandler

PLAIN = "%(asctime)s %(levelname)s %(message)s"


class _Lines(logging.StreamHandler):
    """Writes to what is standard output now, as rich's handler does."""

    def __init__(self, level: int) -> None:
        logging.Handler.__init__(self, level)

    @property
    def stream(self) -> TextIO:
        return sys.stdout


def suit_the_reader() -> None:
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
    """The levels of `conf/logging.yml`, which Kedro does not look for in an archive of the configuration."""
    logging.getLogger("kedro.io").setLevel(logging.WARNING)
    logging.getLogger("kedro_viz").setLevel(logging.ERROR)  # it misses a project's folder to leave its notes in
