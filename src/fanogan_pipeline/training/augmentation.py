"""Random changes to training images that leave a normal image normal; nothing else ever sees them."""

from __future__ import annotations

import torch
from torch import Tensor

from fanogan_pipeline.parameters import AugmentationParameters


class Augmenter:
    """Changes batch after batch; what happens to batch k depends on k and the seed alone, so that a resumed run
    goes on as if it had not stopped.

    Args:
        parameters: what may happen; None, nothing does.
        seed: of the changes.
        pixel_range: (low, high) of the pixels.
    """

    def __init__(self, parameters: AugmentationParameters | None, seed: int, pixel_range: tuple[float, float]) -> None:
        self.p, self.seed, self.pixel_range = parameters, seed, pixel_range

    def __call__(self, x: Tensor, k: int) -> Tensor:
        """Batch k, x [N, C, H, W] in the pixel range, each image changed by itself."""
        if self.p is None:
            return x
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + k) % 2**63)
        for wanted, axis in ((self.p.flip_horizontal, 3), (self.p.flip_vertical, 2)):
            if wanted:
                x = torch.where(_draw(generator, x) < 0.5, x.flip(axis), x)
        if self.p.shift:
            x = shifted(x, torch.randint(-self.p.shift, self.p.shift + 1, (2, len(x)), generator=generator))
        if self.p.brightness or self.p.contrast:
            x = self._relit(x, self.p, generator)
        return x

    def _relit(self, x: Tensor, p: AugmentationParameters, generator: torch.Generator) -> Tensor:
        low, high = self.pixel_range
        middle = (low + high) / 2
        factor = 1 + p.contrast * (2 * _draw(generator, x) - 1)
        offset = p.brightness * (high - low) * (2 * _draw(generator, x) - 1)
        return ((x - middle) * factor + middle + offset).clamp(low, high)


def shifted(x: Tensor, offsets: Tensor) -> Tensor:
    """x [N, C, H, W] moved by (down, across) pixels, int64 [2, N]; the edge is repeated behind it."""
    n, _, height, width = x.shape
    down, across = offsets.to(x.device)
    rows = (torch.arange(height, device=x.device) - down[:, None]).clamp(0, height - 1)[:, :, None]
    columns = (torch.arange(width, device=x.device) - across[:, None]).clamp(0, width - 1)[:, None, :]
    moved = x[torch.arange(n, device=x.device)[:, None, None], :, rows, columns]  # [N, H, W, C]
    return moved.permute(0, 3, 1, 2)


def _draw(generator: torch.Generator, x: Tensor) -> Tensor:
    """A number in [0, 1) for each image, [N, 1, 1, 1]."""
    return torch.rand((len(x), 1, 1, 1), generator=generator).to(x.device)
