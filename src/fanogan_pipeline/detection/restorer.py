"""Networks that judge images, and what they make of them: their z, their restorations, their residual features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.detection.refinement import UNREFINED, Refinement
from fanogan_pipeline.networks import Encoder, Wgan, folded, pixel_range
from fanogan_pipeline.networks.pixels import to_bytes, to_pixels


@dataclass(frozen=True)
class Restorer:
    """Generator, critic and encoder that judge images; all in evaluation mode.

    Attributes:
        wgan: generator and critic of phase 1.
        encoder: of phase 2.
        image_distance: "squared" or "absolute": which difference of pixels the image residual is the mean of.
        device: where they compute.
        refinement: how z is found; without one it is E(x).
        known: where z is searched for, an image's hash -> its z; None, each call starts anew.
    """

    wgan: Wgan
    encoder: Encoder
    image_distance: str
    device: torch.device
    refinement: Refinement = UNREFINED
    known: dict[bytes, Tensor] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        wgan: Wgan,
        encoder: Encoder,
        image_distance: str,
        device: torch.device,
        refinement: Refinement = UNREFINED,
    ) -> Restorer:
        """Of trained networks: copies whose batch norm is folded, see `folded`."""
        wgan = replace(wgan, generator=folded(wgan.generator), critic=folded(wgan.critic))
        return cls(wgan, folded(encoder), image_distance, device, refinement)

    @property
    def pixel_range(self) -> tuple[float, float]:
        return pixel_range(self.wgan.spec)

    def encode(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> z [N, latent_dim], refined where the refinement says so; images that are there several
        times, as those that fill a batch up, are searched for once."""
        if not self.refinement.searches:
            return self.encoder(x)
        known = {} if self.known is None else self.known
        names = [hashlib.sha256(image.tobytes()).digest() for image in x.cpu().numpy()]
        new = {name: row for row, name in enumerate(names) if name not in known}
        if new:
            found = self.refinement.encode(x[list(new.values())], self.encoder, self.wgan)
            known.update(zip(new, found, strict=True))
        return torch.stack([known[name] for name in names])

    def remembering(self) -> Restorer:
        """The same for work that asks for an image's z several times; to be let go after it, for it forgets none."""
        return replace(self, known={}) if self.refinement.searches and self.known is None else self

    def see(self, x: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """The encoder's views of x, each [N, units], and z as `encode` gives it; one pass of the encoder for both
        where nothing is searched."""
        views, z = self.encoder.see(x)
        return views, self.encode(x) if self.refinement.searches else z

    def feature_residual(self, x: Tensor, restored: Tensor) -> Tensor:
        """f(x) - f(G(z)) of the critic's deepest layer, [N, units]."""
        features = self.wgan.critic.features
        return (features(x)[-1] - features(restored)[-1]).flatten(1)


@torch.inference_mode()
def restore(images: np.ndarray, restorer: Restorer, batch_size: int) -> np.ndarray:
    """G(E(x)) of every image, uint8 [N, C, H, W]."""
    restored = [
        to_bytes(restorer.wgan.generator(restorer.encode(x)), restorer.pixel_range).cpu()
        for x in batches(images, restorer, batch_size)
    ]
    return torch.cat(restored).numpy()


def batches(images: np.ndarray, restorer: Restorer, batch_size: int) -> Iterator[Tensor]:
    """Scaled batches of images uint8 [N, C, H, W], on the restorer's device."""
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size])).to(restorer.device)
        yield to_pixels(batch, restorer.pixel_range)
