"""What residuals are measured against: their own mean and spread on kept-apart normal images."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.detection.expectation import Expectation, fit_expectation, liveliness
from fanogan_pipeline.detection.localisation import MapStatistics, fit_map_statistics
from fanogan_pipeline.detection.neighbours import Neighbours
from fanogan_pipeline.detection.residuals import VIEWS, Restorer, batches
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks import Checkpoint

Kind = TypeVar("Kind", Neighbours, Expectation)

FLOOR = 0.01  # share of the mean variance below which no unit's own variance counts


@dataclass(frozen=True)
class ResidualStatistics:
    """Fitted on the selection set, but for the neighbours, who are training images; every tensor on one device.

    Attributes:
        means: of the signed residual of each view (the image, then each critic layer), each [units].
        variances: of the same, floored, each [units].
        neighbours: training images in each of the encoder's views.
        expectations: how far from them normal images are.
        maps: what residual maps are measured against.
    """

    means: tuple[Tensor, ...]
    variances: tuple[Tensor, ...]
    neighbours: tuple[Neighbours, ...]
    expectations: tuple[Expectation, ...]
    maps: MapStatistics

    def to(self, device: torch.device) -> ResidualStatistics:
        """The same on another device."""
        return ResidualStatistics(
            tuple(mean.to(device) for mean in self.means),
            tuple(variance.to(device) for variance in self.variances),
            tuple(near.to(device) for near in self.neighbours),
            tuple(expected.to(device) for expected in self.expectations),
            self.maps.to(device),
        )

    def to_checkpoint(self, belongs_to: dict[str, str]) -> Checkpoint:
        """As a checkpoint that names the digests of the models it was fitted with."""
        tensors: dict[str, Tensor] = {}
        for view, near, expected in zip(VIEWS, self.neighbours, self.expectations, strict=True):
            tensors |= {f"neighbour_{view}_{name}": tensor for name, tensor in vars(near).items()}
            tensors |= {f"expected_{view}_{name}": tensor for name, tensor in vars(expected).items()}
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
                tuple(_read(Neighbours, f"neighbour_{view}_", tensors) for view in VIEWS),
                tuple(_read(Expectation, f"expected_{view}_", tensors) for view in VIEWS),
                MapStatistics.from_tensors(tensors),
            )
        except KeyError as error:
            raise InputError(
                f"{checkpoint.origin or 'residual_statistics'}: found no tensor {error}, expected "
                f"{', '.join(field.name for field in fields(cls))}; run 'kedro run --pipelines scoring'"
            ) from error


def _read(kind: type[Kind], prefix: str, tensors: dict[str, Tensor]) -> Kind:
    return kind(*(tensors[prefix + field.name] for field in fields(kind)))


@torch.inference_mode()
def fit_statistics(
    images: np.ndarray,
    restorer: Restorer,
    neighbours: tuple[Neighbours, ...],
    batch_size: int,
    is_aligned: bool = True,
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
    distances: list[list[Tensor]] = []
    lively = []
    for x in batches(images, restorer, batch_size):
        seen, z = restorer.see(x)
        restored = restorer.wgan.generator(z)
        distances.append([near.distance(view) for near, view in zip(neighbours, seen, strict=True)])
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
        tuple(fit_expectation(torch.cat(found), torch.cat(lively)) for found in zip(*distances, strict=True)),
        fit_map_statistics(images, restorer, batch_size, is_aligned),
    ).to(restorer.device)
