"""Models, the detector, and what their training leaves on its way."""

from __future__ import annotations

from typing import Any

from fanogan_pipeline.datasets.validators.expectations import expect, expect_finite, expect_keys
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.lazy import lazily

with lazily():
    from fanogan_pipeline import networks
    from fanogan_pipeline.datasets import state_store, tensorboard

DETECTOR_KEYS = ("rule", "threshold", "promised_false_alarm_rate", "belongs_to")


def checkpoint(data: networks.Checkpoint) -> None:
    """A model: at least one tensor, every weight finite, a header."""
    expect(data, networks.Checkpoint)
    if not data.tensors or not data.header:
        raise InputError(f"found {len(data.tensors)} tensors and {len(data.header)} facts, expected some of both")
    for name, tensor in data.tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{name}: found weights that are NaN or infinite, expected none; train again")


def detector(data: dict[str, Any]) -> None:
    """The rule from residuals to verdicts."""
    expect_keys(data, DETECTOR_KEYS)
    expect_finite(data, ("threshold", "promised_false_alarm_rate"))
    if not 0 < data["promised_false_alarm_rate"] < 1:
        raise InputError(
            f"promised_false_alarm_rate: found {data['promised_false_alarm_rate']}, expected above 0 and below 1"
        )


def onnx_model(data: bytes) -> None:
    """The bytes of an ONNX model."""
    expect(data, bytes)
    if not data:
        raise InputError("found no bytes, expected an ONNX model")


def training_states(data: state_store.StateStore) -> None:
    """The place of unfinished training; what lies in it is checked when training asks for it."""
    expect(data, state_store.StateStore)


def log_folder(data: tensorboard.TensorBoardLogs) -> None:
    """The place where a run logs its curves."""
    expect(data, tensorboard.TensorBoardLogs)
