"""What the machine could do: floating-point work counted from the layers, and the speed of a large matrix product."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

SIDE = 2048  # of the matrices: 17 GFLOP a product


class _Counter(TorchDispatchMode):
    """PyTorch's FlopCounterMode without its account by module, which a gradient of a gradient upsets."""

    total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if counted := flop_registry.get(func._overloadpacket):
            self.total += counted(*args, **(kwargs or {}), out_val=result)
        return result


def work(do: Callable[[], object]) -> float:
    """Floating-point operations of what `do` does: convolutions and matrix products, forward, backward and backward
    through the backward pass."""
    with _Counter() as counter:
        do()
    return counter.total


class Matmul:
    """A float32 product of two square matrices, in the memory of one place."""

    def __init__(self) -> None:
        self.one, self.other = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
        self.product = torch.empty(SIDE, SIDE)

    def speed(self, seconds: float) -> float:
        """Floating-point operations a second, over about so many seconds."""
        began, done = time.perf_counter(), 0
        while done == 0 or time.perf_counter() - began < seconds:
            torch.mm(self.one, self.other, out=self.product)
            done += 1
        return 2.0 * SIDE**3 * done / (time.perf_counter() - began)
