"""Phase 1: train the WGAN, show what it has learnt."""

import torch
from matplotlib.figure import Figure

from fanogan_pipeline import figures
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import Checkpoint, NetworkSpec
from fanogan_pipeline.parameters import ReportingParameters, TrainingParameters, WganParameters
from fanogan_pipeline.training import models, sampling
from fanogan_pipeline.training.devices import choose_device, set_threads
from fanogan_pipeline.training.state import StateSlot, StateStore
from fanogan_pipeline.training.wgan import train_wgan


def train(
    train_set: ImageSet,
    parameters: WganParameters,
    training: TrainingParameters,
    seed: int,
    device: str,
    states: StateStore,
    tensorboard,
):
    """Train generator and critic on the normal images; returns the model and its curves."""
    set_threads(training.threads)
    where, images = choose_device(device), torch.from_numpy(train_set.images)
    spec = NetworkSpec(
        parameters.architecture,
        tuple(images.shape[2:]),
        images.shape[1],
        parameters.latent_dim,
        parameters.width,
    )
    facts = {"parameters": parameters.model_dump(mode="json"), "seed": seed, "split_digest": train_set.split_digest}
    slot = StateSlot(states, "wgan", facts | {"device": where.type})
    with tensorboard.run("wgan") as log:
        wgan, history = train_wgan(images, spec, parameters, training, seed, where, slot, log.scalars)
        log.networks(wgan.generator, torch.zeros(1, spec.latent_dim))
        log.images("generated_samples", sampling.samples(wgan, 64, seed))
    facts |= {"geometry": train_set.geometry, "train_images": len(train_set), "state_key": slot.key}
    return models.wgan_checkpoint(wgan, facts), history


def draw_samples(wgan_model: Checkpoint, parameters: ReportingParameters, seed: int) -> Figure:
    """A sheet of generated images."""
    wgan = models.load_wgan(wgan_model, torch.device("cpu"))
    return figures.generated_samples(sampling.samples(wgan, parameters.gallery_images, seed), wgan.spec.latent_dim)


def draw_walk(wgan_model: Checkpoint, parameters: ReportingParameters, seed: int) -> Figure:
    """A plane through the latent space."""
    wgan = models.load_wgan(wgan_model, torch.device("cpu"))
    images, extent = sampling.walk(wgan, parameters.walk_steps, seed)
    return figures.latent_walk(images, extent)
