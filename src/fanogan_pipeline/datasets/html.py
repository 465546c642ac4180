"""Reports as HTML files."""

from __future__ import annotations

from pathlib import Path

from kedro_datasets._typing import HTMLPreview

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.errors import InputError


class ReportDataset(AtomicFileDataset):
    """A page of HTML (str) as a UTF-8 file.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.
    """

    _FORM = "UTF-8 text file"

    def _read(self, path: str) -> str:
        return self._read_bytes(path).decode("utf-8")

    def _write(self, path: Path, data: str) -> None:
        if not isinstance(data, str):
            raise InputError(f"found {type(data).__name__}, expected text")
        self._write_bytes(path, data.encode("utf-8"))

    def preview(self) -> HTMLPreview:
        """The page for kedro-viz."""
        return HTMLPreview(self.load())
