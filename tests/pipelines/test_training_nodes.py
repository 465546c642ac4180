"""Each phase's node trains with all that its parameters ask for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from tests.parts import encoder_parameters, group, ones, training_parameters, wgan_parameters

from fanogan_pipeline import own_code
from fanogan_pipeline.compute import job_files, side_by_side
from fanogan_pipeline.compute.side_by_side import train_first
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.datasets.tensorboard import TensorBoardLogs
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.pipelines.encoder import nodes as encoder
from fanogan_pipeline.pipelines.wgan import nodes as wgan
from fanogan_pipeline.training.job import phase_of

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


def test_what_is_restored_is_of_all_classes(train_set, tmp_path, monkeypatch):
    plain, _ = wgan.train(train_set, wgan_parameters(steps=1), *settings(tmp_path))
    trained, _ = encoder.train(train_set, plain, encoder_parameters(steps=1), *settings(tmp_path))
    shown = []
    monkeypatch.setattr(
        encoder.figures, "restoration", lambda images, restored, labels: shown.extend(labels) or Figure()
    )
    labels = np.repeat(["a", "b"], COUNT // 2)
    encoder.draw_restoration(dataclasses.replace(train_set, labels=labels), plain, trained)
    assert shown == ["a"] * 4 + ["b"] * 4


def keys(place: Path, phase: str) -> list[str]:
    """Of the states that trainings of a phase have left."""
    return [key for key in StateStore(place / "states").keys() if key.startswith(f"{phase}-")]  # noqa: SIM118


@pytest.mark.parametrize("phase", ["wgan", "encoder"])
def test_only_the_code_that_began_a_training_goes_on_with_it(phase, train_set, tmp_path, monkeypatch):
    for _ in range(2):
        train(phase, train_set, tmp_path)
        assert len(keys(tmp_path, phase)) == 1
    monkeypatch.setattr(own_code, "code_digest", lambda *packages: f"edited {packages}")
    train(phase, train_set, tmp_path)
    assert len(keys(tmp_path, phase)) == 2


def test_a_history_has_one_spacing(train_set, tmp_path):
    for every in (1, 2):
        training, *rest = settings(tmp_path)
        wgan.train(train_set, wgan_parameters(steps=2), training.model_copy(update={"log_every": every}), *rest)
    assert len(keys(tmp_path, "wgan")) == 2


def apart(one: Checkpoint, other: Checkpoint) -> float:
    """The distance between two checkpoints' weights and statistics."""
    return float(torch.stack([(one.tensors[name] - t).double().norm() for name, t in other.tensors.items()]).norm())


@pytest.mark.parametrize("phase", ["wgan", "encoder"])
def test_each_phase_trains_in_the_precision_asked_for_alone_and_side_by_side(phase, train_set, tmp_path):
    plain = train(phase, train_set, tmp_path / "plain")
    short = train(phase, train_set, tmp_path / "short", None, "bfloat16")
    both = train(phase, train_set, tmp_path / "both", None, "bfloat16", 2)
    for trained in (short, both):
        assert trained.header["precision"] == "bfloat16"
        assert all(tensor.dtype == plain.tensors[name].dtype for name, tensor in trained.tensors.items())
    assert apart(short, plain) > 0
    assert apart(both, short) < apart(both, plain) / 2  # what is left is the rounding of two halves of a batch


@pytest.mark.parametrize(("phase", "network"), [("wgan", "critic"), ("encoder", "encoder")])
def test_processes_side_by_side_are_given_the_training_that_one_does_alone(
    phase, network, train_set, tmp_path, monkeypatch
):
    given = []
    monkeypatch.setattr(side_by_side, "train_first", lambda *job: given.append(job) or train_first(*job))
    alone = train(phase, train_set, tmp_path / "alone", {"shift": 4}, "bfloat16")
    job, images = given[-1]
    (folder := tmp_path / "job").mkdir()
    job_files.write(job, folder, images)
    job, images = job_files.read(folder)
    as_worker = phase_of(job, images, torch.device("cpu"))
    for number in range(job.parameters.steps):
        as_worker.step(number)
    for name, tensor in as_worker.modules[network].state_dict().items():
        assert torch.equal(alone.tensors[f"{network}.{name}"], tensor), name
