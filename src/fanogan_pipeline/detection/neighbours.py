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
from fanogan_pipeline.errors import InputError

NEIGHBOURS = 3
TOGETHER = 256  # training images compared with at once: a processor's cache holds the products
PRODUCTS = 1 << 28  # at once on a GPU, 1 GiB of them: the fewer launches the better
RIDGE = 1e-3  # added to each component's variance, as a share of the mean


@dataclass(frozen=True)
class Neighbours(OfTensors):
    """What the encoder sees of training images in one of its views, in the principal components that vary most.

    Attributes:
        mean: of the view, float32 [units].
        basis: components as columns, each divided by the root of its standard deviation: what varies much counts
            more than what varies little, but not by all of it; float32 [units, dimensions].
        known: (view - mean) basis of the training images kept, in each pose, and behind it its squared length, float32
            [poses, images, dimensions + 1].
    """

    mean: Tensor
    basis: Tensor
    known: Tensor

    def coordinates(self, view: Tensor) -> Tensor:
        """A view [N, units] in the coordinates of `known`. Raises InputError where these are of other units."""
        if view.shape[1] != len(self.mean):
            raise InputError(
                f"residual_statistics: found {len(self.mean):,} units of what the encoder sees of training images, "
                f"expected {view.shape[1]:,}; run 'kedro run --pipelines scoring'"
            )
        return (view - self.mean) @ self.basis

    def distance(self, view: Tensor) -> Tensor:
        """Mean distance to the nearest images, each in its nearest pose: view [N, units] -> float64 [N]."""
        return mean_distance(self.coordinates(view), self.known, NEIGHBOURS)


def with_lengths(points: Tensor) -> Tensor:
    """Points [..., dimensions] with their squared length behind them, [..., dimensions + 1]."""
    return torch.cat([points, points.square().sum(-1, keepdim=True)], -1)


def mean_distance(ours: Tensor, known: Tensor, count: int) -> Tensor:
    """Mean distance to the nearest `count` images, or to all where there are fewer, each in its nearest pose.

    Args:
        ours: float32 [N, dimensions].
        known: the images in each pose, as `Neighbours` has them.
        count: 1 and up.

    Returns:
        float64 [N].
    """
    nearest = _nearest(ours, known, min(count, known.shape[1]))
    # from the differences themselves: a small distance as the difference of large squares would be rounding
    gaps = known[:, nearest][..., :-1] - ours[:, None]
    return gaps.square().sum(3).amin(0).double().sqrt().mean(1)


def _nearest(ours: Tensor, known: Tensor, count: int) -> Tensor:
    """Indices of the nearest images, [N, count]."""
    together = TOGETHER if ours.device.type == "cpu" else max(1, PRODUCTS // (len(known) * len(ours)))
    # [-2 a, 1] . [b, |b|^2] = |b|^2 - 2 a.b, which ranks as |a - b|^2 does: one product, with nothing to be added to it
    asked = torch.cat([-2 * ours, torch.ones_like(ours[:, :1])], 1).expand(len(known), -1, -1)
    least = [torch.bmm(asked, some.transpose(1, 2)).amin(0) for some in known.split(together, 1)]
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
        Neighbours(mean, basis, with_lengths(torch.stack(found)))
        for (mean, basis), found in zip(centres, points, strict=True)
    )


def _project(views: Sequence[Tensor], centres: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Each view [N, units] in the coordinates of its mean and components."""
    return [(view - mean) @ basis for view, (mean, basis) in zip(views, centres, strict=True)]


def _scaled(view: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [units] and scaled components [units, dimensions] of a view float32 [N, units]."""
    mean, components, variances = principal(view)
    return mean, components * (variances + RIDGE * variances.mean() + 1e-12) ** -0.25
