"""One phase to train: all that its weights come of besides the images, and the way from beginning to end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from fanogan_pipeline.networks import Encoder, NetworkSpec, Wgan
from fanogan_pipeline.networks.wgan import sample_prior
from fanogan_pipeline.parameters import (
    AugmentationParameters,
    EncoderParameters,
    Precision,
    TrainingParameters,
    WganParameters,
)
from fanogan_pipeline.training.distributed import SOLO, Group
from fanogan_pipeline.training.encoder import EncoderPhase
from fanogan_pipeline.training.loop import Observer, run_phase
from fanogan_pipeline.training.replay import CudaGraph
from fanogan_pipeline.training.state import StateSlot
from fanogan_pipeline.training.wgan import WganPhase

Images = np.ndarray | Tensor
STANDING_BATCHES = 20  # batches of z that batch norm's statistics of the averaged generator are taken over


@dataclass(frozen=True)
class TrainingJob:
    """One phase to train.

    Attributes:
        parameters: of the phase, whose name they give; `steps` counts updates of the generator or the encoder.
        training: logging, saving and failure, shared by both phases.
        spec: the networks to build.
        seed: of weights, noise and order.
        device: "cpu" or "cuda".
        slot: where the resumable state is kept; None, nothing is kept.
        wgan: phase 2: what the encoder is trained on.
        augmentation: random changes to the images; None, none.
        precision: of passes through the networks, see `Passes`.
    """

    parameters: WganParameters | EncoderParameters
    training: TrainingParameters
    spec: NetworkSpec
    seed: int
    device: str
    slot: StateSlot | None = None
    wgan: Wgan | None = None
    augmentation: AugmentationParameters | None = None
    precision: Precision = "float32"

    @property
    def phase(self) -> str:
        """ "wgan" or "encoder"."""
        return "wgan" if isinstance(self.parameters, WganParameters) else "encoder"


def phase_of(job: TrainingJob, images: Images, device: torch.device, group: Group = SOLO) -> WganPhase | EncoderPhase:
    """The job's phase before its first step, on images uint8 [N, C, H, W], as one process of a group trains it."""
    images = torch.as_tensor(images)  # the very memory, or file that it is mapped to
    is_recorded = device.type == "cuda" and group.size == 1 and job.training.cuda_graph
    how = (job.seed, device, job.augmentation, group, job.precision, CudaGraph if is_recorded else None)
    if isinstance(job.parameters, WganParameters):
        return WganPhase(images, job.spec, job.parameters, *how)
    assert job.wgan is not None
    return EncoderPhase(images, job.wgan, job.parameters, *how)


def train_wgan(job: TrainingJob, images: Images, observe: Observer | None = None) -> tuple[Wgan, pd.DataFrame]:
    """Train generator and critic on normal images.

    Args:
        job: phase 1.
        images: uint8 [N, C, H, W].
        observe: called at every logged step, of a resumed phase first with those before, with the step and each term's
            mean since the one before it.

    Returns:
        The averaged generator and the critic; the curves (columns `step`, `term_real`, `term_fake`,
        `gradient_penalty`, `loss_critic`, `loss_generator`; NaN where the objective has no such term).
    """
    phase = phase_of(job, images, torch.device(job.device))
    assert isinstance(phase, WganPhase)
    p = phase.p
    history = run_phase(phase, p.steps, job.training, job.slot, observe)
    latents = [
        sample_prior(p.latent_prior, p.batch_size, job.spec.latent_dim, phase.noise) for _ in range(STANDING_BATCHES)
    ]
    # averaged weights do not fit the running statistics of those they were averaged from (Brock et al. 2019)
    update_bn(latents, phase.average.eval())
    return (
        Wgan(job.spec, p.latent_prior, phase.average, phase.critic.eval().requires_grad_(False)),
        history.reindex(
            columns=["step", "term_real", "term_fake", "gradient_penalty", "loss_critic", "loss_generator"]
        ),
    )


def train_encoder(job: TrainingJob, images: Images, observe: Observer | None = None) -> tuple[Encoder, pd.DataFrame]:
    """Train the encoder of a frozen WGAN on normal images.

    Args:
        job: phase 2.
        images, observe: as for `train_wgan`.

    Returns:
        The encoder in evaluation mode; the curves (columns `step`, `term_izi`, `term_ziz`,
        `term_features`, `loss_encoder`; NaN where the objective has no such term).
    """
    phase = phase_of(job, images, torch.device(job.device))
    assert isinstance(phase, EncoderPhase)
    history = run_phase(phase, phase.p.steps, job.training, job.slot, observe)
    columns = ["step", "term_izi", "term_ziz", "term_features", "loss_encoder"]
    return phase.encoder.eval().requires_grad_(False), history.reindex(columns=columns)
