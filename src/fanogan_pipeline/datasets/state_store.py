"""Where unfinished training lies, so that the same command goes on after a crash."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import re
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from kedro.io import AbstractDataset, DatasetError

from fanogan_pipeline.datasets.staging import but_the_latest, sweep, whole_file
from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.lazy import lazily

with lazily():
    from fanogan_pipeline import networks
    from fanogan_pipeline.datasets import safetensors_format

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_SUFFIX = ".safetensors"
_HELD: dict[Path, BinaryIO] = {}  # the states that this process holds, in whichever `StateStore`


class StateStore:
    """Training states in a folder, a safetensors file for each key such as `wgan-<digest>`.

    A save is whole or absent, and the last one wins. A state that a living process has saved or loaded
    is held by it (a shared lock that ends with `release` or the process): another one's `sweep` leaves it alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> networks.Checkpoint | None:
        """The state, or None where there is none; one that cannot be read counts as none, with a warning."""
        path = self._path(key)
        sweep(self.folder)
        try:
            with path.open("rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("%s: cannot be read (%s); training starts afresh", path, error.strerror)
            return None
        try:
            state = safetensors_format.from_bytes(data, origin=str(path))
        except InputError as error:
            logger.warning("%s: %s; training starts afresh", path, error)
            return None
        self._hold(key, _shared(path))
        return state

    def save(self, key: str, state: networks.Checkpoint) -> None:
        """Put the state in place of the one before.

        Raises:
            InputError: it cannot be written; the one before stays.
        """
        path = self._path(key)
        try:
            with whole_file(path) as draft:
                draft.write_bytes(safetensors_format.to_bytes(state))
                file = _shared(draft)  # the one before is held until this one is in its place
        except OSError as error:
            raise InputError(
                f"{path}: the training state cannot be saved ({error.strerror or error}), one saved before stays; "
                "check the space left and the permissions, then the same command with --only-missing-outputs goes on "
                "from there"
            ) from error
        self._hold(key, file)

    def discard(self, key: str) -> None:
        """Remove the state, if there is one."""
        self._path(key).unlink(missing_ok=True)
        self.release(key)

    def release(self, key: str) -> None:
        """Let any process go on from the state: this one is no longer at it."""
        if file := _HELD.pop(self._path(key).absolute(), None):
            file.close()

    def held(self, prefix: str = "") -> list[str]:
        """The keys of the states that this process holds, of those that start with the prefix."""
        return [key for key in self.keys() if key.startswith(prefix) and self._path(key).absolute() in _HELD]

    def keys(self) -> list[str]:
        """The keys of all states, sorted."""
        return sorted(path.stem for path in self.folder.glob(f"*{_SUFFIX}") if _KEY.fullmatch(path.stem))

    def unheld(self, key: str) -> str:
        """The first of key, key-2, key-3, ... whose state is there and no other living process is known to hold, else
        the first that is not there."""
        there = [one for one in self.keys() if one == key or one.startswith(f"{key}-")]
        names = itertools.chain([key], (f"{key}-{number}" for number in itertools.count(2)))
        free = (one for one in there if not self._is_held(one))
        return next(itertools.chain(free, (one for one in names if one not in there)))

    def sweep(self, prefix: str, keep: str, most: int) -> None:
        """Remove stale states: those whose key starts with `prefix`, but for `keep`, the `most` last saved of the
        rest, and whatever another living process holds or may hold."""
        others = [self._path(key) for key in self.keys() if key.startswith(prefix) and key != keep]
        for path in but_the_latest(others, most):
            if self._is_held(path.stem) is False:
                self.discard(path.stem)
                logger.info("%s: removed, %s kept", path, plural(most, "later unfinished one"))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise InputError(f"training state {key!r}: not a key, expected letters, digits and . _ -")
        return self.folder / f"{key}{_SUFFIX}"

    def _hold(self, key: str, file: BinaryIO) -> None:
        self.release(key)
        _HELD[self._path(key).absolute()] = file

    def _is_held(self, key: str) -> bool | None:
        """Whether another living process holds the state; None where nothing tells."""
        path = self._path(key)
        if path.absolute() in _HELD:
            return False
        try:  # NFS locks exclusively only what is open for writing
            with path.open("rb+" if os.access(path, os.W_OK) else "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False


def _shared(path: Path) -> BinaryIO:
    """The file with a shared lock on it, as long as it is open."""
    file = path.open("rb")
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        logger.debug("%s: this file system knows no locks", path)
    return file


class StateStoreDataset(AbstractDataset[NoReturn, StateStore]):
    """The `StateStore` in a local folder, for nodes that train; nothing is saved through the catalog.

    Args:
        filepath: the folder; made on the first save.
        metadata: for kedro-viz; not read here.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        if "://" in str(filepath):
            raise InputError(f"{filepath}: found a URL, expected a local folder for the states of training")
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> StateStore:
        return StateStore(self._folder)

    def save(self, data: Any) -> None:
        raise DatasetError("StateStoreDataset is filled by training itself, not through the catalog")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder.as_posix()}

    def _exists(self) -> bool:
        return True
