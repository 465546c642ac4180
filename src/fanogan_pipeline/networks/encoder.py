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
        stages: from the image inwards.
        linear: from the last stage's activations to z.
        tanh: whether z stays inside (-1, 1), as the article's does.
    """

    def __init__(self, stages: nn.Sequential, units: int, latent_dim: int, head: str) -> None:
        super().__init__()
        self.stages, self.linear, self.tanh = stages, nn.Linear(units, latent_dim), head == "tanh"

    def see(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The encoder's views [N, units], early (the first stage averaged over squares) and late (the last); and z."""
        first = self.stages[0](x)
        last = self.stages[1:](first)
        squares = tuple(max(1, side // COARSE) for side in first.shape[2:])
        early = functional.avg_pool2d(first, squares, ceil_mode=True)  # what is left at the rim makes smaller ones
        return (early.flatten(1), last.flatten(1)), self.head(last)

    def head(self, last: Tensor) -> Tensor:
        """z of the last stage's activations [N, C, h, w]."""
        z = linear_of_map(self.linear, last)
        return torch.tanh(z) if self.tanh else z

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(x))
