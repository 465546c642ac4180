"""What an ONNX file says of itself."""

from __future__ import annotations

import hashlib
from typing import Any


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
