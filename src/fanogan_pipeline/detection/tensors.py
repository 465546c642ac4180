"""What is fitted and held as tensors, and batches of them of one size."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor


def filled_up(x: Tensor, size: int) -> Tensor:
    """x [N, C, H, W] with its last image again until it holds `size`: kernels round differently at other batch
    sizes, and what is said of an image is to be the same to the last bit in any company."""
    return x if len(x) == size else torch.cat([x, x[-1:].expand(size - len(x), -1, -1, -1)])


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
