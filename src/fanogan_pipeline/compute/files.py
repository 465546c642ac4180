"""Files of unfinished work: each whole or absent, and one that cannot be written is told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from fanogan_pipeline.datasets import staging
from fanogan_pipeline.datasets.staging import private_directory, whole_file

telling = partial(staging.telling, kept=", finished parts are kept")


@contextmanager
def work_file(target: Path) -> Iterator[Path]:
    """As `whole_file`.

    Raises:
        InputError: the file cannot be written; those before stay.
    """
    with telling(target), whole_file(target) as draft:
        yield draft


@contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """As `private_directory`.

    Raises:
        InputError: it cannot be made.
    """
    with ExitStack() as stack:
        with telling(place):
            folder = stack.enter_context(private_directory(place))
        yield folder
