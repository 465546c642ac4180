"""What the machine could do: floating-point work counted from the layers, and the speed of a large matrix product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.clock import speed_of

SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices, so that a product keeps every core busy


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
    """A float32 product of two square matrices on a device, in the memory of one place.

    On a processor by both of PyTorch's libraries, of which one may know it better than the other: MKL's product, and
    oneDNN's as a convolution of 1x1.
    """

    def __init__(self, device: torch.device) -> None:
        side = SIDES[device.type]
        self.device, self.work = device, 2.0 * side**3
        one, other = torch.randn(side, side, device=device), torch.randn(side, side, device=device)
        product = torch.empty(side, side, device=device)
        self.ways: list[Callable[[], object]] = [lambda: torch.mm(one, other, out=product)]
        if device.type == "cpu":
            image, kernels = one.T[None, :, :, None], other.T[:, :, None, None]  # a pixel a row, a channel a column
            image, kernels = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (image, kernels))
            self.ways.append(lambda: functional.conv2d(image, kernels))

    def speed(self, seconds: float) -> float:
        """Floating-point operations a second in the faster way, over about so many seconds."""
        return self.work * max(speed_of(way, seconds / len(self.ways), self.device) for way in self.ways)
