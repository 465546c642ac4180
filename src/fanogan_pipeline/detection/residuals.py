"""How badly an image is restored: the residual terms, per image and per pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fanogan_pipeline.networks import pixel_range
from fanogan_pipeline.training.data import to_bytes, to_pixels
from fanogan_pipeline.training.wgan import Wgan

TERMS = ("image_residual", "feature_residual", "latent_residual")


@dataclass(frozen=True)
class Restorer:
    """Generator, critic and encoder that judge images; all in evaluation mode.

    Attributes:
        wgan: generator and critic of phase 1.
        encoder: of phase 2.
        image_distance: "squared" (mean over pixels) or "absolute" (sum over pixels, the reference's score).
        device: where they compute.
    """

    wgan: Wgan
    encoder: nn.Module
    image_distance: str
    device: torch.device

    @property
    def pixel_range(self) -> tuple[float, float]:
        return pixel_range(self.wgan.spec)

    def encode(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> z [N, latent_dim]."""
        return self.encoder(x)

    def terms(self, x: Tensor, z: Tensor) -> dict[str, Tensor]:
        """The residual terms of restoring x [N, C, H, W] from z [N, latent_dim], each [N].

        image_residual: 1/n ||x - G(z)||^2 (Schlegl et al. 2019, A_R), or the sum of |x - G(z)|;
        feature_residual: 1/n_f ||f(x) - f(G(z))||^2 over the critic's deepest layer (A_D);
        latent_residual: ||z - E(G(z))||^2.
        """
        restored = self.wgan.generator(z)
        difference = (x - restored).flatten(1)
        image = difference.square().mean(1) if self.image_distance == "squared" else difference.abs().sum(1)
        features = self.wgan.critic.features
        feature = (features(x)[-1] - features(restored)[-1]).flatten(1).square().mean(1)
        latent = (z - self.encoder(restored)).square().sum(1)
        return dict(zip(TERMS, (image, feature, latent), strict=True))


@torch.inference_mode()
def residual_terms(images: np.ndarray, restorer: Restorer, batch_size: int) -> pd.DataFrame:
    """Residual terms of every image; an image's terms do not depend on its neighbours or the batch size.

    Args:
        images: uint8 [N, C, H, W].
        restorer: the networks.
        batch_size: images computed at once.

    Returns:
        float64 columns `image_residual`, `feature_residual`, `latent_residual`, a row per image.
    """
    rows = [restorer.terms(x, restorer.encode(x)) for x in batches(images, restorer, batch_size)]
    table = {name: torch.cat([row[name] for row in rows]).double().cpu().numpy() for name in TERMS}
    return pd.DataFrame(table)


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
