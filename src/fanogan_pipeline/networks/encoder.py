"""What every encoder offers besides z."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """x [N, C, H, W] -> z [N, latent]: features that the detector looks at too, and a head on the latent space.

    Attributes:
        linear: from the features to z.
        tanh: whether z stays inside (-1, 1), as the article's does.
    """

    linear: nn.Linear
    tanh: bool

    def features(self, x: Tensor) -> Tensor:
        """Activations of the last layer before the head, [N, units]."""
        raise NotImplementedError

    def head(self, features: Tensor) -> Tensor:
        """z of features [N, units]."""
        z = self.linear(features)
        return torch.tanh(z) if self.tanh else z

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
