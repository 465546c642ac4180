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
        p = self.p
        if p is None:
            return x
        drawn = iter(self._drawn(p, len(x), k, x.device))
        for wanted, axis in ((p.flip_horizontal, 3), (p.flip_vertical, 2)):
            if wanted:
                x = torch.where(_of_images(next(drawn)) < 0.5, x.flip(axis), x)
        if p.shift:
            x = shifted(x, torch.stack([next(drawn), next(drawn)]).long())
        if p.brightness or p.contrast:
            x = self._relit(x, p, *drawn)
        return x

    def _drawn(self, p: AugmentationParameters, n: int, k: int, device: torch.device) -> Tensor:
        """The random numbers of n images of batch k in the order of their use, float32 [numbers an image, n]."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + k) % 2**63)
        rows = [torch.rand((p.flip_horizontal + p.flip_vertical, n), generator=generator)]
        if p.shift:
            rows.append(torch.randint(-p.shift, p.shift + 1, (2, n), generator=generator).float())
        if p.brightness or p.contrast:
            rows.append(torch.rand((2, n), generator=generator))
        # together and from pinned memory: a copy from other memory waits until the GPU has done all that it was given
        drawn = torch.cat(rows)
        return (drawn.pin_memory() if device.type == "cuda" else drawn).to(device, non_blocking=True)

    def _relit(self, x: Tensor, p: AugmentationParameters, contrast: Tensor, brightness: Tensor) -> Tensor:
        low, high = self.pixel_range
        middle = (low + high) / 2
        factor = 1 + p.contrast * (2 * _of_images(contrast) - 1)
        offset = p.brightness * (high - low) * (2 * _of_images(brightness) - 1)
        return ((x - middle) * factor + middle + offset).clamp(low, high)


def shifted(x: Tensor, offsets: Tensor) -> Tensor:
    """x [N, C, H, W] moved by (down, across) pixels, int64 [2, N] on its device; the edge is repeated behind it."""
    n, _, height, width = x.shape
    down, across = offsets
    rows = (torch.arange(height, device=x.device) - down[:, None]).clamp(0, height - 1)[:, :, None]
    columns = (torch.arange(width, device=x.device) - across[:, None]).clamp(0, width - 1)[:, None, :]
    moved = x[torch.arange(n, device=x.device)[:, None, None], :, rows, columns]  # [N, H, W, C]
    return moved.permute(0, 3, 1, 2)


def _of_images(numbers: Tensor) -> Tensor:
    """Numbers [N] to be taken with images, [N, 1, 1, 1]."""
    return numbers[:, None, None, None]
