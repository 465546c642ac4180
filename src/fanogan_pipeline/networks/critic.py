"""What every critic offers besides its score."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Critic(nn.Module):
    """x [N, C, H, W] -> score [N], from features that the detector looks at too.

    Attributes:
        couples_images: an image's score depends on its batch while training (batch norm).
    """

    couples_images = False

    def features(self, x: Tensor) -> list[Tensor]:
        """Activations of each stage, from the image inwards."""
        raise NotImplementedError

    def head(self, deepest: Tensor) -> Tensor:
        """Score [N] of the deepest stage's activations."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1])

    def input_gradient(self, x: Tensor) -> Tensor:
        """grad D(x) of every image, [N, C, H, W], through which a loss reaches the weights.

        Never of a compiled critic: it is differentiated twice.
        """
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(self(x).sum(), x, create_graph=True)[0]
