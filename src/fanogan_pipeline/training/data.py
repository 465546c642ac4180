"""Batches and noise: the parts of a step that are drawn at random, each from its own seed."""

from __future__ import annotations

import torch
from torch import Tensor

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks.pixels import to_pixels
from fanogan_pipeline.training.augmentation import Augmenter
from fanogan_pipeline.training.distributed import SOLO, Group


class Batches:
    """An endless stream of batches: one random order of the data after another, no image dropped.

    Batch k depends on k and the seed alone, so that a resumed run reads on at the very image.

    Args:
        count: number of images.
        batch_size: images a batch, at most `count`.
        seed: of the orders.
        parameter: the name to blame when the batch is larger than the data.
        device: where the images are; a whole order goes there at once, for a GPU would wait for each batch's.
    """

    def __init__(
        self, count: int, batch_size: int, seed: int, parameter: str, device: torch.device | None = None
    ) -> None:
        check_batch_size(parameter, batch_size, count)
        self.count, self.batch_size, self.seed, self.device = count, batch_size, seed, device
        self._orders: dict[int, Tensor] = {}

    def rows(self, k: int) -> Tensor:
        """Row numbers int64 [batch_size] of batch k."""
        start, stop = k * self.batch_size, (k + 1) * self.batch_size
        passes = range(start // self.count, (stop - 1) // self.count + 1)
        self._orders = {n: self._orders[n] if n in self._orders else self._order(n) for n in passes}
        return torch.cat([self._orders[n][max(0, start - n * self.count) : stop - n * self.count] for n in passes])

    def _order(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**63)
        return torch.randperm(self.count, generator=generator).to(self.device)


class RealImages:
    """The images to train on, batch after batch as the networks see them.

    Args:
        images: uint8 [N, C, H, W], on the device that trains.
        pixel_range: (low, high) that the networks see.
        batches: which images make a batch.
        augment: changes them.
        group: the processes that share a batch.
    """

    def __init__(
        self,
        images: Tensor,
        pixel_range: tuple[float, float],
        batches: Batches,
        augment: Augmenter,
        group: Group = SOLO,
    ) -> None:
        self.images, self.pixel_range, self.group = images, pixel_range, group
        self.batches, self.augment = batches, augment

    def batch(self, k: int) -> Tensor:
        """This process's share of batch k, [n, C, H, W]."""
        return self.group.shard(self.augment(self.pixels(self.batches.rows(k)), k))

    def pixels(self, rows: Tensor) -> Tensor:
        """The images of some rows, int64 [n] on their device, as they are: [n, C, H, W]."""
        return to_pixels(self.images[rows], self.pixel_range)


def check_batch_size(parameter: str, batch_size: int, count: int) -> None:
    """Refuse a batch that is larger than the data (InputError)."""
    if batch_size > count:
        raise InputError(
            f"{parameter}: found {batch_size}, expected at most the {count} images there are to train on; lower it or "
            "add pictures"
        )


def corrupt(
    x: Tensor, noise: float, blank: float, block: int, generator: torch.Generator, fill: float, group: Group = SOLO
) -> Tensor:
    """A corrupted copy of x for a denoising encoder: Gaussian noise and blanked blocks.

    Args:
        x: [N, C, H, W].
        noise: standard deviation of the noise, in x's own units.
        blank: share of the blocks that are set to `fill`, 0 to 1.
        block: side of a block, pixels.
        generator: where the randomness comes from, on x's device.
        fill: the pixel value of a blanked block.
        group: the processes that share the batch; x is this one's share.
    """
    if noise:
        x = x + noise * group.randn(x.shape, generator)
    if blank:
        n, _, height, width = x.shape
        cells = (n, 1, -(-height // block), -(-width // block))
        blanked = group.rand(cells, generator) < blank
        blanked = blanked.repeat_interleave(block, 2)[:, :, :height].repeat_interleave(block, 3)[..., :width]
        x = x.masked_fill(blanked, fill)
    return x
