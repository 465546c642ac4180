"""How weights move against their gradients: Adam and RMSProp, made so that a step can be recorded and resumed.

`torch.optim` has both, but imports torch's compiler at its first use, which takes a second of every start, and its
RMSProp is not TensorFlow's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam


class Optimiser(ABC):
    """Weights that all have gradients, and what is kept of these from step to step.

    Args:
        weights: what is updated, in place.

    Attributes:
        rate: float [] on their device, of the next step; a tensor, which a recorded step reads anew.
        kept: by name a tensor for each weight; with the weights all that a resumed training needs.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self.weights = list(weights)
        self.rate = torch.zeros((), device=self.weights[0].device, dtype=self.weights[0].dtype)
        self.kept: dict[str, list[Tensor]] = {}

    @abstractmethod
    def step(self) -> None:
        """Update every weight once by its gradient."""

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    def gradients(self) -> list[Tensor]:
        """Of every weight.

        Raises:
            RuntimeError: one has none.
        """
        found = [weight.grad for weight in self.weights if weight.grad is not None]
        if len(found) < len(self.weights):
            raise RuntimeError(f"found {len(found)} gradients of {len(self.weights)} weights")
        return found


class Adam(Optimiser):
    """Kingma and Ba 2015, all weights in one of torch's fused calls.

    Args:
        weights: see above.
        betas: decay rates of the mean gradient and of the mean square.
    """

    EPSILON = 1e-8

    def __init__(self, weights: Iterable[Tensor], betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__(weights)
        self.betas = betas
        counts = [torch.zeros((), device=weight.device, dtype=torch.float32) for weight in self.weights]
        self.kept = {"step": counts, "mean": _zeros(self.weights), "mean_square": _zeros(self.weights)}

    @torch.no_grad()
    def step(self) -> None:
        means, squares, counts = self.kept["mean"], self.kept["mean_square"], self.kept["step"]
        beta1, beta2 = self.betas
        adam(
            *(self.weights, self.gradients(), means, squares, [], counts),
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=self.rate,
            weight_decay=0.0,
            eps=self.EPSILON,
            maximize=False,
        )


class RmsProp(Optimiser):
    """RMSProp as TensorFlow 1 has it, which the article's code uses at its defaults: the mean square starts at 1, which
    keeps the first steps small, and epsilon stands below the root."""

    DECAY = 0.9
    EPSILON = 1e-10

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__(weights)
        self.kept = {"mean_square": [torch.ones_like(weight, requires_grad=False) for weight in self.weights]}

    @torch.no_grad()
    def step(self) -> None:
        for weight, gradient, square in zip(self.weights, self.gradients(), self.kept["mean_square"], strict=True):
            square.lerp_(gradient.square(), 1 - self.DECAY)
            weight -= self.rate * gradient * (square + self.EPSILON).rsqrt()


def _zeros(weights: Iterable[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(weight, requires_grad=False) for weight in weights]
