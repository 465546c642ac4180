"""What residuals are measured against: their own mean and spread on kept-apart normal images."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.detection.localisation import MapStatistics, fit_map_statistics
from fanogan_pipeline.detection.neighbours import Expectation, Neighbours, fit_expectation, liveliness
from fanogan_pipeline.detection.residuals import Restorer, batches
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks import Checkpoint

FLOOR = 0.01  # share of the mean variance below which no unit's own variance counts


@dataclass(frozen=True)
class ResidualStatistics:
    """Fitted on the selection set, but for the neighbours, who are training images; every tensor on one device.

    Attributes:
        means: of the signed residual of each view (the image, then each critic layer), each [units].
        variances: of the same, floored, each [units].
        neighbours: training images as the encoder sees them.
        expectation: how far from them normal images are.
        maps: what residual maps are measured against.
    """

    means: tuple[Tensor, ...]
    variances: tuple[Tensor, ...]
    neighbours: Neighbours
    expectation: Expectation
    maps: MapStatistics

    def to(self, device: torch.device) -> ResidualStatistics:
        """The same on another device."""
        return ResidualStatistics(
            tuple(mean.to(device) for mean in self.means),
            tuple(variance.to(device) for variance in self.variances),
            self.neighbours.to(device),
            self.expectation.to(device),
            self.maps.to(device),
        )

    def to_checkpoint(self, belongs_to: dict[str, str]) -> Checkpoint:
        """As a checkpoint that names the digests of the models it was fitted with."""
        tensors = {f"neighbour_{name}": tensor for name, tensor in vars(self.neighbours).items()}
        tensors |= {f"expected_{name}": tensor for name, tensor in vars(self.expectation).items()}
        tensors |= {f"mean.{view}": mean for view, mean in enumerate(self.means)}
        tensors |= {f"variance.{view}": variance for view, variance in enumerate(self.variances)}
        tensors |= self.maps.tensors()
        kept = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        return Checkpoint(kept, {"kind": "residual_statistics", "belongs_to": belongs_to})

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> ResidualStatistics:
        """The statistics that `to_checkpoint` wrote. Raises InputError on anything else."""
        tensors = checkpoint.tensors
        views = sum(name.startswith("mean.") for name in tensors)
        try:
            return cls(
                tuple(tensors[f"mean.{view}"] for view in range(views)),
                tuple(tensors[f"variance.{view}"] for view in range(views)),
                Neighbours(*(tensors[f"neighbour_{field.name}"] for field in fields(Neighbours))),
                Expectation(*(tensors[f"expected_{field.name}"] for field in fields(Expectation))),
                MapStatistics.from_tensors(tensors),
            )
        except KeyError as error:
            raise InputError(
                f"{checkpoint.origin or 'residual_statistics'}: found no tensor {error}, expected "
                f"{', '.join(field.name for field in fields(cls))}; run 'kedro run --pipelines scoring'"
            ) from error


@torch.inference_mode()
def fit_statistics(
    images: np.ndarray, restorer: Restorer, neighbours: Neighbours, batch_size: int, is_aligned: bool = True
) -> ResidualStatistics:
    """Mean and variance of every residual unit, and the distances to expect.

    Args:
        images: uint8 [N, C, H, W], normal, of the selection set.
        restorer: the networks.
        neighbours: of the training set.
        batch_size: images computed at once.
        is_aligned: see `fit_map_statistics`.

    Raises:
        InputError: fewer than two images.
    """
    if len(images) < 2:
        raise InputError(
            f"selection_set: found {len(images)} images, expected at least 2; raise data_prep.selection_fraction"
        )
    sums: list[Any] = []
    squares: list[Any] = []
    distances, lively = [], []
    for x in batches(images, restorer, batch_size):
        features, z = restorer.see(x)
        restored = restorer.wgan.generator(z)
        distances.append(neighbours.distance(features))
        lively.append(liveliness(x))
        views = [view.double() for view in restorer.residuals(x, restored)]
        sums = [total + view.sum(0) for total, view in zip(sums or [0] * len(views), views, strict=True)]
        squares = [total + view.square().sum(0) for total, view in zip(squares or [0] * len(views), views, strict=True)]
    means = [total / len(images) for total in sums]
    variances = [total / len(images) - mean.square() for total, mean in zip(squares, means, strict=True)]
    return ResidualStatistics(
        tuple(mean.float() for mean in means),
        tuple(variance.clamp_min(0).add(FLOOR * variance.mean().clamp_min(1e-12)).float() for variance in variances),
        neighbours,
        fit_expectation(torch.cat(distances), torch.cat(lively)),
        fit_map_statistics(images, restorer, batch_size, is_aligned),
    ).to(restorer.device)
