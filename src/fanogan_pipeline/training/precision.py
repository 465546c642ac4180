"""Passes through networks in fewer bits, where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fanogan_pipeline.parameters import Precision


class Passes:
    """Passes through networks while they train: in float32, or in bfloat16 wherever autocast deems it safe.

    Whatever comes out has its input's type again, so that losses are taken in float32. Weights, their gradients and
    the optimisers' states are float32 always, and so is the gradient penalty, which does not pass here: it is made of
    small differences of gradients' lengths from 1, which bfloat16's 8 bits would drown.

    Args:
        precision: "float32" or "bfloat16".
        device: where the networks are.
    """

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self.cast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")

    def __call__(self, network: Callable[[Tensor], Any], x: Tensor) -> Any:
        """network(x), a tensor or a list of them, in x's own type."""
        with self.cast:
            found = network(x)
        return found.to(x.dtype) if isinstance(found, Tensor) else [part.to(x.dtype) for part in found]
