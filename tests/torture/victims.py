"""The processes that are killed: one saves without end, the other trains without end. Each tells what it has done."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from kedro.io import Version
from tests.datasets.stored_forms import PLACES, example
from tests.parts import encoder_parameters, ones, training_parameters, wgan_parameters

from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.networks import Checkpoint, NetworkSpec
from fanogan_pipeline.networks.models import encoder_checkpoint, wgan_checkpoint
from fanogan_pipeline.training.encoder import EncoderPhase
from fanogan_pipeline.training.job import TrainingJob, train_encoder, train_wgan
from fanogan_pipeline.training.state import StateSlot
from fanogan_pipeline.training.wgan import WganPhase

OURS = {form: f"fanogan_pipeline.datasets.{form}" for form in ("CheckpointDataset", "ImageSetDataset")} | {
    "ParquetDataset": "fanogan_pipeline.datasets.ParquetDataset",
    "JSONDataset": "fanogan_pipeline.datasets.JSONDataset",
}
STOCK = {
    "ParquetDataset": "kedro_datasets.pandas.ParquetDataset",
    "CSVDataset": "kedro_datasets.pandas.CSVDataset",
    "JSONDataset": "kedro_datasets.json.JSONDataset",
}
SIZES = {"CheckpointDataset": 20_000, "ImageSetDataset": 3_000, "JSONDataset": 50_000}
SPEC = NetworkSpec("convolutional", (28, 28), 1, 4, 4)
STEPS = 24
AT_WORK = "at work"
Report = Callable[[Any], None]
# Done before the first process is made, so that each has it from its start: pictures read.
ones(60)


def stored(form: str, kinds: dict[str, str], folder: Path, save: str | None = None, load: str | None = None) -> Any:
    """A versioned dataset as a run with these versions sees it."""
    module, name = kinds[form].rsplit(".", 1)
    more = {"save_args": {"index": False}} if form == "CSVDataset" else {}
    path = str(folder / PLACES.get(form, "table.csv"))
    return getattr(importlib.import_module(module), name)(filepath=path, version=Version(load, save), **more)


def content(form: str, number: int) -> Any:
    """What save `number` holds, a few hundred kilobytes of it."""
    return example("ParquetDataset" if form == "CSVDataset" else form, number, SIZES.get(form, 10_000))


def save_for_ever(kinds: dict[str, str], folder: Path, first: int, report: Report) -> None:
    """Version after version of every form; a number is reported once its save has come back."""
    report(AT_WORK)
    for number in itertools.count(first):
        for form in kinds:
            data = content(form, number)
            stored(form, kinds, folder, f"{number:06}").save(data)
            report((form, number))


class Reporting(StateSlot):
    """A slot that tells of every state that is safely stored."""

    report: Report

    def save(self, state: Checkpoint) -> None:
        super().save(state)
        self.report((self.phase, int(state.header["step"])))


def slot(folder: Path, phase: str, report: Report) -> StateSlot:
    found = Reporting(StateStore(folder), phase, {"torture": True})
    object.__setattr__(found, "report", report)
    return found


def train(folder: Path, report: Report, every: int = 1) -> dict[str, str]:
    """Both phases, from wherever the folder's states stand, with a state after `every` so many steps.

    Returns:
        The digests of both models, curves included.
    """
    torch.set_num_threads(1)
    training = training_parameters(save_every_steps=every, save_every_seconds=1e9, log_every=5)
    phase_1, phase_2 = wgan_parameters(steps=STEPS, width=4), encoder_parameters(steps=STEPS)
    first = TrainingJob(phase_1, training, SPEC, 0, "cpu", slot(folder, "wgan", report))
    wgan, curves = train_wgan(first, ones(60))
    model = wgan_checkpoint(wgan, {"curves": summed(curves.to_json())})
    second = TrainingJob(phase_2, training, SPEC, 1, "cpu", slot(folder, "encoder", report), wgan)
    encoder, curves = train_encoder(second, ones(60))
    made = encoder_checkpoint(encoder, model, {"curves": summed(curves.to_json())})
    return {"wgan": model.digest, "encoder": made.digest}


def train_for_ever(folder: Path, report: Report) -> None:
    """Over and over: a finished training is reported and its states are discarded, as a run does it."""
    report(AT_WORK)
    while True:
        report(("digests", train(folder, report)))
        for phase in ("wgan", "encoder"):
            for key in StateStore(folder).held(f"{phase}-"):
                StateStore(folder).discard(key)


def train_to_death(folder: Path, phase: str, step: int, every: int, report: Report) -> None:
    """Kill this process by SIGKILL just before step `step` (from 0) of the phase."""
    kind = {"wgan": WganPhase, "encoder": EncoderPhase}[phase]
    do_step = kind.step

    def last(self: Any, number: int) -> Any:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return do_step(self, number)

    kind.step = last
    train(folder, lambda _: None, every)


def train_to_the_end(folder: Path, every: int, report: Report) -> None:
    """Report the states that are saved and the digests at the end."""
    report(("digests", train(folder, report, every)))


def summed(text: str) -> str:
    return hashlib.sha256(json.dumps(text).encode()).hexdigest()
