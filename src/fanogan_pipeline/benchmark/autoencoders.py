"""Autoencoders of f-AnoGAN's own encoder and generator, trained end to end on restoring alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from fanogan_pipeline.benchmark.baselines import Score
from fanogan_pipeline.benchmark.shared import Settings
from fanogan_pipeline.networks import NetworkSpec, build_encoder, build_generator, pixel_range, seeded
from fanogan_pipeline.networks.pixels import to_pixels
from fanogan_pipeline.parameters import BenchmarkMethod
from fanogan_pipeline.training.augmentation import Augmenter
from fanogan_pipeline.training.data import Batches, RealImages
from fanogan_pipeline.training.optimisers import Adam
from fanogan_pipeline.training.schedule import rate_factor
from fanogan_pipeline.training.wgan import network_spec

RATE_DECAY = 0.5  # share of the steps over which the rate falls, as in `rate_factor`


class Autoencoder(nn.Module):
    """x -> z -> x', judged by 1/n ||x - x'||^2."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.encoder, self.decoder = build_encoder(spec, "linear"), build_generator(spec)

    def loss(self, x: Tensor) -> Tensor:
        return (x - self.decoder(self.encoder(x))).square().mean()

    def score(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> [N]."""
        return (x - self.decoder(self.encoder(x))).square().flatten(1).mean(1)


class VariationalAutoencoder(nn.Module):
    """Kingma and Welling 2014, with the decoder's variance at its optimum (Rybkin et al. 2021); judged by -ELBO."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.encoder = build_encoder(replace(spec, latent_dim=2 * spec.latent_dim), "linear")
        self.decoder = build_generator(spec)
        self.error: Tensor
        self.register_buffer("error", torch.ones(()))

    def loss(self, x: Tensor) -> Tensor:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        error = (x - self.decoder(z)).square().mean()
        self.error.lerp_(error.detach(), 0.02)
        return x[0].numel() / 2 * error.log() + _divergence(mean, log_variance).mean()

    def score(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> [N], -ELBO but for a constant, restored from the mean of q(z|x)."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        error = (x - self.decoder(mean)).square().flatten(1).sum(1)
        return error / (2 * self.error) + _divergence(mean, log_variance)


def _divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) [N]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def fit(
    build: Callable[[NetworkSpec], Autoencoder | VariationalAutoencoder],
    train: np.ndarray,
    seed: int,
    settings: Settings,
) -> Score:
    """Train on normal images uint8 [N, C, H, W] with the encoder's batch size and rate; returns what scores others."""
    spec, device = network_spec(train.shape, settings.wgan), torch.device(settings.device)
    e, steps = settings.encoder, settings.benchmark.autoencoder_steps
    with seeded(seed):
        model = build(spec).to(device)
    images, span, optimiser = torch.from_numpy(train).to(device), pixel_range(spec), Adam(model.parameters())
    batches = Batches(len(images), e.batch_size, seed, "encoder.batch_size", device)
    real = RealImages(images, span, batches, Augmenter(settings.data_prep.augmentation, seed, span))
    for step in range(steps):
        optimiser.rate.fill_(e.learning_rate * rate_factor(step, steps, RATE_DECAY))
        loss = model.loss(real.batch(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()

    @torch.inference_mode()
    def score(others: np.ndarray) -> np.ndarray:
        parts = torch.from_numpy(others).split(256)
        return torch.cat([model.score(to_pixels(part.to(device), span)).double().cpu() for part in parts]).numpy()

    return score


AUTOENCODERS: dict[BenchmarkMethod, Callable[[NetworkSpec], Autoencoder | VariationalAutoencoder]] = {
    "autoencoder": Autoencoder,
    "vae": VariationalAutoencoder,
}
