"""Phase 2: train the encoder on the frozen WGAN, show what it restores."""

import numpy as np
import torch
from matplotlib.figure import Figure

from fanogan_pipeline import figures
from fanogan_pipeline.detection.residuals import Restorer, restore
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.parameters import EncoderParameters, ReportingParameters, TrainingParameters
from fanogan_pipeline.training import models
from fanogan_pipeline.training.devices import choose_device, set_threads
from fanogan_pipeline.training.encoder import train_encoder
from fanogan_pipeline.training.state import StateSlot, StateStore


def train(
    train_set: ImageSet,
    wgan_model: Checkpoint,
    parameters: EncoderParameters,
    training: TrainingParameters,
    seed: int,
    device: str,
    states: StateStore,
    tensorboard,
):
    """Train the encoder on the normal images; returns the model and its curves."""
    models.expect_split(wgan_model, train_set.split_digest)
    set_threads(training.threads)
    where = choose_device(device)
    wgan = models.load_wgan(wgan_model, where)
    facts = {"parameters": parameters.model_dump(mode="json"), "seed": seed, "split_digest": train_set.split_digest}
    slot = StateSlot(states, "encoder", facts | {"wgan": wgan_model.digest, "device": where.type})
    images = torch.from_numpy(train_set.images)
    with tensorboard.run("encoder") as log:
        encoder, history = train_encoder(images, wgan, parameters, training, seed + 1000, where, slot, log.scalars)
        log.networks(encoder, torch.zeros(1, *images.shape[1:]))
    facts |= {"train_images": len(train_set), "state_key": slot.key}
    return models.encoder_checkpoint(encoder, wgan_model, facts), history


def draw_restoration(
    selection_set: ImageSet,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    encoder: EncoderParameters,
    parameters: ReportingParameters,
) -> Figure:
    """Kept-apart normal images, what they are restored to, and the difference."""
    cpu = torch.device("cpu")
    restorer = Restorer(
        models.load_wgan(wgan_model, cpu),
        models.load_encoder(encoder_model, wgan_model, cpu),
        encoder.image_distance,
        cpu,
    )
    some = selection_set.take(np.arange(min(8, len(selection_set))))
    return figures.restoration(some.images, restore(some.images, restorer, 64), some.labels, some.is_anomaly)
