"""Which versions of a dataset are whole, and which of them a run reads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NoReturn

import fsspec
from kedro.io.core import Version, VersionNotFoundError, get_filepath_str

from fanogan_pipeline.errors import InputError, one_line, plural

logger = logging.getLogger(__name__)

# Written last into a folder on a remote store, where nothing can be renamed in one step.
COMPLETE = ".complete"


class VersionsMixin:
    """Settles which version is read: the one pinned by `--load-versions`, else the one this run wrote itself, else the
    newest complete one, the same for every load until `release`.

    One that cannot be looked at is never passed over for an older one, which would be read without a word.
    """

    _IS_FOLDER = False
    _own_version: str | None = None
    is_out_of_date = False  # stored, yet to be made again: does not count as existing until it is saved

    _fs: fsspec.AbstractFileSystem
    _protocol: str
    _filepath: PurePosixPath
    _version: Version | None

    if TYPE_CHECKING:  # what Kedro's versioned class gives
        _cached_load_version: str | None

        def _get_versioned_path(self, version: str) -> PurePosixPath: ...

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
        return filter(self._is_complete, self._names())

    def _names(self) -> list[str]:
        """What lies where versions do, newest first, complete or not."""
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(str(self._filepath), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except Exception as error:
            raise self._out_of_reach(str(self._filepath), error) from error
        return sorted({PurePosixPath(path).name for path in found}, reverse=True)

    def _is_complete(self, version: str) -> bool:
        return not version.startswith(".") and self._is_there(str(self._get_versioned_path(version)))

    def _is_there(self, path: str) -> bool:
        """Whether a whole file or folder stands there. Raises InputError where nobody can tell."""
        is_marked = self._IS_FOLDER and self._protocol != "file"
        try:
            kind = self._fs.info(f"{path}/{COMPLETE}" if is_marked else path)["type"]
        except (FileNotFoundError, NotADirectoryError):
            return False
        except Exception as error:  # each store has errors of its own for a refusal and for no answer
            raise self._out_of_reach(path, error) from error
        return bool(kind == ("directory" if self._IS_FOLDER and not is_marked else "file"))

    def _exists(self) -> bool:
        if self.is_out_of_date:
            return False
        if not self._version:
            return self._is_there(get_filepath_str(self._filepath, self._protocol))
        if self._version.load:
            return self._is_complete(self._version.load)
        return next(self._versions(), None) is not None

    # Words.

    def _warn_of_later(self, version: str) -> None:
        """Say so where another version than the one just saved counts as the newest."""
        try:
            newest = next(self._readable(), version)
        except InputError:  # it has been saved for all that
            return
        if newest > version:
            logger.warning(
                "%s: later runs read version %s and not %s of this run, which began before it by the clock; to read "
                "this one, --load-versions %s:%s, or remove the other",
                *(self._filepath, newest, version, self._filepath.stem, version),
            )

    def _readable(self) -> Iterator[str]:
        """Complete versions, newest first, without those that cannot be looked at: for words about another one."""
        for version in self._names():
            try:
                is_complete = self._is_complete(version)
            except InputError:
                continue
            if is_complete:
                yield version

    def _listed(self, most: int = 10) -> str:
        versions = list(self._readable())
        more = f" and {plural(len(versions) - most, 'older one')}" if len(versions) > most else ""
        return (", ".join(versions[:most]) or "none, it was never written") + more

    def _refuse_version(self, reason: str) -> NoReturn:
        message = f"{self._filepath}: {reason}"
        raise VersionNotFoundError(message) from InputError(message)

    def _out_of_reach(self, path: str, error: BaseException) -> InputError:
        """What to say where it was not the content that reading failed on."""
        other = ", or read another with --load-versions" if self._version else ""
        return InputError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or one_line(error)}), yet it may well be "
            f"whole; keep it and check permissions, memory and connection{other}"
        )

    def _way_out(self, path: str) -> str:
        """What to do about a file that was saved whole and is broken now."""
        again = "run the pipeline that writes it again"
        if not self._version:
            return f"delete it and {again}"
        broken = PurePosixPath(path).parent
        other = next((version for version in self._readable() if version != broken.name), None)
        if other is None:
            return f"delete {broken} and {again}"
        return f"delete {broken}, or read another with --load-versions {self._filepath.stem}:{other}"
