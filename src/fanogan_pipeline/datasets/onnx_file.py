"""Models for other programs as ONNX files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kedro_datasets._typing import JSONPreview

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.errors import InputError


class OnnxDataset(AtomicFileDataset):
    """The bytes of an ONNX model as a file; loading one needs no onnx, and a glance tells more with it.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.
    """

    _FORM = "ONNX file"

    def _read(self, path: str) -> bytes:
        return self._read_bytes(path)

    def _write(self, path: Path, data: bytes) -> None:
        if not isinstance(data, bytes) or not data:
            raise InputError(f"found {type(data).__name__}, expected the bytes of an ONNX model")
        self._write_bytes(path, data)

    def preview(self) -> JSONPreview:
        """Inputs, outputs and metadata for kedro-viz."""
        return JSONPreview(json.dumps(describe(self.load())))


def describe(data: bytes) -> dict[str, Any]:
    """Size and digest of a model; inputs, outputs, operators and metadata too where onnx is installed."""
    facts: dict[str, Any] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    try:
        import onnx
    except ImportError:
        return facts
    model = onnx.load_model_from_string(data)
    shapes = {"inputs": _shapes(model.graph.input), "outputs": _shapes(model.graph.output)}
    operators = sorted({node.op_type for node in model.graph.node})
    return {**facts, **shapes, "operators": operators, **{entry.key: entry.value for entry in model.metadata_props}}


def _shapes(values: Any) -> dict[str, list[int | str]]:
    """Name -> sides, a name for a free one."""
    sides = {value.name: value.type.tensor_type.shape.dim for value in values}
    return {name: [side.dim_param or side.dim_value for side in dims] for name, dims in sides.items()}
