"""Generator and critic that have learnt together, and the law of what the generator is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fanogan_pipeline.networks.critic import Critic
from fanogan_pipeline.networks.spec import NetworkSpec


@dataclass(frozen=True)
class Wgan:
    """What phase 1 leaves: networks in evaluation mode, gradients off, on one device.

    Attributes:
        spec: what they were built from.
        prior: "normal" or "uniform", the law of z.
        generator: z [N, latent_dim] -> image in `pixel_range(spec)`.
        critic: image -> score [N], with `features`.
    """

    spec: NetworkSpec
    prior: str
    generator: nn.Module
    critic: Critic


def sample_prior(prior: str, count: int, latent_dim: int, generator: torch.Generator) -> Tensor:
    """z [count, latent_dim] from N(0, 1) ("normal") or U(-1, 1) ("uniform"), on the generator's device."""
    shape, device = (count, latent_dim), generator.device
    if prior == "normal":
        return torch.randn(shape, generator=generator, device=device)
    return torch.rand(shape, generator=generator, device=device).mul_(2).sub_(1)
