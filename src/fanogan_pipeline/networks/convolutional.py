"""The default networks: strided convolutions, nothing between the images of a batch in the critic.

A critic under a gradient penalty must judge each image by itself, so it has no batch norm
(Gulrajani et al. 2017, section 4). The generator and the encoder have it.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from fanogan_pipeline.networks.spec import NetworkSpec, halved_sizes

MAX_WIDTH_FACTOR = 8  # deeper stages stop widening at 8 times the first


def stage_widths(spec: NetworkSpec) -> list[int]:
    """Channels after each stage, from the image inwards."""
    stages = len(halved_sizes(spec.image_size)) - 1
    return [spec.width * min(2**stage, MAX_WIDTH_FACTOR) for stage in range(stages)]


class ConvCritic(nn.Module):
    """x [N, C, H, W] -> score [N]; `features` gives each stage's activations, from the image inwards."""

    couples_images = False

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        widths = stage_widths(spec)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2))
            for before, after in zip([spec.channels, *widths], widths, strict=False)
        )
        height, width = halved_sizes(spec.image_size)[-1]
        self.linear = nn.Linear(widths[-1] * height * width, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def head(self, deepest: Tensor) -> Tensor:
        return self.linear(deepest.flatten(1)).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1])


class ConvGenerator(nn.Module):
    """z [N, latent] -> image [N, C, H, W] in [-1, 1]."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        sizes, widths = halved_sizes(spec.image_size)[::-1], stage_widths(spec)[::-1]
        self.start = (widths[0], *sizes[0])
        self.linear = nn.Linear(spec.latent_dim, widths[0] * sizes[0][0] * sizes[0][1], bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for (small, large), before, after in zip(
            itertools.pairwise(sizes), widths, [*widths[1:], spec.channels], strict=True
        ):
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            last = large == sizes[-1]
            layers.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, output_padding=odd, bias=last))
            layers += [nn.Tanh()] if last else [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(self.linear(z).view(-1, *self.start))


class ConvEncoder(nn.Module):
    """x [N, C, H, W] -> z [N, latent]: the critic's trunk with batch norm and a head on the latent space."""

    def __init__(self, spec: NetworkSpec, head: str) -> None:
        super().__init__()
        widths = stage_widths(spec)
        layers: list[nn.Module] = []
        for before, after in zip([spec.channels, *widths], widths, strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        height, width = halved_sizes(spec.image_size)[-1]
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.linear = nn.Linear(widths[-1] * height * width, spec.latent_dim)
        self.tanh = head == "tanh"

    def forward(self, x: Tensor) -> Tensor:
        z = self.linear(self.trunk(x))
        return torch.tanh(z) if self.tanh else z
