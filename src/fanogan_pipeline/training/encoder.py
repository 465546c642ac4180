"""Phase 2: an encoder learns to restore normal images through the frozen generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fanogan_pipeline.evenly import evenly
from fanogan_pipeline.networks import Wgan, build_encoder, folded, pixel_range, seeded
from fanogan_pipeline.networks.layout import placed
from fanogan_pipeline.networks.wgan import sample_prior
from fanogan_pipeline.parameters import AugmentationParameters, EncoderParameters, Precision
from fanogan_pipeline.training import objectives
from fanogan_pipeline.training.augmentation import Augmenter
from fanogan_pipeline.training.data import Batches, RealImages, corrupt
from fanogan_pipeline.training.distributed import SOLO, Group
from fanogan_pipeline.training.optimisers import Adam, Optimiser, RmsProp
from fanogan_pipeline.training.precision import Passes
from fanogan_pipeline.training.replay import MakeRecorder, Replayed
from fanogan_pipeline.training.schedule import WARM_UP_STEPS, rate_factor

SEED_OFFSET = 1000  # the encoder's seed lies so far from its WGAN's
UNIT_IMAGES = 256  # real images, evenly from all, that the loss terms' units and the typical pixel are taken over


class EncoderPhase:
    """One step: one update of the encoder; generator and critic stay in evaluation mode, frozen.

    The images are uint8 [N, C, H, W], normal; the seed is that of weights, noise and order; `record` makes what records
    updates on a GPU. The other arguments are those of `TrainingJob`, the group as `RealImages` has it.
    """

    name = "encoder"

    def __init__(
        self,
        images: Tensor,
        wgan: Wgan,
        parameters: EncoderParameters,
        seed: int,
        device: torch.device,
        augmentation: AugmentationParameters | None = None,
        group: Group = SOLO,
        precision: Precision = "float32",
        record: MakeRecorder | None = None,
    ) -> None:
        self.p, self.wgan, self.device, self.group = parameters, wgan, device, group
        self.passed = Passes(precision, device)
        self.generator, self.critic = folded(wgan.generator.to(device)), folded(wgan.critic.to(device))
        with seeded(seed):
            self.encoder = placed(build_encoder(wgan.spec, parameters.head), device)
        group.share_statistics(self.encoder)
        self.modules: dict[str, nn.Module] = {"encoder": self.encoder}
        self.optimiser = (RmsProp if parameters.optimiser == "rmsprop" else Adam)(self.encoder.parameters())
        self.optimisers: dict[str, Optimiser] = {"encoder": self.optimiser}
        self.noise = torch.Generator(device).manual_seed(seed + 1)
        batches = Batches(len(images), parameters.batch_size, seed + 2, "encoder.batch_size", device)
        augment = Augmenter(augmentation, seed + 3, pixel_range(wgan.spec))
        self.real = RealImages(images.to(device), pixel_range(wgan.spec), batches, augment, group)
        some = self.real.pixels(torch.as_tensor(evenly(len(images), UNIT_IMAGES), device=device))
        self.fill = float(some.median())  # a blanked block is background, where there is such a thing
        self.image_unit, self.feature_unit = self._units(some) if parameters.normalise else (1.0, 1.0)
        self.images_a_step = parameters.batch_size
        self.updates = Replayed(record and record(self.noise))

    def step(self, number: int) -> dict[str, Tensor]:
        share = rate_factor(number, self.p.steps, self.p.rate_decay, WARM_UP_STEPS if self.p.rate_decay else 0)
        self.optimiser.rate.fill_(share * self.p.learning_rate)
        return self.updates(self._updates, *([] if self.p.objective == "ziz" else [self.real.batch(number)]))

    def complaint(self, values: dict[str, float]) -> str:
        return ""

    def _updates(self, *batch: Tensor) -> dict[str, Tensor]:
        """An update of the encoder, on real images where its objective has any."""
        terms = self._image_terms(*batch) if batch else self._latent_terms()
        loss = terms.pop("loss_encoder")
        self.optimiser.zero_grad()
        loss.backward()
        self.group.mean_gradients(self.encoder)
        self.optimiser.step()
        return {**{name: term.detach() for name, term in terms.items()}, "loss_encoder": loss.detach()}

    def _latent_terms(self) -> dict[str, Tensor]:
        """ziz: z -> G(z) -> E(G(z))."""
        z = self.group.shard(sample_prior(self.wgan.prior, self.p.batch_size, self.wgan.spec.latent_dim, self.noise))
        with torch.no_grad():
            image = self.passed(self.generator, z)
        term = objectives.latent_term(z, self.passed(self.encoder, self._corrupted(image)), self.p.image_distance)
        return {"term_ziz": term, "loss_encoder": term}

    def _image_terms(self, x: Tensor) -> dict[str, Tensor]:
        """izi and izi_f: x -> E(x) -> G(E(x)), and on through E where the latent term has a weight."""
        z = self.passed(self.encoder, self._corrupted(x))
        restored = self.passed(self.generator, z)
        terms = {"term_izi": objectives.image_term(x, restored, self.p.image_distance)}
        loss = terms["term_izi"] / self.image_unit
        if self.p.objective == "izi_f":
            with torch.no_grad():
                real_features = self.passed(self.critic.features, x)
            restored_features = self.passed(self.critic.features, restored)
            terms["term_features"] = objectives.feature_term(real_features[-1], restored_features[-1])
            loss = loss + self.p.kappa * terms["term_features"] / self.feature_unit
        if self.p.latent_weight:
            terms["term_ziz"] = objectives.latent_term(z, self.passed(self.encoder, restored), self.p.image_distance)
            loss = loss + self.p.latent_weight * terms["term_ziz"]
        return {**terms, "loss_encoder": loss}

    @torch.no_grad()
    def _units(self, x: Tensor) -> tuple[float, float]:
        """Mean variance of a pixel, with an absolute distance its mean absolute deviation, and of a critic's deepest
        unit: in these units kappa weighs like with like."""
        pixels = x.var(0) if self.p.image_distance == "squared" else (x - x.mean(0)).abs()
        features = self.critic.features(x)[-1].var(0)
        image, feature = (float(part.mean().clamp_min(1e-12)) for part in (pixels, features))
        return image, feature

    def _corrupted(self, x: Tensor) -> Tensor:
        low, high = pixel_range(self.wgan.spec)
        c = self.p.corruption
        return corrupt(x, c.noise * (high - low) / 2, c.blank, c.block, self.noise, self.fill, self.group)
