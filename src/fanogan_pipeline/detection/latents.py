"""Where normal images lie in the latent space, and how far from them another one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.detection.residuals import Restorer, batches
from fanogan_pipeline.errors import InputError

RIDGE = 1e-3  # added to the covariance, as a share of its mean variance
NEIGHBOURS = 5
MOST_POINTS = 8192  # training images kept to measure distances from, evenly from all there are


@dataclass(frozen=True)
class Latents:
    """E(x) of training images, in coordinates in which their covariance is the identity.

    Attributes:
        mean: of E(x), float32 [latent_dim].
        whitener: W with W W^T the inverse covariance of E(x), float32 [latent_dim, latent_dim].
        points: (E(x) - mean) W of the training images kept, float32 [points, latent_dim].
    """

    mean: Tensor
    whitener: Tensor
    points: Tensor

    def to(self, device: torch.device) -> Latents:
        """The same on another device."""
        return Latents(self.mean.to(device), self.whitener.to(device), self.points.to(device))

    def whitened(self, z: Tensor) -> Tensor:
        """z [N, latent_dim] in the points' coordinates."""
        return (z - self.mean) @ self.whitener

    def distance(self, z: Tensor) -> Tensor:
        """Mahalanobis distance from the mean, squared, a dimension: z [N, latent_dim] -> [N]."""
        return self.whitened(z).square().mean(1)

    def neighbour_distance(self, z: Tensor) -> Tensor:
        """Mean distance to the nearest few points: z [N, latent_dim] -> [N]."""
        # in double precision: a small distance is the difference of large squares
        ours, points = self.whitened(z).double(), self.points.double()
        squared = ours.square().sum(1, keepdim=True) + points.square().sum(1) - 2 * ours @ points.T
        nearest = squared.topk(min(NEIGHBOURS, len(self.points)), largest=False, sorted=True).values
        return nearest.clamp_min(0).sqrt().mean(1)


@torch.inference_mode()
def fit_latents(images: np.ndarray, restorer: Restorer, batch_size: int) -> Latents:
    """Mean, covariance and points of E(x).

    Args:
        images: uint8 [N, C, H, W], normal, of the training set.
        restorer: the networks.
        batch_size: images computed at once.

    Raises:
        InputError: fewer than two images.
    """
    if len(images) < 2:
        raise InputError(f"train_set: found {len(images)} images, expected at least 2")
    kept = np.unique(np.linspace(0, len(images) - 1, min(MOST_POINTS, len(images))).round().astype(int))
    z = torch.cat([restorer.encode(x).double() for x in batches(images[kept], restorer, batch_size)])
    covariance = torch.atleast_2d(torch.cov(z.T))
    ridge = RIDGE * covariance.diagonal().mean().clamp_min(1e-12)
    covariance += ridge * torch.eye(len(covariance), dtype=z.dtype, device=z.device)
    whitener = torch.linalg.cholesky(torch.linalg.inv(covariance)).float()
    mean = z.mean(0).float()
    return Latents(mean, whitener, (z.float() - mean) @ whitener)
