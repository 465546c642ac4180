"""The base of the datasets that hold one file or folder: a save is whole or absent, a run reads its own."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import fsspec
from kedro.io.core import (
    AbstractDataset,
    AbstractVersionedDataset,
    DatasetError,
    Version,
    get_filepath_str,
    get_protocol_and_path,
)

from fanogan_pipeline.datasets.staging import sweep, whole_file, whole_version
from fanogan_pipeline.datasets.versions import COMPLETE, VersionsMixin
from fanogan_pipeline.errors import InputError, PlainError, SizeError, one_line

logger = logging.getLogger(__name__)
T = TypeVar("T")

# No deflate stream grows by more than this on decompression (zlib's technical details): to promise more is to lie.
DEFLATE_MAXIMUM_RATIO = 1032


class AtomicFileDataset(VersionsMixin, AbstractVersionedDataset):
    """One file, or one folder with versions, that is saved whole or not at all: give `_read` and `_write`.

    Saving: `_write` makes a local draft; the draft becomes the version in one step (a rename on a
    local disk, one upload elsewhere), or never. Loading: whatever `_read` raises on a broken file
    becomes one line that names the file and the way out, which is never to delete a file that could not
    be looked into or is only too large. All these errors reach the caller as Kedro's `DatasetError` with
    the `InputError` as cause.

    Args:
        filepath: local path or URL that fsspec knows.
        version: set by Kedro where the catalog says `versioned: true`.
        credentials, fs_args: for the file system.
        max_bytes: a file that is larger, or grows larger on reading, is neither saved nor read.
        metadata: for kedro-viz; not read here.
    """

    _FORM = "file"
    is_kept_up = False  # a file that its run saves again as it goes on, each time in place of the one before

    def __init_subclass__(cls, **kwargs: Any) -> None:
        inherits = "__init__" not in cls.__dict__
        super().__init_subclass__(**kwargs)
        if inherits:
            # Kedro wraps an inherited constructor once more, which hides its arguments from `catalog.to_config`.
            del cls.__init__

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        max_bytes: int = 4 << 30,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if self._IS_FOLDER and version is None:  # a folder cannot be replaced in one step
            raise InputError(
                f"{filepath}: {type(self).__name__} without versions, expected versioned: true in the catalog"
            )
        self._protocol, path = get_protocol_and_path(filepath, version)
        self._fs = fsspec.filesystem(self._protocol, **(credentials or {}), **(fs_args or {}))
        self._max_bytes = max_bytes
        self.metadata = metadata
        super().__init__(filepath=PurePosixPath(path), version=version, exists_function=self._fs.exists)

    def _read_bytes(self, path: str) -> bytes:
        check_size(self._fs.size(path) or 0, self._max_bytes)
        return self._fs.cat_file(path)

    def _write_bytes(self, path: Path, content: bytes) -> None:
        check_size(len(content), self._max_bytes)
        path.write_bytes(content)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol, "version": self._version}

    # What each form gives, on a place that is settled.

    def _read(self, path: str) -> Any:
        """The data at a path of this dataset's file system."""
        raise NotImplementedError

    def _write(self, path: Path, data: Any) -> None:
        """Draft the data at a local path where nothing is yet."""
        raise NotImplementedError

    def _get_save_path(self) -> PurePosixPath:
        if self.is_kept_up and (version := self.resolve_save_version()):
            return self._get_versioned_path(version)  # Kedro's own refuses one that is there
        return super()._get_save_path()

    # Loading and saving.

    def load(self) -> Any:
        return self._reading(self._read)

    def _reading(self, read: Callable[[str], T]) -> T:
        """What `read` makes of the place of the version that is loaded; of its errors, one line for the user."""
        if self._protocol == "file":
            sweep(Path(self._filepath if self._version else self._filepath.parent))
        path = get_filepath_str(self._get_load_path(), self._protocol)
        if not self._version and not self._is_there(path):
            raise InputError(f"{path}: no such file; run the pipeline that writes it first")
        try:
            return read(path)
        except SizeError as error:  # no word of deleting it
            raise InputError(f"{path}: {error}") from error
        except PlainError as error:
            raise InputError(f"{path}: {error}; {self._way_out(path)}") from error
        except DatasetError:
            raise
        except Exception as error:
            if _is_out_of_reach(error):
                raise self._out_of_reach(path, error) from error
            found = f"not a readable {self._FORM} ({one_line(error)})"
            raise InputError(f"{path}: {found}; {self._way_out(path)}") from error

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
        if version and version != self._own_version:
            self._warn_of_later(version)
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


def _is_out_of_reach(error: BaseException) -> bool:
    """Whether it was not the content that reading failed on: damaged content raises no errors of the system's."""
    is_of_system = isinstance(error, OSError) and error.errno is not None
    return is_of_system or isinstance(error, (MemoryError, ConnectionError, TimeoutError))


def check_size(size: int, most: int) -> None:
    """Refuse `size` bytes where `most` are allowed (SizeError), before any memory is taken."""
    if size > most:
        raise SizeError(f"holds {size:,} bytes, expected at most {most:,}, see max_bytes in the catalog")
