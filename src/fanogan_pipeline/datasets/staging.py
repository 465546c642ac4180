"""The one way in which anything is written to a local disk here: whole, or not at all.

What is to be saved is drafted in a private directory beside its place, flushed to the disk and
moved into place by a rename, which the file system does in one step. Whatever happens before
that step leaves the place as it was; what a dead process leaves is a private directory, which
the next save or load in that place removes. A private directory belongs to a living process as
long as that holds its lock (flock), which ends with the process however that ends, so neither
process numbers nor clocks are trusted. The lock is on a file in the directory, made by whoever comes
first: a lock on the directory itself would not be seen by the other machines of an NFS mount.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fanogan_pipeline.errors import InputError, one_line

logger = logging.getLogger(__name__)

PREFIX = ".partial-"
LOCK = ".lock"


@contextmanager
def whole_version(target: Path) -> Iterator[Path]:
    """A path to draft `<place>/<version>/<name>` at, a file or a folder; its directory appears with it.

    Raises:
        FileExistsError: that version is there already; it stays untouched.
    """
    place = target.parent.parent
    with private_directory(place) as private:
        version = private / target.parent.name  # without the lock
        version.mkdir()
        yield version / target.name
        flush(version)
        try:
            os.rename(version, target.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise FileExistsError(errno.EEXIST, "this version is there already", str(target.parent)) from error
            raise
        flush_directory(place)


@contextmanager
def whole_file(target: Path, place: Path | None = None) -> Iterator[Path]:
    """A path to draft the file `target` at; the file of before, if any, is there until the new one is.

    Args:
        target: the file.
        place: directory to draft in, on the same file system; None: the file's own.
    """
    with private_directory(place or target.parent) as private:
        draft = private / f"partial-{target.name}"
        yield draft
        flush(draft)
        os.replace(draft, target)
        flush_directory(target.parent)


def sweep(place: Path) -> None:
    """Remove the drafts that dead processes left in a directory; those of living ones stay."""
    try:
        with os.scandir(place) as entries:
            leftovers = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    except OSError:
        return
    for leftover in leftovers:
        if remove_unless_held(leftover):
            logger.info("%s: removed the draft of a run that died while saving", leftover)


def remove_unless_held(folder: Path) -> bool:
    """Remove a directory that no living process holds a lock on; whether it was there and is gone."""
    doomed = folder.with_name(f"{PREFIX}{uuid.uuid4().hex}")
    try:
        lock = _open_lock(folder)
    except OSError:  # not there, or of another user
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_still(folder, lock):
            return False
        os.rename(folder, doomed)  # nobody can take it up while it is emptied
    except OSError:
        return False  # its process lives, or this file system knows no locks and nothing can be told
    finally:
        os.close(lock)  # before the file goes: NFS keeps one that is open under another name
    shutil.rmtree(doomed, ignore_errors=True)
    return not doomed.exists()


def but_the_latest(paths: Iterable[Path], count: int) -> list[Path]:
    """All but so many of those that were changed last."""
    return sorted(paths, key=_age)[count:]


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0  # gone in the meantime


def lock_directory(folder: Path, kind: int) -> int | None:
    """A descriptor that holds a lock of a kind (`fcntl.LOCK_SH`, `LOCK_EX`) on a directory; None where another process
    has removed it in between. On a file system without locks there is none to hold, and such a one is never removed."""
    try:
        lock = _open_lock(folder)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, kind)
    except OSError:
        return lock
    if _is_still(folder, lock):
        return lock
    os.close(lock)
    return None


def _open_lock(folder: Path) -> int:
    """The file of a directory's lock, made where it is missing; in none that a link leads to."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
    return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _is_still(folder: Path, lock: int) -> bool:
    """Whether the directory of that name is the one that the lock is in."""
    try:
        return os.path.samestat((folder / LOCK).stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def flush(path: Path) -> None:
    """Have the disk hold a file, or a folder and all that lies under it."""
    if not path.is_dir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return
    for child in path.iterdir():
        flush(child)
    flush_directory(path)


def flush_directory(path: Path) -> None:
    """Have the disk hold a directory's list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def private_directory(place: Path) -> Iterator[Path]:
    """A new locked directory in `place`; whatever is still in it at the end is removed."""
    _make_directory(place)
    sweep(place)
    private, lock = _claim(place)
    try:
        yield private
    finally:
        os.close(lock)
        shutil.rmtree(private, ignore_errors=True)


def _claim(place: Path) -> tuple[Path, int]:
    """Make a directory and lock it; start over where another process swept it in between."""
    while True:
        private = place / f"{PREFIX}{uuid.uuid4().hex}"
        private.mkdir()
        if (lock := lock_directory(private, fcntl.LOCK_EX)) is not None:
            return private, lock


def _make_directory(path: Path) -> None:
    """The directory and the missing ones above it, each on the disk."""
    if not path.is_dir():
        _make_directory(path.parent)
        path.mkdir(exist_ok=True)
        flush_directory(path.parent)


@contextmanager
def telling(place: Path, kept: str = "") -> Iterator[None]:
    """Turns errors of the file system into an InputError of one line; `kept` says what is safe all the same."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{place}: cannot be written ({error.strerror or one_line(error)}){kept}; check the space left on the disk "
            "and the permissions, then the same command with --only-missing-outputs goes on from there"
        ) from error
