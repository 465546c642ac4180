"""What the processes of one training need, as plain files in one folder that all of them see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fanogan_pipeline.compute.files import work_file
from fanogan_pipeline.datasets import safetensors_format
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.networks import NetworkSpec
from fanogan_pipeline.networks.models import load_wgan, wgan_checkpoint
from fanogan_pipeline.parameters import (
    AugmentationParameters,
    EncoderParameters,
    TrainingParameters,
    WganParameters,
)
from fanogan_pipeline.training import devices
from fanogan_pipeline.training.job import TrainingJob
from fanogan_pipeline.training.state import StateSlot


def write(job: TrainingJob, folder: Path, images: np.ndarray) -> None:
    """The job and its images uint8 [N, C, H, W] in an empty folder.

    Raises:
        InputError: it cannot be written.
    """
    assert job.slot is not None  # through which the processes hand on what they have done
    with work_file(folder / "images.npy") as draft:
        np.save(draft, images, allow_pickle=False)
    if job.wgan is not None:
        with work_file(folder / "wgan.safetensors") as draft:
            draft.write_bytes(safetensors_format.to_bytes(wgan_checkpoint(job.wgan, {})))
    # as many threads as asked for here: torchrun, which starts the processes of other machines, asks for 1 by itself
    training = job.training.model_copy(update={"threads": devices.threads_asked_for(job.training.threads)})
    facts: dict[str, Any] = {
        "phase": job.phase,
        "parameters": job.parameters.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "spec": job.spec.to_json(),
        "augmentation": job.augmentation.model_dump(mode="json") if job.augmentation else None,
        "seed": job.seed,
        "device": job.device,
        "precision": job.precision,
        "states": str(job.slot.store.folder.resolve()),
        "facts": job.slot.facts,
        "own_key": job.slot.own_key,
    }
    with work_file(folder / "job.json") as draft:
        draft.write_text(json.dumps(facts))


def read(folder: Path) -> tuple[TrainingJob, np.ndarray]:
    """What `write` left; the images stay in their file, whose pages the processes of a machine share."""
    facts = json.loads((folder / "job.json").read_text())
    group = WganParameters if facts["phase"] == "wgan" else EncoderParameters
    changes = facts["augmentation"]
    model, cpu = folder / "wgan.safetensors", torch.device("cpu")
    job = TrainingJob(
        parameters=group.model_validate(facts["parameters"]),
        training=TrainingParameters.model_validate(facts["training"]),
        spec=NetworkSpec.from_json(facts["spec"]),
        seed=facts["seed"],
        device=facts["device"],
        slot=StateSlot(StateStore(Path(facts["states"])), facts["phase"], facts["facts"], facts["own_key"]),
        wgan=load_wgan(safetensors_format.from_bytes(model.read_bytes(), str(model)), cpu) if model.exists() else None,
        augmentation=AugmentationParameters.model_validate(changes) if changes else None,
        precision=facts["precision"],
    )
    return job, np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
