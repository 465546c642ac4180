"""A search for the z that restores an image best, by gradient steps, each image for itself.

From E(x) it refines f-AnoGAN's answer; from a random z it is AnoGAN (T. Schlegl et al., "Unsupervised
anomaly detection with generative adversarial networks to guide marker discovery", IPMI 2017).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fanogan_pipeline.detection.tensors import filled_up
from fanogan_pipeline.networks import Wgan, pixel_range
from fanogan_pipeline.networks.pixels import to_bytes
from fanogan_pipeline.networks.wgan import sample_prior

ANOGAN_STEPS = 500  # the article's number of steps from a random z
BLOCK = 32  # images searched at once, never fewer: hundreds of steps blow up what kernels round differently
FEATURE_SHARE = 0.1  # the article's lambda: weight of the feature residual in the search


@dataclass(frozen=True)
class Refinement:
    """How z is found.

    Attributes:
        method: "encoder" (start at E(x)) or "iterative" (start at a random z).
        steps: gradient steps; 0 with "iterative" stands for the article's 500.
        rate: step size of the search's Adam, in (0, 1].
    """

    method: str = "encoder"
    steps: int = 0
    rate: float = 0.02

    @property
    def taken(self) -> int:
        """Gradient steps that are really taken."""
        return self.steps or (0 if self.method == "encoder" else ANOGAN_STEPS)

    @property
    def searches(self) -> bool:
        """Whether z is anything but E(x)."""
        return self.taken > 0

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Refinement:
        """That of `scoring`'s parameters, as a detector carries them."""
        return cls(str(settings["method"]), int(settings["refinement_steps"]), float(settings["refinement_rate"]))

    def encode(self, x: Tensor, encoder: nn.Module, wgan: Wgan) -> Tensor:
        """x [N, C, H, W] -> z [N, latent_dim]; works under inference mode as well."""
        if not self.searches:
            return encoder(x)
        blocks = x.split(BLOCK)
        return torch.cat([self._searched(filled_up(some, BLOCK), encoder, wgan)[: len(some)] for some in blocks])

    def _searched(self, x: Tensor, encoder: nn.Module, wgan: Wgan) -> Tensor:
        if self.method == "iterative":
            return search(x, random_start(x, wgan), wgan, self.taken, self.rate)
        return search(x, encoder(x), wgan, self.taken, self.rate)


UNREFINED = Refinement()


def random_start(x: Tensor, wgan: Wgan) -> Tensor:
    """A z of the prior for each image [N, latent_dim], drawn from the hash of the image's own pixels.

    The same image starts at the same z in any batch, on any device, under any name.
    """
    pixels = to_bytes(x, pixel_range(wgan.spec)).cpu().contiguous().numpy()
    seeds = [int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:7]) for image in pixels]
    drawn = [sample_prior(wgan.prior, 1, wgan.spec.latent_dim, torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.cat(drawn).to(x.device)


def search(x: Tensor, start: Tensor, wgan: Wgan, steps: int, rate: float) -> Tensor:
    """z after `steps` of Adam down the loss (1 - lambda) |x - G(z)| + lambda |f(x) - f(G(z))|.

    Both are sums of absolute differences (Schlegl et al. 2017, equations 2, 4 and 5), f the critic's deepest
    layer. The losses are summed over images and Adam keeps its moments for each number of z by itself, so that
    no image's search touches another's.

    Args:
        x: [N, C, H, W].
        start: [N, latent_dim].
        wgan: generator and critic, frozen, in evaluation mode.
        steps: at least 0.
        rate: step size.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x, z = x.clone(), start.clone().requires_grad_(True)
        with torch.no_grad():
            features = wgan.critic.features(x)[-1]
        optimiser = torch.optim.Adam([z], rate)
        for _ in range(steps):
            restored = wgan.generator(z)
            image = (x - restored).abs().sum()
            feature = (features - wgan.critic.features(restored)[-1]).abs().sum()
            loss = (1 - FEATURE_SHARE) * image + FEATURE_SHARE * feature
            (z.grad,) = torch.autograd.grad(loss, [z])
            optimiser.step()
        return z.detach()
