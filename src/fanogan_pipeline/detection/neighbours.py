"""How far an image lies from the training images nearest to it, in what the encoder sees of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from fanogan_pipeline.detection.residuals import Restorer, batches
from fanogan_pipeline.errors import InputError

NEIGHBOURS = 5
MOST_POINTS = 8192  # training images kept to measure distances from, evenly from all there are
DIMENSIONS = 64  # principal components of the encoder's features that are kept
RIDGE = 1e-3  # added to each component's variance, as a share of the mean
FLOOR = 1e-6  # a smaller distance or liveliness is rounding
LIVELY = 0.95  # share of normal images whose liveliness excuses a distance: the last ones are exceptions
PRIOR_IMAGES = 1.0  # images without slope that the expectation is fitted with: few images give gentle slopes


@dataclass(frozen=True)
class Neighbours:
    """The encoder's features of training images, in the principal components that vary most.

    Attributes:
        mean: of the features, float32 [units].
        basis: components as columns, each divided by the root of its standard deviation: what varies much counts
            more than what varies little, but not by all of it; float32 [units, dimensions].
        points: (features - mean) basis of the training images kept, float32 [points, dimensions].
    """

    mean: Tensor
    basis: Tensor
    points: Tensor

    def to(self, device: torch.device) -> Neighbours:
        """The same on another device."""
        return Neighbours(self.mean.to(device), self.basis.to(device), self.points.to(device))

    def coordinates(self, features: Tensor) -> Tensor:
        """Features [N, units] in the points' coordinates."""
        return (features - self.mean) @ self.basis

    def distance(self, features: Tensor) -> Tensor:
        """Mean distance to the nearest few points: features [N, units] -> float64 [N]."""
        # in double precision: a small distance is the difference of large squares
        ours, points = self.coordinates(features).double(), self.points.double()
        squared = ours.square().sum(1, keepdim=True) + points.square().sum(1) - 2 * ours @ points.T
        nearest = squared.topk(min(NEIGHBOURS, len(self.points)), largest=False, sorted=True).values
        return nearest.clamp_min(0).sqrt().mean(1)


@torch.inference_mode()
def fit_neighbours(images: np.ndarray, restorer: Restorer, batch_size: int) -> Neighbours:
    """Components and points of the encoder's features.

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
    features = torch.cat([restorer.encoder.features(x).cpu() for x in batches(images[kept], restorer, batch_size)])
    fitted = PCA(min(DIMENSIONS, len(kept) - 1, features.shape[1]), random_state=0).fit(features.numpy())
    variances = fitted.explained_variance_ + RIDGE * fitted.explained_variance_.mean() + 1e-12
    basis = torch.from_numpy((fitted.components_.T * variances**-0.25).astype(np.float32))
    mean = torch.from_numpy(fitted.mean_.astype(np.float32))
    return Neighbours(mean, basis, (features - mean) @ basis).to(restorer.device)


def liveliness(x: Tensor) -> Tensor:
    """How much there is in an image: logarithms of the mean step from pixel to pixel and of the variance.

    Args:
        x: [N, C, H, W].

    Returns:
        float64 [N, 2].
    """
    steps = sum(x.diff(dim=axis).abs().flatten(1).mean(1, dtype=torch.float64) for axis in (2, 3))
    spread = x.flatten(1).double().var(1, correction=0)
    return torch.stack([torch.as_tensor(steps), spread], 1).clamp_min(FLOOR).log()


@dataclass(frozen=True)
class Expectation:
    """The distance that a normal image as lively as this one has from its neighbours.

    Lively images lie far from all others and plain ones near, normal or not, so that a distance says little until
    it is compared with what such an image would have anyway. (Serrà et al., "Input complexity and
    out-of-distribution detection with likelihood-based generative models", ICLR 2020, set a likelihood off against
    complexity for the same reason.) Beyond what normal images are nothing more is expected: not
    less than of the plainest of them, and not more than of all but the liveliest twentieth.

    Attributes:
        slopes: of the logarithmic distance over `liveliness`, float64 [2].
        offset: logarithmic distance at no liveliness, float64 [].
        low, high: the liveliness that counts, float64 [2] each.
    """

    slopes: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor

    def to(self, device: torch.device) -> Expectation:
        """The same on another device."""
        return Expectation(*(tensor.to(device) for tensor in vars(self).values()))

    def distance(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> float64 [N]."""
        known = torch.minimum(torch.maximum(liveliness(x), self.low), self.high)
        return (known @ self.slopes + self.offset).exp()


def fit_expectation(distances: Tensor, lively: Tensor) -> Expectation:
    """Least squares of the logarithmic distance over the liveliness of normal images kept apart.

    Args:
        distances: float64 [N], from `Neighbours.distance`.
        lively: float64 [N, 2], from `liveliness`.
    """
    target, mean = distances.clamp_min(FLOOR).log(), lively.mean(0)
    centred = lively - mean
    unit = centred.square().mean(0).sqrt() + 1e-12
    scaled = centred / unit
    ridge = PRIOR_IMAGES * torch.eye(2, dtype=scaled.dtype, device=scaled.device)
    slopes = torch.linalg.solve(scaled.T @ scaled + ridge, scaled.T @ (target - target.mean())) / unit
    return Expectation(slopes, target.mean() - mean @ slopes, lively.amin(0), lively.quantile(LIVELY, 0))
