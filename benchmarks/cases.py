"""The networks that are measured: the default, the reference and the paper's, with the parameters of their conf."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from tests.parts import group, ones
from torch import Tensor

from fanogan_pipeline.networks import NetworkSpec, Wgan
from fanogan_pipeline.parameters import EncoderParameters, Precision, ScoringParameters, WganParameters
from fanogan_pipeline.training.job import TrainingJob

ENVIRONMENTS = {"default": "base", "reference": "reference", "paper": "paper"}
# Without a GPU a step of the paper's networks takes minutes at their batch of 64; the work an image is the same.
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {"wgan": {"batch_size": 8}, "encoder": {"batch_size": 8}, "scoring": {"batch_size": 16}}
}
CPU = torch.device("cpu")
IMAGES = 5394  # the training images of `kedro run`'s class


@dataclass(frozen=True)
class Case:
    """One set of networks.

    Attributes:
        name: "default", "reference" or "paper".
        spec: of the networks.
        wgan, encoder, scoring: parameters of the phases and of scoring.
        images: MNIST's ones at the networks' size, uint8 [N, 1, H, W], on the CPU.
        device: where it is measured.
    """

    name: str
    spec: NetworkSpec
    wgan: WganParameters
    encoder: EncoderParameters
    scoring: ScoringParameters
    images: Tensor
    device: torch.device = CPU

    @property
    def scored(self) -> int:
        """Images that one measurement of scoring goes through."""
        return 16 if self.name == "paper" else len(self.images)


@cache
def case(name: str, device: torch.device = CPU) -> Case:
    """The case of a name of `ENVIRONMENTS`, to be measured on a device."""
    groups = {part: _group(name, part) for part in ("wgan", "encoder", "scoring")}
    height, width = group("data_prep", ENVIRONMENTS[name]).image_size
    p = groups["wgan"]
    spec = NetworkSpec(p.architecture, (height, width), 1, p.latent_dim, p.width)
    return Case(name, spec, **groups, images=_resized(ones(IMAGES), (height, width)), device=device)


def job(
    case: Case,
    parameters: WganParameters | EncoderParameters,
    wgan: Wgan | None = None,
    precision: Precision = "float32",
    cuda_graph: bool = True,
) -> TrainingJob:
    """A phase of the case to train as a run does, of which nothing is kept."""
    training = group("training", cuda_graph=cuda_graph)
    return TrainingJob(parameters, training, case.spec, 0, case.device.type, None, wgan, precision=precision)


def _group(name: str, part: str) -> Any:
    return group(part, ENVIRONMENTS[name], **CHANGES.get(name, {}).get(part, {}))


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(images.shape[2:]) == size:
        return images
    fitted = [np.asarray(Image.fromarray(image.numpy()).resize(size[::-1])) for image in images[:, 0]]
    return torch.from_numpy(np.stack(fitted)[:, None])
