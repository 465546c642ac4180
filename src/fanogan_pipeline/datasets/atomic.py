"""The mixin that makes any versioned Kedro dataset safe: a save is whole or absent, a run reads its own."""

from __future__ import annotations

import inspect
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

import fsspec
from fsspec.implementations.local import LocalFileSystem
from kedro.io.core import (
    AbstractDataset,
    DatasetError,
    Version,
    VersionNotFoundError,
    get_filepath_str,
)

from fanogan_pipeline.datasets.staging import sweep, whole_file, whole_version
from fanogan_pipeline.errors import InputError, PlainError

logger = logging.getLogger(__name__)

# Written last into a folder on a remote store, where nothing can be renamed in one step.
COMPLETE = ".complete"


class AtomicMixin:
    """Stands before a Kedro dataset class and takes its saving, loading and versions in hand.

    Saving: the class writes to a local draft; the draft becomes the version in one step (a rename on a
    local disk, one upload elsewhere), or never. Versions: the one pinned by `--load-versions`, else the
    one this run wrote itself, else the newest complete one, the same for every load until `release`.
    Loading: whatever the class raises on a broken file becomes one line that names the file and the
    way out, which is never to delete a file that could not be looked into. All these errors reach the
    caller as Kedro's `DatasetError` with the `InputError` as cause.

    Works on a class that asks `_get_save_path` and `_get_load_path` for its place and `_fs` for its file
    system, as those of kedro-datasets do; others give `_read` and `_write`.
    """

    _FORM = "file"
    _IS_FOLDER = False
    _draft: Path | None = None
    _own_version: str | None = None
    is_out_of_date = False  # stored, yet to be made again: does not count as existing until it is saved
    is_kept_up = False  # a file that its run saves again as it goes on, each time in place of the one before

    _fs: fsspec.AbstractFileSystem
    _protocol: str
    _filepath: PurePosixPath
    _version: Version | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        inherits = "__init__" not in cls.__dict__
        super().__init_subclass__(**kwargs)
        if inherits:
            # Kedro wraps an inherited constructor once more, which hides its arguments from `catalog.to_config`.
            del cls.__init__

    if TYPE_CHECKING:  # what Kedro's versioned class gives
        _cached_load_version: str | None

        def _get_load_path(self) -> PurePosixPath: ...
        def _get_versioned_path(self, version: str) -> PurePosixPath: ...
        def _clear_version_cache(self) -> None: ...
        def resolve_save_version(self) -> str | None: ...

    # What the class behind does, on a place that is settled.

    def _read(self, path: str) -> Any:
        """The data at a path of this dataset's file system."""
        return inspect.unwrap(super().load.__func__)(self)  # type: ignore[misc]

    def _write(self, path: Path, data: Any) -> None:
        """Draft the data at a local path where nothing is yet."""
        filesystem, self._fs, self._draft = self._fs, LocalFileSystem(auto_mkdir=True), path
        try:
            inspect.unwrap(super().save.__func__)(self, data)  # type: ignore[misc]
        finally:
            self._fs, self._draft = filesystem, None

    def _get_save_path(self) -> PurePosixPath:
        if self._draft:
            return PurePosixPath(self._draft)
        if self.is_kept_up and (version := self.resolve_save_version()):
            return self._get_versioned_path(version)  # Kedro's own refuses one that is there
        return super()._get_save_path()  # type: ignore[misc]

    # Loading and saving.

    def load(self) -> Any:
        if self._protocol == "file":
            sweep(Path(self._filepath if self._version else self._filepath.parent))
        path = get_filepath_str(self._get_load_path(), self._protocol)
        if not self._version and not self._is_there(path):
            raise InputError(f"{path}: no such {self._kind()}; run the pipeline that writes it first")
        try:
            return self._read(path)
        except PlainError as error:
            raise InputError(f"{path}: {error}; {self._way_out(path)}") from error
        except DatasetError:
            raise
        except Exception as error:
            found = one_line(error)
            if _is_out_of_reach(error):
                raise InputError(
                    f"{path}: cannot be read ({getattr(error, 'strerror', None) or found}), yet it may well be whole; "
                    "keep it and check permissions, memory and connection"
                ) from error
            raise InputError(f"{path}: not a readable {self._FORM} ({found}); {self._way_out(path)}") from error

    def save(self, data: Any) -> None:
        self._clear_version_cache()
        version = self.resolve_save_version()
        target = self._get_save_path()
        try:
            if self._protocol != "file":
                self._upload(target, data)
            else:
                with self._drafted(Path(target)) as draft:
                    self._write(draft, data)
        except PlainError as error:
            raise InputError(f"{target}: not saved, {error}") from error
        except OSError as error:
            raise InputError(
                f"{target}: not saved ({error.strerror or one_line(error)}), and nothing changed; check the space left "
                "on the disk, the permissions, and whether a file stands where a folder should"
            ) from error
        self._own_version, self.is_out_of_date = version, False
        if self._version and self._version.load and self._version.load != version:
            logger.warning(
                "%s: this run wrote version %s, yet --load-versions makes it read %s",
                self._filepath,
                version,
                self._version.load,
            )

    def _drafted(self, target: Path) -> AbstractContextManager[Path]:
        if not self._version:
            return whole_file(target)
        if self.is_kept_up and target.exists():
            return whole_file(target, target.parent.parent)  # where drafts of versions are looked for and swept
        return whole_version(target)

    @classmethod
    def _save_wrapper(cls, save_func: Callable[..., None]) -> Callable[..., None]:
        # Kedro's own for versioned classes settles versions in its way and explains away missing files.
        return AbstractDataset._save_wrapper.__func__(cls, save_func)  # type: ignore[attr-defined]

    def _upload(self, target: PurePosixPath, data: Any) -> None:
        """Draft locally, then put: a file in one step; of a folder, the mark that makes it count comes last."""
        with tempfile.TemporaryDirectory(prefix="fanogan-") as place:
            draft = Path(place) / target.name
            self._write(draft, data)
            remote = get_filepath_str(target, self._protocol)
            if self._IS_FOLDER:
                for file in sorted(path for path in draft.rglob("*") if path.is_file()):
                    self._fs.put_file(str(file), f"{remote}/{file.relative_to(draft).as_posix()}")
                self._fs.pipe_file(f"{remote}/{COMPLETE}", b"")
            else:
                self._fs.put_file(str(draft), remote)
        self._fs.invalidate_cache()

    # Versions.

    def resolve_load_version(self) -> str | None:
        """The version that is read now; None where the dataset is not versioned."""
        if not self._version:
            return None
        if pinned := self._version.load:
            if self._is_complete(pinned):
                return pinned
            self._refuse_version(f"found no version {pinned}, expected one of: {self._listed()}")
        for own in (self._own_version, self._version.save):
            if own and self._is_complete(own):
                return own
        return self._fetch_latest_load_version()

    def _fetch_latest_load_version(self) -> str:
        if self._cached_load_version is None:
            self._cached_load_version = next(self._versions(), None)
        if self._cached_load_version is None:
            self._refuse_version("found no version of it; run the pipeline that writes it first")
        return self._cached_load_version

    def _get_versions(self) -> list[str]:
        """Paths of all complete versions, newest first."""
        return [str(self._get_versioned_path(version)) for version in self._versions()]

    def _versions(self) -> Iterator[str]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(str(self._filepath), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from filter(self._is_complete, sorted({PurePosixPath(path).name for path in found}, reverse=True))

    def _is_complete(self, version: str) -> bool:
        return not version.startswith(".") and self._is_there(str(self._get_versioned_path(version)))

    def _is_there(self, path: str) -> bool:
        if not self._IS_FOLDER:
            return bool(self._fs.isfile(path))
        return bool(self._fs.isdir(path) if self._protocol == "file" else self._fs.exists(f"{path}/{COMPLETE}"))

    def _exists(self) -> bool:
        if self.is_out_of_date:
            return False
        if not self._version:
            return self._is_there(get_filepath_str(self._filepath, self._protocol))
        if self._version.load:
            return self._is_complete(self._version.load)
        return next(self._versions(), None) is not None

    # Words.

    def _kind(self) -> str:
        return "folder" if self._IS_FOLDER else "file"

    def _listed(self, most: int = 10) -> str:
        versions = list(self._versions())
        more = f" and {len(versions) - most} older ones" if len(versions) > most else ""
        return (", ".join(versions[:most]) or "none, it was never written") + more

    def _refuse_version(self, reason: str) -> NoReturn:
        message = f"{self._filepath}: {reason}"
        raise VersionNotFoundError(message) from InputError(message)

    def _way_out(self, path: str) -> str:
        """What to do about a file that was saved whole and is broken now."""
        again = "run the pipeline that writes it again"
        if not self._version:
            return f"delete it and {again}"
        broken = PurePosixPath(path).parent
        other = next((version for version in self._versions() if version != broken.name), None)
        if other is None:
            return f"delete {broken} and {again}"
        return f"delete {broken}, or read another with --load-versions {self._filepath.stem}:{other}"


def _is_out_of_reach(error: BaseException) -> bool:
    """Whether it was not the content that reading failed on: damaged content raises no errors of the system's."""
    is_of_system = isinstance(error, OSError) and error.errno is not None
    return is_of_system or isinstance(error, (MemoryError, ConnectionError, TimeoutError))


def one_line(error: BaseException, most: int = 300) -> str:
    """An error's text on one line of at most `most` characters."""
    text = " ".join(str(error).split())[:most]
    return text or type(error).__name__
