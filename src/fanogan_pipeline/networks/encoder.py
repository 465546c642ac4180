"""What every encoder offers besides z."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

COARSE = 7  # squares a side, or up to twice as many, that the first stage is averaged over


class Encoder(nn.Module):
    """x [N, C, H, W] -> z [N, latent]: features that the detector looks at too, and a head on the latent space.

    Attributes:
        linear: from the features to z.
        tanh: whether z stays inside (-1, 1), as the article's does.
    """

    linear: nn.Linear
    tanh: bool

    def first(self, x: Tensor) -> Tensor:
        """Activations of the first stage, [N, channels, h, w]."""
        raise NotImplementedError

    def rest(self, first: Tensor) -> Tensor:
        """Activations of the last layer before the head, [N, units], from those of the first stage."""
        raise NotImplementedError

    def see(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder sees early, the first stage averaged over squares, and late, before the head: [N, units]."""
        first = self.first(x)
        height, width = (max(1, side // COARSE) for side in first.shape[2:])
        return functional.avg_pool2d(first, (height, width)).flatten(1), self.rest(first)

    def head(self, features: Tensor) -> Tensor:
        """z of features [N, units]."""
        z = self.linear(features)
        return torch.tanh(z) if self.tanh else z

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rest(self.first(x)))
