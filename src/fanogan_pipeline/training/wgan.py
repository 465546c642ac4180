"""Phase 1: a Wasserstein GAN learns normal images."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fanogan_pipeline.networks import NetworkSpec, build_critic, build_generator, pixel_range, seeded
from fanogan_pipeline.networks.layout import placed
from fanogan_pipeline.networks.wgan import sample_prior
from fanogan_pipeline.parameters import AugmentationParameters, Precision, WganParameters
from fanogan_pipeline.training import health, objectives
from fanogan_pipeline.training.augmentation import Augmenter
from fanogan_pipeline.training.data import Batches, RealImages
from fanogan_pipeline.training.distributed import SOLO, Group
from fanogan_pipeline.training.ema import update_average
from fanogan_pipeline.training.optimisers import Adam, Optimiser
from fanogan_pipeline.training.precision import Passes
from fanogan_pipeline.training.replay import MakeRecorder, Replayed
from fanogan_pipeline.training.schedule import rate_factor

logger = logging.getLogger(__name__)


def network_spec(shape: Sequence[int], parameters: WganParameters) -> NetworkSpec:
    """Networks for images of a shape [N, C, H, W]."""
    _, channels, height, width = shape
    return NetworkSpec(parameters.architecture, (height, width), channels, parameters.latent_dim, parameters.width)


class WganPhase:
    """One step: `critic_steps` updates of the critic, one of the generator, one of its average.

    The arguments are as for `EncoderPhase`.
    """

    name = "wgan"

    def __init__(
        self,
        images: Tensor,
        spec: NetworkSpec,
        parameters: WganParameters,
        seed: int,
        device: torch.device,
        augmentation: AugmentationParameters | None = None,
        group: Group = SOLO,
        precision: Precision = "float32",
        record: MakeRecorder | None = None,
    ) -> None:
        self.p, self.spec, self.device, self.group = parameters, spec, device, group
        self.passed = Passes(precision, device)
        with seeded(seed):
            self.generator = placed(build_generator(spec), device)
            self.critic = placed(build_critic(spec), device)
        if parameters.objective == "wgan_gp" and self.critic.couples_images:
            logger.warning(
                "wgan.objective: wgan_gp with architecture %s, whose critic's batch norm leaves no image a gradient of "
                "its own to penalise (Gulrajani et al. 2017, section 4); wgan_plain or wgan_clip ask for none",
                parameters.architecture,
            )
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        group.share_statistics(self.generator)
        group.share_statistics(self.critic)
        self.modules = {"generator": self.generator, "critic": self.critic, "average": self.average}
        self.generator_optimiser = Adam(self.generator.parameters(), parameters.adam_betas)
        self.critic_optimiser = Adam(self.critic.parameters(), parameters.adam_betas)
        self.optimisers: dict[str, Optimiser] = {
            "generator": self.generator_optimiser,
            "critic": self.critic_optimiser,
        }
        self.noise = torch.Generator(device).manual_seed(seed + 1)
        batches = Batches(len(images), parameters.batch_size, seed + 2, "wgan.batch_size", device)
        augment = Augmenter(augmentation, seed + 3, pixel_range(spec))
        self.real = RealImages(images.to(device), pixel_range(spec), batches, augment, group)
        self.images_a_step = parameters.batch_size * parameters.critic_steps
        self.updates = Replayed(record and record(self.noise))

    def step(self, number: int) -> dict[str, Tensor]:
        share = rate_factor(number, self.p.steps, self.p.rate_decay)
        self.critic_optimiser.rate.fill_(share * self.p.critic_learning_rate)
        self.generator_optimiser.rate.fill_(share * self.p.learning_rate)
        first = number * self.p.critic_steps
        batches = [self.real.batch(k) for k in range(first, first + self.p.critic_steps)]
        terms = self.updates(self._updates, *batches)
        images_seen = (number + 1) * self.images_a_step
        update_average(self.average, self.generator, images_seen, self.images_a_step, self.p.ema_half_life)
        return terms

    def complaint(self, values: dict[str, float]) -> str:
        """A critic that ran away, or a generator that shows one image only beside the last batch of real ones."""
        return health.runaway_complaint(values) or health.collapse_complaint(
            self.group.gather(self._last_real), self.group.gather(self._last_fake)
        )

    def _updates(self, *batches: Tensor) -> dict[str, Tensor]:
        """An update of the critic on each batch of real images, and then one of the generator."""
        for real in batches:
            terms = self._critic_step(real)
        return {**terms, "loss_generator": self._generator_step()}

    def _critic_step(self, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._fake()
        self._last_real, self._last_fake = real, fake  # for `complaint`, which may draw no noise of its own
        real_scores, fake_scores = self._scores(real, fake)
        loss = objectives.wasserstein_critic_loss(real_scores, fake_scores)
        terms = {"term_real": real_scores.mean().detach(), "term_fake": fake_scores.mean().detach()}
        if self.p.objective == "wgan_gp":
            some = self.group.share(self.p.penalty_images) or len(real)
            mix = self.group.rand((len(real[:some]),), self.noise)
            penalty = objectives.gradient_penalty(self.critic, real[:some], fake[:some], mix)
            loss = loss + self.p.gradient_penalty * penalty
            terms["gradient_penalty"] = penalty.detach()
        if self.p.drift:
            loss = loss + self.p.drift * objectives.drift(real_scores, fake_scores)
        self._update(self.critic, self.critic_optimiser, loss)
        if self.p.objective == "wgan_clip":
            objectives.clip_weights(self.critic, self.p.clip)
        return {**terms, "loss_critic": loss.detach()}

    def _generator_step(self) -> Tensor:
        self.critic.requires_grad_(False)  # its gradients would be thrown away
        try:
            loss = objectives.wasserstein_generator_loss(self.passed(self.critic, self._fake()))
            self._update(self.generator, self.generator_optimiser, loss)
        finally:
            self.critic.requires_grad_(True)
        return loss.detach()

    def _scores(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D(x) and D(G(z)), in one pass where the critic judges each image by itself."""
        if self.critic.couples_images:
            return self.passed(self.critic, real), self.passed(self.critic, fake)
        real_scores, fake_scores = self.passed(self.critic, torch.cat([real, fake])).chunk(2)
        return real_scores, fake_scores

    def _fake(self) -> Tensor:
        z = sample_prior(self.p.latent_prior, self.p.batch_size, self.spec.latent_dim, self.noise)
        return self.passed(self.generator, self.group.shard(z))

    def _update(self, module: nn.Module, optimiser: Optimiser, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        self.group.mean_gradients(module)
        optimiser.step()
