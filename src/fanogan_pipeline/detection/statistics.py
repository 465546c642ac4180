"""What residuals are measured against: the training set, and how far from it kept-apart normal images lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.detection.expectation import Expectation, fit_expectation, liveliness
from fanogan_pipeline.detection.localisation import MapStatistics, fit_map_statistics
from fanogan_pipeline.detection.neighbours import Neighbours
from fanogan_pipeline.detection.residual_law import ResidualLaw
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.tensors import OfTensors
from fanogan_pipeline.detection.training_set import DISTANCES, VIEWS, TrainingSet
from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.networks import Checkpoint

Kind = TypeVar("Kind", Neighbours, ResidualLaw, Expectation)


@dataclass(frozen=True)
class ResidualStatistics(OfTensors):
    """Fitted on the selection set, but for the training set itself; every tensor on one device.

    Attributes:
        training_set: what images are compared with; None, where no score asks for it.
        expectations: how far from it normal images are, for each of `DISTANCES`; without it none.
        maps: what residual maps are measured against.
    """

    training_set: TrainingSet | None
    expectations: dict[str, Expectation]
    maps: MapStatistics

    def distances(self, seen: Sequence[Tensor], residual: Callable[[], Tensor]) -> dict[str, Callable[[], Tensor]]:
        """Those of `TrainingSet.distances`, or none."""
        return self.training_set.distances(seen, residual) if self.training_set else {}

    def to_checkpoint(self, belongs_to: dict[str, str]) -> Checkpoint:
        """As a checkpoint that names the digests of the models it was fitted with."""
        parts: dict[str, Any] = {f"expected_{name}": expected for name, expected in self.expectations.items()}
        if self.training_set:
            near = zip(VIEWS, self.training_set.neighbours, strict=True)
            parts |= {"law": self.training_set.law} | {f"neighbour_{view}": found for view, found in near}
        tensors = {f"{part}.{name}": tensor for part, held in parts.items() for name, tensor in vars(held).items()}
        kept = {name: tensor.cpu().contiguous() for name, tensor in (tensors | self.maps.tensors()).items()}
        header = {"kind": "residual_statistics", "belongs_to": belongs_to, "distances": list(self.expectations)}
        return Checkpoint(kept, header)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> ResidualStatistics:
        """The statistics that `to_checkpoint` wrote. Raises InputError on anything else."""
        tensors = checkpoint.tensors
        try:
            names, known = checkpoint.header["distances"], None
            if names:
                neighbours = tuple(_read(Neighbours, f"neighbour_{view}", tensors) for view in VIEWS)
                known = TrainingSet(neighbours, _read(ResidualLaw, "law", tensors))
            expectations = {name: _read(Expectation, f"expected_{name}", tensors) for name in names}
            return cls(known, expectations, MapStatistics.from_tensors(tensors))
        except KeyError as error:
            raise InputError(
                f"{checkpoint.origin or 'residual_statistics'}: found no {error}, expected the training set, "
                "what is expected of normal images, and their maps; run 'kedro run --pipelines scoring'"
            ) from error


def _read(kind: type[Kind], part: str, tensors: dict[str, Tensor]) -> Kind:
    return kind(*(tensors[f"{part}.{field.name}"] for field in fields(kind)))


@torch.inference_mode()
def fit_statistics(
    images: np.ndarray,
    restorer: Restorer,
    training_set: TrainingSet | None,
    batch_size: int,
    is_aligned: bool = True,
) -> ResidualStatistics:
    """The distances to expect, and the maps.

    Args:
        images: uint8 [N, C, H, W], normal, of the selection set.
        restorer: the networks.
        training_set: what they make of the training images; None, no distances from it are wanted.
        batch_size: images computed at once.
        is_aligned: see `fit_map_statistics`.

    Raises:
        InputError: fewer than two images.
    """
    if len(images) < 2:
        raise InputError(
            f"selection_set: found {plural(len(images), 'image')}, expected at least 2; raise "
            "data_prep.selection_fraction"
        )
    restorer = restorer.remembering()
    expectations = fit_expectations(images, restorer, training_set, batch_size)
    maps = fit_map_statistics(images, restorer, batch_size, is_aligned)
    return ResidualStatistics(training_set, expectations, maps).to(restorer.device)


@torch.inference_mode()
def fit_expectations(
    images: np.ndarray, restorer: Restorer, training_set: TrainingSet | None, batch_size: int
) -> dict[str, Expectation]:
    """How far from the training set normal images are, for each of `DISTANCES`; nothing without one.

    The arguments are those of `fit_statistics`; a restorer that searches for z should be a remembering one.
    """
    if training_set is None:
        return {}
    distances: dict[str, list[Tensor]] = {name: [] for name in DISTANCES}
    lively = []
    for x in batches(images, restorer, batch_size):
        seen, z = restorer.see(x)
        residual = partial(restorer.feature_residual, x, restorer.wgan.generator(z))
        for name, distance in training_set.distances(seen, residual).items():
            distances[name].append(distance())
        lively.append(liveliness(x))
    together = torch.cat(lively)
    return {name: fit_expectation(torch.cat(found), together) for name, found in distances.items()}
