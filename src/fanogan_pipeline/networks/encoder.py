"""What every encoder offers besides z."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fanogan_pipeline.networks.layout import linear_of_map

COARSE = 7  # squares a side, or up to twice as many, that the first stage is averaged over


class Encoder(nn.Module):
    """x [N, C, H, W] -> z [N, latent]: features that the detector looks at too, and a head on the latent space.

    Attributes:
        linear: from the last stage's activations to z.
        tanh: whether z stays inside (-1, 1), as the article's does.
    """

    linear: nn.Linear
    tanh: bool

    def first(self, x: Tensor) -> Tensor:
        """Activations of the first stage, [N, channels, h, w]."""
        raise NotImplementedError

    def rest(self, first: Tensor) -> Tensor:
        """Activations of the last stage, [N, C, h, w], from those of the first."""
        raise NotImplementedError

    def see(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The encoder's views [N, units], early (the first stage averaged over squares) and late (the last); and z."""
        first = self.first(x)
        last = self.rest(first)
        height, width = (max(1, side // COARSE) for side in first.shape[2:])
        return (functional.avg_pool2d(first, (height, width)).flatten(1), last.flatten(1)), self.head(last)

    def head(self, last: Tensor) -> Tensor:
        """z of the last stage's activations [N, C, h, w]."""
        z = linear_of_map(self.linear, last)
        return torch.tanh(z) if self.tanh else z

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rest(self.first(x)))
