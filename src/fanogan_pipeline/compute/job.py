"""What the processes of one training need, as plain files in one folder that all of them see."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fanogan_pipeline.compute.files import work_file
from fanogan_pipeline.datasets import safetensors_format
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.networks import Checkpoint, NetworkSpec
from fanogan_pipeline.parameters import (
    AugmentationParameters,
    EncoderParameters,
    Precision,
    TrainingParameters,
    WganParameters,
)
from fanogan_pipeline.training.state import StateSlot


@dataclass(frozen=True)
class TrainingJob:
    """One phase to train.

    Attributes:
        parameters: of the phase, whose name they give.
        training: of both phases.
        spec: the networks to build.
        seed: of weights, noise and order.
        device: "cpu" or "cuda".
        slot: where the resumable state is kept; its store is a folder.
        wgan_model: phase 2: what the encoder is trained on.
        augmentation: random changes to the images; None, none.
        precision: of passes through the networks.
    """

    parameters: WganParameters | EncoderParameters
    training: TrainingParameters
    spec: NetworkSpec
    seed: int
    device: str
    slot: StateSlot
    wgan_model: Checkpoint | None = None
    augmentation: AugmentationParameters | None = None
    precision: Precision = "float32"

    @property
    def phase(self) -> str:
        """ "wgan" or "encoder"."""
        return "wgan" if isinstance(self.parameters, WganParameters) else "encoder"

    def write(self, folder: Path, images: np.ndarray) -> None:
        """The job and its images uint8 [N, C, H, W] in an empty folder.

        Raises:
            InputError: it cannot be written.
        """
        with work_file(folder / "images.npy") as draft, draft.open("wb") as file:
            np.save(file, images, allow_pickle=False)
        if self.wgan_model is not None:
            with work_file(folder / "wgan.safetensors") as draft:
                draft.write_bytes(safetensors_format.to_bytes(self.wgan_model))
        facts: dict[str, Any] = {
            "phase": self.phase,
            "parameters": self.parameters.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
            "spec": self.spec.to_json(),
            "augmentation": self.augmentation.model_dump(mode="json") if self.augmentation else None,
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
            "states": str(self.slot.store.folder.resolve()),
            "facts": self.slot.facts,
            "own_key": self.slot.own_key,
        }
        with work_file(folder / "job.json") as draft:
            draft.write_text(json.dumps(facts))

    @classmethod
    def read(cls, folder: Path) -> tuple[TrainingJob, np.ndarray]:
        """What `write` left; the images stay in their file, whose pages the processes of a machine share."""
        facts = json.loads((folder / "job.json").read_text())
        group = WganParameters if facts["phase"] == "wgan" else EncoderParameters
        changes = facts["augmentation"]
        model = folder / "wgan.safetensors"
        job = cls(
            parameters=group.model_validate(facts["parameters"]),
            training=TrainingParameters.model_validate(facts["training"]),
            spec=NetworkSpec.from_json(facts["spec"]),
            seed=facts["seed"],
            device=facts["device"],
            slot=StateSlot(StateStore(Path(facts["states"])), facts["phase"], facts["facts"], facts["own_key"]),
            wgan_model=safetensors_format.from_bytes(model.read_bytes(), str(model)) if model.exists() else None,
            augmentation=AugmentationParameters.model_validate(changes) if changes else None,
            precision=facts["precision"],
        )
        return job, np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
