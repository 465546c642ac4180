"""What the networks make of the training images, all of them together: what new images are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.detection.neighbours import Neighbours, fit_neighbours
from fanogan_pipeline.detection.poses import Pose
from fanogan_pipeline.detection.residual_law import ResidualLaw, fit_law
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.tensors import OfTensors
from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.evenly import evenly

MOST_IMAGES = 8192  # training images that count, evenly from all there are
VIEWS = ("early", "late")  # of the encoder, see `Encoder.see`
DISTANCES = (*(f"neighbour_distance_{view}" for view in VIEWS), "feature_distance")


@dataclass(frozen=True)
class TrainingSet(OfTensors):
    """Where the training images lie, and how they are restored.

    Attributes:
        neighbours: the images in each of the encoder's views.
        law: of f(x) - f(G(E(x))), their residual in the critic's deepest layer.
    """

    neighbours: tuple[Neighbours, ...]
    law: ResidualLaw

    def distances(self, seen: Sequence[Tensor], residual: Callable[[], Tensor]) -> dict[str, Callable[[], Tensor]]:
        """How far images lie from the training set: for each of `DISTANCES` what computes it, float64 [N].

        Args:
            seen: the encoder's views of the images, each [N, units].
            residual: gives their residual in the critic's deepest layer, [N, units].
        """
        from_neighbours = [partial(near.distance, view) for near, view in zip(self.neighbours, seen, strict=True)]
        return dict(zip(DISTANCES, [*from_neighbours, lambda: self.law.distance(residual())], strict=True))


@torch.inference_mode()
def fit_training_set(
    images: np.ndarray, restorer: Restorer, batch_size: int, poses: Sequence[Pose] = ()
) -> TrainingSet:
    """Neighbours and the law of residuals.

    The law is that of restorations by E(x), also where z is searched for: a search for every training image would cost
    more than training did.

    Args:
        images: uint8 [N, C, H, W], normal, of the training set.
        restorer: the networks.
        batch_size: images computed at once.
        poses: in which the images count as neighbours too, besides as they are.

    Raises:
        InputError: fewer than two images.
    """
    if len(images) < 2:
        raise InputError(f"train_set: found {plural(len(images), 'image')}, expected at least 2")
    kept = images[evenly(len(images), MOST_IMAGES)]
    neighbours = fit_neighbours(kept, restorer, batch_size, poses)
    residuals = []
    for x in batches(kept, restorer, batch_size):
        restored = restorer.wgan.generator(restorer.encoder(x))
        residuals.append(restorer.feature_residual(x, restored))
    return TrainingSet(neighbours, fit_law(torch.cat(residuals)))
