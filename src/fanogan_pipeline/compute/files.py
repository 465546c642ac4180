"""Files of unfinished work: each whole or absent, and one that cannot be written is told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fanogan_pipeline.datasets.staging import private_directory, whole_file
from fanogan_pipeline.errors import InputError, one_line


@contextmanager
def work_file(target: Path) -> Iterator[Path]:
    """As `whole_file`.

    Raises:
        InputError: the file cannot be written; those before stay.
    """
    with _telling(target), whole_file(target) as draft:
        yield draft


def make_folder(folder: Path) -> None:
    """The folder and the missing ones above it.

    Raises:
        InputError: it cannot be made.
    """
    with _telling(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """As `private_directory`.

    Raises:
        InputError: it cannot be made.
    """
    with ExitStack() as stack:
        with _telling(place):
            folder = stack.enter_context(private_directory(place))
        yield folder


@contextmanager
def _telling(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written ({error.strerror or one_line(error)}), finished parts are kept; check the "
            "space left on the disk and the permissions, then the same command goes on from there"
        ) from error
