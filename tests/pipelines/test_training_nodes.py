"""Each phase's node trains with all that its parameters ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.parts import encoder_parameters, group, ones, training_parameters, wgan_parameters

from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.datasets.tensorboard import TensorBoardLogs
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.pipelines.encoder import nodes as encoder
from fanogan_pipeline.pipelines.wgan import nodes as wgan

COUNT = 32
NAMES = np.array([f"{row}" for row in range(COUNT)])


@pytest.fixture(scope="module")
def train_set() -> ImageSet:
    return ImageSet(ones(COUNT).numpy(), np.full(COUNT, "1"), np.zeros(COUNT, bool), NAMES, "split")


def settings(
    place: Path, augmentation: dict[str, Any] | None = None, precision: str = "float32", processes: int = 1
) -> tuple[Any, ...]:
    """What follows a phase's own parameters."""
    training, data_prep = training_parameters(processes=processes), group("data_prep", augmentation=augmentation)
    stores = StateStore(place / "states"), TensorBoardLogs(place / "logs")
    return training, data_prep, 0, "cpu", precision, *stores


def train(phase: str, train_set: ImageSet, place: Path, *how: Any) -> Checkpoint:
    if phase == "wgan":
        return wgan.train(train_set, wgan_parameters(steps=2), *settings(place, *how))[0]
    plain, _ = wgan.train(train_set, wgan_parameters(steps=1), *settings(place))
    return encoder.train(train_set, plain, encoder_parameters(steps=2), *settings(place, *how))[0]


@pytest.mark.parametrize("phase", ["wgan", "encoder"])
def test_each_phase_alone_in_its_process_sees_augmented_images(phase, train_set, tmp_path):
    plain = train(phase, train_set, tmp_path / "plain")
    again = train(phase, train_set, tmp_path / "again", {})
    shifted = train(phase, train_set, tmp_path / "shifted", {"shift": 4})
    assert all(torch.equal(plain.tensors[name], tensor) for name, tensor in again.tensors.items())
    assert not all(torch.equal(plain.tensors[name], tensor) for name, tensor in shifted.tensors.items())


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("phase", ["wgan", "encoder"])
def test_each_phase_trains_in_the_precision_asked_for(phase, processes, train_set, tmp_path):
    plain = train(phase, train_set, tmp_path / "plain")
    short = train(phase, train_set, tmp_path / "short", None, "bfloat16", processes)
    assert short.header["precision"] == "bfloat16"
    assert not all(torch.equal(plain.tensors[name], tensor) for name, tensor in short.tensors.items())
    for name, tensor in short.tensors.items():
        assert tensor.dtype == plain.tensors[name].dtype
        torch.testing.assert_close(tensor, plain.tensors[name], rtol=0.05, atol=0.05)
