"""The base of the datasets that hold one file or folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from kedro.io.core import AbstractVersionedDataset, Version, get_protocol_and_path

from fanogan_pipeline.datasets.atomic import AtomicMixin
from fanogan_pipeline.errors import InputError, SizeError

# No deflate stream grows by more than this on decompression (zlib's technical details): to promise more is to lie.
DEFLATE_MAXIMUM_RATIO = 1032


class AtomicFileDataset(AtomicMixin, AbstractVersionedDataset):
    """The mixin on a bare dataset: give `_read` and `_write`.

    Args:
        filepath: local path or URL that fsspec knows.
        version: set by Kedro where the catalog says `versioned: true`.
        credentials, fs_args: for the file system.
        max_bytes: a file that is larger, or grows larger on reading, is neither saved nor read.
        metadata: for kedro-viz; not read here.
    """

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


def check_size(size: int, most: int) -> None:
    """Refuse `size` bytes where `most` are allowed (SizeError), before any memory is taken."""
    if size > most:
        raise SizeError(f"holds {size:,} bytes, expected at most {most:,}, see max_bytes in the catalog")
