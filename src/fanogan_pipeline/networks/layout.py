"""Where maps meet vectors: convolutions here lie channels last in memory, which linear layers would have undone.

An order that changes between two layers costs a copy on the way there, and on the way back a gradient in another order
than the activations that the rectifier before it compares it with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Network = TypeVar("Network", bound=nn.Module)


def placed(module: Network, device: torch.device) -> Network:
    """The module on a device, channels last, which convolutions on it are fastest with."""
    return module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def linear_of_map(layer: nn.Linear, maps: Tensor) -> Tensor:
    """layer(maps.flatten(1)), [N, out], to rounding: the weights are put in the maps' order, not the maps in theirs.

    Args:
        layer: of C * H * W inputs.
        maps: [N, C, H, W], channels last.
    """
    weight = layer.weight.view(-1, *maps.shape[1:]).permute(0, 2, 3, 1)
    return functional.linear(maps.permute(0, 2, 3, 1).flatten(1), weight.flatten(1), layer.bias)


def as_map(units: Tensor, shape: Sequence[int]) -> Tensor:
    """Units [N, C * H * W] as maps [N, C, H, W], channels last."""
    return units.view(-1, *shape).contiguous(memory_format=torch.channels_last)
