"""How far an image lies from the training images nearest to it, in what the encoder sees of them, early and late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.detection.components import principal
from fanogan_pipeline.detection.poses import Pose, posed
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.tensors import OfTensors

NEIGHBOURS = 3
TOGETHER = 1024  # images compared at once: a processor's cache holds the products
RIDGE = 1e-3  # added to each component's variance, as a share of the mean


@dataclass(frozen=True)
class Neighbours(OfTensors):
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

    @classmethod
    def of(cls, mean: Tensor, basis: Tensor, points: Tensor) -> Neighbours:
        """With the lengths that these points have."""
        return cls(mean, basis, points, points.square().sum(2))

    def coordinates(self, view: Tensor) -> Tensor:
        """A view [N, units] in the points' coordinates."""
        return (view - self.mean) @ self.basis

    def distance(self, view: Tensor, count: int = NEIGHBOURS) -> Tensor:
        """Mean distance to the nearest `count` images, each in its nearest pose: view [N, units] -> float64 [N]."""
        return mean_distance(self.coordinates(view), self.points, self.lengths, count)


def mean_distance(ours: Tensor, points: Tensor, lengths: Tensor, count: int) -> Tensor:
    """Mean distance to the nearest `count` images, or to all where there are fewer, each in its nearest pose.

    Args:
        ours: float32 [N, dimensions].
        points, lengths: of the images in each pose, as `Neighbours` has them.
        count: 1 and up.

    Returns:
        float64 [N].
    """
    nearest = _nearest(ours, points, lengths, min(count, points.shape[1]))
    # from the differences themselves: a small distance as the difference of large squares would be rounding
    gaps = points[:, nearest] - ours[:, None]
    return gaps.square().sum(3).amin(0).double().sqrt().mean(1)


def _nearest(ours: Tensor, points: Tensor, lengths: Tensor, count: int) -> Tensor:
    """Indices of the nearest images, [N, count]."""
    least = [
        # |b|^2 - 2 a.b, which ranks as |a - b|^2 does, over the poses
        torch.baddbmm(length[:, None], ours.expand(len(some), -1, -1), some.transpose(1, 2), alpha=-2).amin(0)
        for some, length in zip(points.split(TOGETHER, 1), lengths.split(TOGETHER, 1), strict=True)
    ]
    return torch.cat(least, 1).topk(count, largest=False).indices


@torch.inference_mode()
def fit_neighbours(
    images: np.ndarray, restorer: Restorer, batch_size: int, poses: Sequence[Pose] = ()
) -> tuple[Neighbours, ...]:
    """Components and points of each of the encoder's views, see `Encoder.see`.

    Args:
        images: uint8 [N, C, H, W], normal, of the training set; at least two.
        restorer: the networks.
        batch_size: images computed at once.
        poses: in which the images count too, besides as they are.
    """
    seen = [restorer.encoder.see(x)[0] for x in batches(images, restorer, batch_size)]
    views = [torch.cat(view) for view in zip(*seen, strict=True)]
    centres = [_scaled(view) for view in views]
    points = [[found] for found in _project(views, centres)]
    del seen, views
    for pose in poses:
        rows = [
            _project(restorer.encoder.see(posed(x, pose))[0], centres) for x in batches(images, restorer, batch_size)
        ]
        for found, row in zip(points, zip(*rows, strict=True), strict=True):
            found.append(torch.cat(row))
    return tuple(
        Neighbours.of(mean, basis, torch.stack(found)) for (mean, basis), found in zip(centres, points, strict=True)
    )


def _project(views: Sequence[Tensor], centres: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Each view [N, units] in the coordinates of its mean and components."""
    return [(view - mean) @ basis for view, (mean, basis) in zip(views, centres, strict=True)]


def _scaled(view: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [units] and scaled components [units, dimensions] of a view float32 [N, units]."""
    mean, components, variances = principal(view)
    return mean, components * (variances + RIDGE * variances.mean() + 1e-12) ** -0.25
