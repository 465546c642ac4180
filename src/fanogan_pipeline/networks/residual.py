"""The article's residual networks (Schlegl et al. 2019, after Gulrajani et al. 2017, appendix F).

At 64x64 and width 64 they are the article's: generator 4x4x512 and four up blocks, critic four down
blocks and a feature layer of 8192; other sizes get a block for each halving.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional

from fanogan_pipeline.networks.convolutional import MAX_WIDTH_FACTOR
from fanogan_pipeline.networks.critic import Critic
from fanogan_pipeline.networks.encoder import Encoder
from fanogan_pipeline.networks.layout import as_map
from fanogan_pipeline.networks.spec import NetworkSpec

SMALLEST_SIDE = 3  # halving stops before a side would be shorter than this


def halved_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Image sizes (H, W) from the full one down, each side halved and rounded down at every stage."""
    sizes = [size]
    while min(sizes[-1]) // 2 >= SMALLEST_SIDE:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def block_widths(spec: NetworkSpec) -> list[int]:
    """Channels at each size, from the image inwards: 64, 128, 256, 512, 512 at 64x64 and width 64."""
    return [spec.width * min(2**stage, MAX_WIDTH_FACTOR) for stage in range(len(halved_sizes(spec.image_size)))]


def norm(kind: str, channels: int) -> nn.Module:
    """Batch norm, or layer norm over an image's channels and pixels (a group norm of one group)."""
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(1, channels)


class DownBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, then mean-pooled to half the side (rounded down)."""

    def __init__(self, before: int, after: int, kind: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            norm(kind, before),
            nn.ReLU(),
            nn.Conv2d(before, before, 3, padding=1, bias=False),
            norm(kind, before),
            nn.ReLU(),
            nn.Conv2d(before, after, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(self.body(x), 2) + self.shortcut(functional.avg_pool2d(x, 2))


class UpBlock(nn.Module):
    """Nearest-neighbour enlargement to a given (H, W), then two 3x3 convolutions, and a shortcut."""

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        super().__init__()
        enlarge = nn.Upsample(size=size, mode="nearest")
        self.body = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.ReLU(),
            enlarge,
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1), enlarge)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def trunk(spec: NetworkSpec, kind: str) -> nn.Sequential:
    """A 3x3 convolution and a down block for each halving; each stage's activations are features."""
    widths = block_widths(spec)
    first = nn.Conv2d(spec.channels, widths[0], 3, padding=1)
    blocks = [DownBlock(before, after, kind) for before, after in itertools.pairwise(widths)]
    return nn.Sequential(nn.Sequential(first, blocks[0]), *blocks[1:])


def innermost_units(spec: NetworkSpec) -> int:
    """Activations an image after the last stage."""
    height, width = halved_sizes(spec.image_size)[-1]
    return block_widths(spec)[-1] * height * width


class ResidualCritic(Critic):
    """x [N, C, H, W] -> score [N], layer norm inside."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(trunk(spec, "layer"), innermost_units(spec))


class ResidualGenerator(nn.Module):
    """z [N, latent] -> image [N, C, H, W] in [-1, 1]."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        sizes, widths = halved_sizes(spec.image_size)[::-1], block_widths(spec)[::-1]
        self.start = (widths[0], *sizes[0])
        self.linear = nn.Linear(spec.latent_dim, innermost_units(spec))
        blocks = [
            UpBlock(before, after, size) for before, after, size in zip(widths, widths[1:], sizes[1:], strict=False)
        ]
        self.layers = nn.Sequential(
            *blocks,
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
            nn.Conv2d(widths[-1], spec.channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(as_map(self.linear(z), self.start))


class ResidualEncoder(Encoder):
    """x [N, C, H, W] -> z [N, latent]: the critic's trunk and a head on the latent space."""

    def __init__(self, spec: NetworkSpec, head: str) -> None:
        super().__init__(trunk(spec, "batch"), innermost_units(spec), spec.latent_dim, head)
