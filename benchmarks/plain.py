"""The same networks and the same updates as public f-AnoGANs write them: the loop that ours is measured against.

A DataLoader of PIL images, one optimiser step after another, a critic pass for real and one for generated images,
losses read off at every step, images scored one at a time. It draws the same rows and the same noise as
`fanogan_pipeline.training`, so that both end with the same weights, to rounding (tests/training/test_plain_loop.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fanogan_pipeline.evenly import evenly
from fanogan_pipeline.networks import (
    Critic,
    NetworkSpec,
    Wgan,
    build_critic,
    build_encoder,
    build_generator,
    pixel_range,
)
from fanogan_pipeline.networks.wgan import sample_prior
from fanogan_pipeline.parameters import EncoderParameters, WganParameters
from fanogan_pipeline.training.data import Batches, corrupt
from fanogan_pipeline.training.schedule import WARM_UP_STEPS, rate_factor

CPU = torch.device("cpu")


class Pictures(Dataset):
    """Grey images uint8 [N, 1, H, W] as PIL pictures, each made a tensor [1, H, W] when it is asked for."""

    def __init__(self, images: Tensor, spec: NetworkSpec) -> None:
        self.pictures = [Image.fromarray(image[0].numpy()) for image in images]
        self.low, self.high = pixel_range(spec)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> Tensor:
        x = torch.from_numpy(np.array(self.pictures[row])).unsqueeze(0).to(torch.get_default_dtype()).div(255)
        return x * (self.high - self.low) + self.low


def endless(pictures: Pictures, batch_size: int, seed: int, device: torch.device) -> Iterator[Tensor]:
    """Batches in the order of `training.data.Batches`, on the device."""
    order = Batches(len(pictures), batch_size, seed, "batch_size")
    rows = (order.rows(k).tolist() for k in range(1_000_000))
    return (x.to(device) for x in DataLoader(pictures, batch_sampler=rows))  # type: ignore[arg-type]


class PlainWgan:
    """Phase 1."""

    def __init__(
        self, images: Tensor, spec: NetworkSpec, parameters: WganParameters, seed: int, device: torch.device = CPU
    ) -> None:
        self.p, self.spec = parameters, spec
        torch.manual_seed(seed)
        self.generator, self.critic = build_generator(spec).to(device), build_critic(spec).to(device)
        self.average = copy.deepcopy(self.generator)
        betas = parameters.adam_betas
        self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), parameters.learning_rate, betas)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), parameters.critic_learning_rate, betas)
        self.noise = torch.Generator(device).manual_seed(seed + 1)
        self.batches = endless(Pictures(images, spec), parameters.batch_size, seed + 2, device)

    def step(self, number: int) -> dict[str, float]:
        share = rate_factor(number, self.p.steps, self.p.rate_decay)
        for rate, optimiser in (
            (self.p.critic_learning_rate, self.critic_optimiser),
            (self.p.learning_rate, self.generator_optimiser),
        ):
            for group in optimiser.param_groups:
                group["lr"] = share * rate
        for _ in range(self.p.critic_steps):
            loss_critic = self._critic_step(next(self.batches))
        self.generator_optimiser.zero_grad()
        loss = -self.critic(self.generator(self._z())).mean()
        loss.backward()
        self.generator_optimiser.step()
        self._update_average((number + 1) * self.p.critic_steps * self.p.batch_size)
        return {"loss_critic": loss_critic, "loss_generator": loss.item()}

    def _critic_step(self, real: Tensor) -> float:
        self.critic_optimiser.zero_grad()
        fake = self.generator(self._z()).detach()
        real_scores, fake_scores = self.critic(real), self.critic(fake)
        loss = fake_scores.mean() - real_scores.mean()
        if self.p.objective == "wgan_gp":
            loss = loss + self.p.gradient_penalty * self._penalty(real, fake)
        if self.p.drift:
            loss = loss + self.p.drift * (real_scores.pow(2).mean() + fake_scores.pow(2).mean()) / 2
        loss.backward()
        self.critic_optimiser.step()
        if self.p.objective == "wgan_clip":
            for weight in self.critic.parameters():
                weight.data.clamp_(-self.p.clip, self.p.clip)
        return loss.item()

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        some = self.p.penalty_images or len(real)
        mix = torch.rand(len(real[:some]), generator=self.noise, device=real.device).view(-1, 1, 1, 1)
        between = (mix * real[:some] + (1 - mix) * fake[:some]).requires_grad_(True)
        scores = self.critic(between)
        (gradient,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True)
        return ((gradient.view(len(gradient), -1).norm(2, dim=1) - 1) ** 2).mean()

    def _z(self) -> Tensor:
        return sample_prior(self.p.latent_prior, self.p.batch_size, self.spec.latent_dim, self.noise)

    def _update_average(self, images_seen: int) -> None:
        horizon = min(self.p.ema_half_life, 0.05 * images_seen)
        decay = 0.5 ** (self.p.critic_steps * self.p.batch_size / horizon) if horizon else 0.0
        for ours, theirs in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            ours.data = decay * ours.data + (1 - decay) * theirs.data


class PlainEncoder:
    """Phase 2. Generator and critic are in evaluation mode, their gradients made and not used."""

    def __init__(
        self, images: Tensor, wgan: Wgan, parameters: EncoderParameters, seed: int, device: torch.device = CPU
    ) -> None:
        self.p, self.wgan = parameters, wgan
        torch.manual_seed(seed)
        self.generator, self.critic = (
            copy.deepcopy(part).to(device).eval().requires_grad_(True) for part in (wgan.generator, wgan.critic)
        )
        self.encoder = build_encoder(wgan.spec, parameters.head).to(device)
        weights, rate = self.encoder.parameters(), parameters.learning_rate
        if parameters.optimiser == "rmsprop":
            self.optimiser: torch.optim.Optimizer = PlainRmsProp(weights, {"lr": rate})
        else:
            self.optimiser = torch.optim.Adam(weights, rate)
        self.noise = torch.Generator(device).manual_seed(seed + 1)
        pictures = Pictures(images, wgan.spec)
        self.batches = endless(pictures, parameters.batch_size, seed + 2, device)
        some = torch.stack([pictures[row] for row in evenly(len(pictures), 256)]).to(device)
        self.fill = float(some.median())
        with torch.no_grad():
            deepest = self.critic.features(some)[-1]
        pixels = some.var(0) if parameters.image_distance == "squared" else (some - some.mean(0)).abs()
        both = [float(part.mean()) for part in (pixels, deepest.var(0))]
        self.image_unit, self.feature_unit = both if parameters.normalise else (1.0, 1.0)

    def step(self, number: int) -> dict[str, float]:
        warm_up = WARM_UP_STEPS if self.p.rate_decay else 0
        for group in self.optimiser.param_groups:
            group["lr"] = self.p.learning_rate * rate_factor(number, self.p.steps, self.p.rate_decay, warm_up)
        self.optimiser.zero_grad()
        loss = self._latent_loss() if self.p.objective == "ziz" else self._image_loss()
        loss.backward()
        self.optimiser.step()
        return {"loss_encoder": loss.item()}

    def _latent_loss(self) -> Tensor:
        z = sample_prior(self.wgan.prior, self.p.batch_size, self.wgan.spec.latent_dim, self.noise)
        return _distance(z, self.encoder(self._corrupted(self.generator(z))), self.p.image_distance)

    def _image_loss(self) -> Tensor:
        x = next(self.batches)
        z = self.encoder(self._corrupted(x))
        restored = self.generator(z)
        loss = _distance(x, restored, self.p.image_distance) / self.image_unit
        if self.p.objective == "izi_f":
            real, made = self.critic.features(x)[-1], self.critic.features(restored)[-1]
            loss = loss + self.p.kappa * (real - made).pow(2).mean() / self.feature_unit
        if self.p.latent_weight:
            loss = loss + self.p.latent_weight * _distance(z, self.encoder(restored), self.p.image_distance)
        return loss

    def _corrupted(self, x: Tensor) -> Tensor:
        low, high = pixel_range(self.wgan.spec)
        c = self.p.corruption
        return corrupt(x, c.noise * (high - low) / 2, c.blank, c.block, self.noise, self.fill)


class PlainRmsProp(torch.optim.Optimizer):
    """TensorFlow 1's, at its defaults."""

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                square = self.state[weight].setdefault("square", torch.ones_like(weight))
                square.mul_(0.9).add_(0.1 * weight.grad**2)
                weight -= group["lr"] * weight.grad / torch.sqrt(square + 1e-10)


