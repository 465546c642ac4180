"""What is fitted and held as tensors."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor


class OfTensors:
    """A dataclass of tensors, all of them on one device, perhaps within tuples, dicts and others of its kind."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return type(self)(*(_moved(value, device) for value in vars(self).values()))


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor | OfTensors):
        return value.to(device)
    if isinstance(value, tuple):
        return tuple(_moved(part, device) for part in value)
    if isinstance(value, dict):
        return {name: _moved(part, device) for name, part in value.items()}
    return value
