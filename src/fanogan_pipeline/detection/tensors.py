"""What is fitted and held as tensors."""

from __future__ import annotations

from typing import Self

import torch


class OfTensors:
    """A dataclass whose fields are tensors, all of them on one device."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return type(self)(*(tensor.to(device) for tensor in vars(self).values()))
