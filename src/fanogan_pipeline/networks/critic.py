"""What every critic offers besides its score."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from fanogan_pipeline.networks.layout import linear_of_map


class Critic(nn.Module):
    """x [N, C, H, W] -> score [N], from features that the detector looks at too.

    Attributes:
        stages: from the image inwards.
        linear: from the last stage's activations to the score.
        couples_images: an image's score depends on its batch while training (batch norm).
    """

    couples_images = False

    def __init__(self, stages: nn.Sequential, units: int) -> None:
        super().__init__()
        self.stages, self.linear = stages, nn.Linear(units, 1)

    def features(self, x: Tensor, most: int | None = None) -> list[Tensor]:
        """Activations of each stage, from the image inwards; of the first `most` alone, or of all."""
        found = []
        for stage in itertools.islice(self.stages, most):
            x = stage(x)
            found.append(x)
        return found

    def head(self, deepest: Tensor) -> Tensor:
        """Score [N] of the deepest stage's activations."""
        return linear_of_map(self.linear, deepest).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1])

    def input_gradient(self, x: Tensor) -> Tensor:
        """grad D(x) of every image, [N, C, H, W], through which a loss reaches the weights.

        A critic must not be compiled: this is differentiated twice, and what `torch.compile` makes can be only once.
        """
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(self(x).sum(), x, create_graph=True)[0]
