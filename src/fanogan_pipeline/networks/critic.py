"""What every critic offers besides its score."""

from __future__ import annotations

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
