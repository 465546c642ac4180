"""How far an image lies from the training images nearest to it, in what the encoder sees of them, early and late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from fanogan_pipeline.detection.poses import Pose, in_poses
from fanogan_pipeline.detection.residuals import Restorer, batches
from fanogan_pipeline.errors import InputError

NEIGHBOURS = 3
MOST_IMAGES = 8192  # training images kept to measure distances from, evenly from all there are
TOGETHER = 1024  # images compared at once: a processor's cache holds the products
DIMENSIONS = 64  # principal components of what the encoder sees that are kept
RIDGE = 1e-3  # added to each component's variance, as a share of the mean
FLOOR = 1e-6  # a smaller distance or liveliness is rounding
LIVELY = 0.95  # share of normal images whose liveliness excuses a distance: the last ones are exceptions
PRIOR_IMAGES = 1.0  # images without slope that the expectation is fitted with: few images give gentle slopes


@dataclass(frozen=True)
class Neighbours:
    """What the encoder sees of training images in one of its views, in the principal components that vary most.

    Attributes:
        mean: of the view, float32 [units].
        basis: components as columns, each divided by the root of its standard deviation: what varies much counts
            more than what varies little, but not by all of it; float32 [units, dimensions].
        points: (view - mean) basis of the training images kept, in each pose, float32 [poses, images, dimensions].
        lengths: of the points, squared, float32 [poses, images].
    """

    mean: Tensor
    basis: Tensor
    points: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Neighbours:
        """The same on another device."""
        return Neighbours(*(tensor.to(device) for tensor in vars(self).values()))

    def coordinates(self, view: Tensor) -> Tensor:
        """A view [N, units] in the points' coordinates."""
        return (view - self.mean) @ self.basis

    def distance(self, view: Tensor, count: int = NEIGHBOURS) -> Tensor:
        """Mean distance to the nearest `count` images, each in its nearest pose: view [N, units] -> float64 [N]."""
        ours = self.coordinates(view)
        nearest = self._nearest(ours, min(count, self.points.shape[1]))
        # from the differences themselves: a small distance as the difference of large squares would be rounding
        gaps = self.points[:, nearest] - ours[:, None]
        return gaps.square().sum(3).amin(0).double().sqrt().mean(1)

    def _nearest(self, ours: Tensor, count: int) -> Tensor:
        """Indices of the nearest images, [N, count]."""
        least = [
            # |b|^2 - 2 a.b, which ranks as |a - b|^2 does, over the poses
            torch.baddbmm(lengths[:, None], ours.expand(len(points), -1, -1), points.transpose(1, 2), alpha=-2).amin(0)
            for points, lengths in zip(self.points.split(TOGETHER, 1), self.lengths.split(TOGETHER, 1), strict=True)
        ]
        return torch.cat(least, 1).topk(count, largest=False).indices


@torch.inference_mode()
def fit_neighbours(
    images: np.ndarray, restorer: Restorer, batch_size: int, poses: Sequence[Pose] = ()
) -> tuple[Neighbours, ...]:
    """Components and points of each of the encoder's views, see `Encoder.see`.

    Args:
        images: uint8 [N, C, H, W], normal, of the training set.
        restorer: the networks.
        batch_size: images computed at once.
        poses: in which the images count too, besides as they are.

    Raises:
        InputError: fewer than two images.
    """
    if len(images) < 2:
        raise InputError(f"train_set: found {len(images)} images, expected at least 2")
    kept = images[np.unique(np.linspace(0, len(images) - 1, min(MOST_IMAGES, len(images))).round().astype(int))]
    seen = [restorer.encoder.see(x) for x in batches(kept, restorer, batch_size)]
    bases = [_principal(torch.cat(view).cpu().numpy()) for view in zip(*seen, strict=True)]
    del seen
    centres = [(mean.to(restorer.device), basis.to(restorer.device)) for mean, basis in bases]
    points: list[list[list[Tensor]]] = [[[] for _ in (None, *poses)] for _ in centres]
    for x in batches(kept, restorer, batch_size):
        for pose, posed in enumerate(in_poses(x, poses)):
            for found, view, (mean, basis) in zip(points, restorer.encoder.see(posed), centres, strict=True):
                found[pose].append((view - mean) @ basis)
    stacked = [torch.stack([torch.cat(pose) for pose in found]) for found in points]
    return tuple(
        Neighbours(mean, basis, found, found.square().sum(2))
        for (mean, basis), found in zip(centres, stacked, strict=True)
    )


def _principal(view: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean [units] and scaled components [units, dimensions] of a view float32 [N, units]."""
    fitted = PCA(min(DIMENSIONS, len(view) - 1, view.shape[1]), random_state=0).fit(view)
    variances = fitted.explained_variance_ + RIDGE * fitted.explained_variance_.mean() + 1e-12
    basis = torch.from_numpy((fitted.components_.T * variances**-0.25).astype(np.float32))
    return torch.from_numpy(fitted.mean_.astype(np.float32)), basis


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
    complexity for the same reason.) Beyond what normal images are nothing more is expected: not less than of the
    plainest of them, and not more than of all but the liveliest twentieth.

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
