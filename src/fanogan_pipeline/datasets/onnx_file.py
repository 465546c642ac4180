"""Models for other programs as ONNX files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro_datasets._typing import JSONPreview

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset, check_size
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.lazy import lazily

with lazily():
    from fanogan_pipeline.datasets import onnx_format


class OnnxDataset(AtomicFileDataset):
    """The bytes of an ONNX model as a file; loading one needs no onnx, a glance at it does.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.
    """

    _FORM = "ONNX file"

    def _read(self, path: str) -> bytes:
        return self._read_bytes(path)

    def _write(self, path: Path, data: bytes) -> None:
        if not isinstance(data, bytes) or not data:
            raise InputError(f"found {type(data).__name__}, expected the bytes of an ONNX model")
        check_size(len(data), self._max_bytes)
        path.write_bytes(data)

    def preview(self) -> JSONPreview:
        """Inputs, outputs and metadata for kedro-viz."""
        facts: dict[str, Any] = onnx_format.describe(self.load())
        return JSONPreview(json.dumps(facts))
