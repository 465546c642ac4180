"""A checkpoint as safetensors bytes: the tensors, and one JSON text under the key `header` in the file's metadata."""

from __future__ import annotations

import json
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from fanogan_pipeline.errors import InputError, one_line
from fanogan_pipeline.networks.checkpoint import Checkpoint

KEY = "header"


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The same checkpoint always makes the same bytes.

    Raises:
        InputError: the header is not what JSON can hold.
    """
    try:
        header = json.dumps(checkpoint.header, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"the header cannot be written as JSON ({error})") from error
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    return safetensors.torch.save(tensors, metadata={KEY: header})


def from_bytes(data: bytes, origin: str = "") -> Checkpoint:
    """The checkpoint in these bytes.

    Raises:
        InputError: cut short, other tensors than the file's own table says, no header or none of JSON.
    """
    header = _header_of(data)
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise InputError(f"not a readable safetensors file ({one_line(error)})") from error
    return Checkpoint(dict(sorted(tensors.items())), header, origin)


def _header_of(data: bytes) -> dict[str, Any]:
    """The checkpoint's header, from the table of tensors at the start."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise InputError(f"cut short: found {len(data):,} bytes, expected {length + 8:,} and the tensors behind them")
    try:
        table = json.loads(data[8 : 8 + length])
        text = table["__metadata__"][KEY] if isinstance(table, dict) else ""
    except (KeyError, TypeError) as error:
        raise InputError("a safetensors file without the header that this project writes") from error
    except (ValueError, RecursionError) as error:
        raise InputError("not a readable safetensors file (its table of tensors is no JSON)") from error
    try:
        header = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError("the header in the safetensors file is no JSON") from error
    if not isinstance(header, dict):
        raise InputError(f"the header in the safetensors file is a {type(header).__name__}, expected an object")
    return header