def _distance(one: Tensor, other: Tensor, kind: str) -> Tensor:
    return (one - other).pow(2).mean() if kind == "squared" else (one - other).abs().mean()


@torch.no_grad()
def residuals(x: Tensor, generator: nn.Module, critic: Critic, encoder: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """Image, deepest-feature and latent residual of x [N, C, H, W], each [N]."""
    z = encoder(x)
    restored = generator(z)
    image = (x - restored).pow(2).flatten(1).mean(1)
    feature = (critic.features(x)[-1] - critic.features(restored)[-1]).pow(2).flatten(1).mean(1)
    return image, feature, (z - encoder(restored)).pow(2).sum(1)


def score_one_at_a_time(
    images: Tensor,
    spec: NetworkSpec,
    generator: nn.Module,
    critic: Critic,
    encoder: nn.Module,
    device: torch.device = CPU,
) -> list[float]:
    """Image + deepest-feature residual of each image, by networks on the device."""
    scores = []
    for x in DataLoader(Pictures(images, spec), batch_size=1):
        image, feature, _ = residuals(x.to(device), generator, critic, encoder)
        scores.append(image.item() + feature.item())
    return scores


@torch.no_grad()
def restore_one_at_a_time(
    images: Tensor, spec: NetworkSpec, generator: nn.Module, encoder: nn.Module, device: torch.device = CPU
) -> list[float]:
    """Image residual of each image, all that the original's score is, by networks on the device."""
    loader = (x.to(device) for x in DataLoader(Pictures(images, spec), batch_size=1))
    return [(x - generator(encoder(x))).abs().sum().item() for x in loader]
