"""The architectures by name. A new one is a row here and a module beside this one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks.convolutional import ConvCritic, ConvEncoder, ConvGenerator
from fanogan_pipeline.networks.critic import Critic
from fanogan_pipeline.networks.encoder import Encoder
from fanogan_pipeline.networks.reference import ReferenceCritic, ReferenceEncoder, ReferenceGenerator
from fanogan_pipeline.networks.residual import ResidualCritic, ResidualEncoder, ResidualGenerator
from fanogan_pipeline.networks.spec import NetworkSpec


@dataclass(frozen=True)
class Architecture:
    """Three networks that fit together, and the pixel range (low, high) they speak."""

    generator: Callable[[NetworkSpec], nn.Module]
    critic: Callable[[NetworkSpec], Critic]
    encoder: Callable[[NetworkSpec, str], Encoder]
    pixel_range: tuple[float, float]


ARCHITECTURES = {
    "convolutional": Architecture(ConvGenerator, ConvCritic, ConvEncoder, (-1.0, 1.0)),
    "reference": Architecture(ReferenceGenerator, ReferenceCritic, ReferenceEncoder, (0.0, 1.0)),
    "residual": Architecture(ResidualGenerator, ResidualCritic, ResidualEncoder, (-1.0, 1.0)),
}


def _architecture(spec: NetworkSpec) -> Architecture:
    """The row of the spec's name. Raises InputError where there is none."""
    if spec.architecture not in ARCHITECTURES:
        raise InputError(f"wgan.architecture: found '{spec.architecture}', expected one of {sorted(ARCHITECTURES)}")
    return ARCHITECTURES[spec.architecture]


_BUILDING = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks that are built inside have the weights of this seed, whatever other threads build meanwhile: first
    weights come from the one source of randomness that a process has."""
    with _BUILDING:
        torch.manual_seed(seed)
        yield


def build_generator(spec: NetworkSpec) -> nn.Module:
    """z [N, latent_dim] -> image [N, C, H, W] in `pixel_range`."""
    with _BUILDING:
        return _architecture(spec).generator(spec)


def build_critic(spec: NetworkSpec) -> Critic:
    """x [N, C, H, W] -> score [N]; has `features(x)`, `head(deepest)` and `couples_images`."""
    with _BUILDING:
        return _architecture(spec).critic(spec)


def build_encoder(spec: NetworkSpec, head: str) -> Encoder:
    """x [N, C, H, W] -> z [N, latent_dim]; head "linear" or "tanh" (the article's); has `see(x)` and `head`."""
    with _BUILDING:
        return _architecture(spec).encoder(spec, head)


def pixel_range(spec: NetworkSpec) -> tuple[float, float]:
    """The (low, high) that pixels 0 and 255 are mapped to."""
    return _architecture(spec).pixel_range
