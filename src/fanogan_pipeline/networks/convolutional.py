"""The default networks: strided convolutions, nothing between the images of a batch in the critic.

A critic under a gradient penalty must judge each image by itself, so it has no batch norm
(Gulrajani et al. 2017, section 4). The generator and the encoder have it.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from fanogan_pipeline.networks.critic import Critic
from fanogan_pipeline.networks.encoder import Encoder
from fanogan_pipeline.networks.layout import as_map
from fanogan_pipeline.networks.spec import NetworkSpec

MAX_WIDTH_FACTOR = 8  # deeper stages stop widening at 8 times the first
INNERMOST_SIDE = 4  # halving ends where the shorter side has come down to this
SLOPE = 0.2  # of the leaky rectifiers below nought
HIDDEN_FACTOR = 4  # hidden units between z and the generator's first image, in widths


def stage_sizes(spec: NetworkSpec) -> list[tuple[int, int]]:
    """(H, W) from the image inwards, each side halved and rounded up at every stage: 28, 14, 7, 4."""
    sizes = [spec.image_size]
    while min(sizes[-1]) > INNERMOST_SIDE:
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def stage_widths(spec: NetworkSpec) -> list[int]:
    """Channels after each stage, from the image inwards."""
    return [spec.width * min(2**stage, MAX_WIDTH_FACTOR) for stage in range(len(stage_sizes(spec)) - 1)]


def kernel(larger: tuple[int, int]) -> tuple[int, int]:
    """The kernel that halves an even side exactly and rounds an odd one up, at stride 2 and padding 1."""
    return (3 if larger[0] % 2 else 4, 3 if larger[1] % 2 else 4)


def down(spec: NetworkSpec, bias: bool) -> list[nn.Conv2d]:
    """The convolutions that critic and encoder share the shape of, one a stage."""
    widths = stage_widths(spec)
    return [
        nn.Conv2d(before, after, kernel(larger), stride=2, padding=1, bias=bias)
        for before, after, larger in zip([spec.channels, *widths], widths, stage_sizes(spec), strict=False)
    ]


def innermost_units(spec: NetworkSpec) -> int:
    """Activations an image after the last stage."""
    height, width = stage_sizes(spec)[-1]
    return stage_widths(spec)[-1] * height * width


class ConvCritic(Critic):
    """x [N, C, H, W] -> score [N]."""

    def __init__(self, spec: NetworkSpec) -> None:
        stages = [nn.Sequential(layer, nn.LeakyReLU(SLOPE, inplace=True)) for layer in down(spec, bias=True)]
        super().__init__(nn.Sequential(*stages), innermost_units(spec))

    def input_gradient(self, x: Tensor) -> Tensor:
        """As every critic's, but written down: the same layers transposed, last to first, under the rectifiers' slopes.

        A critic of rectifiers is linear wherever no rectifier turns, so that the slopes are constants and one
        derivative of this is exact; automatic differentiation would take two.
        """
        with torch.no_grad():
            found = self.features(x)
        kernels = [weight for weight in self.stages.parameters() if weight.dim() == 4]
        gradient = as_map(self.linear.weight, found[-1].shape[1:]).expand_as(found[-1])
        for weight, activations in zip(reversed(kernels), reversed(found), strict=True):
            gradient = torch.ops.aten.leaky_relu_backward(gradient, activations, SLOPE, self_is_result=True)
            gradient = functional.conv_transpose2d(gradient, weight, stride=2, padding=1)
        return gradient


class ConvGenerator(nn.Module):
    """z [N, latent] -> image [N, C, H, W] in [-1, 1].

    The last doubling is a pixel shuffle (Shi et al. 2016): a convolution at half the size gives the
    four pixels of each square, which spares the costly one at full size.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.image_size = spec.image_size
        sizes, widths = stage_sizes(spec)[1:-1][::-1], stage_widths(spec)[:-1][::-1]
        self.start = (widths[0], *sizes[0])
        hidden, inner = HIDDEN_FACTOR * spec.width, widths[0] * sizes[0][0] * sizes[0][1]
        self.latent = nn.Sequential(
            nn.Linear(spec.latent_dim, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, inner, bias=False),
        )
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for (before, after), larger in zip(itertools.pairwise(widths), sizes[1:], strict=True):
            layers.append(nn.ConvTranspose2d(before, after, kernel(larger), stride=2, padding=1, bias=False))
            layers += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(widths[-1], 4 * spec.channels, 3, padding=1), nn.PixelShuffle(2), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        height, width = self.image_size
        return self.layers(as_map(self.latent(z), self.start))[..., :height, :width]


class ConvEncoder(Encoder):
    """x [N, C, H, W] -> z [N, latent]: the critic's trunk with batch norm and a head on the latent space."""

    def __init__(self, spec: NetworkSpec, head: str) -> None:
        stages = [
            nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.LeakyReLU(SLOPE, inplace=True))
            for layer in down(spec, bias=False)
        ]
        super().__init__(nn.Sequential(*stages), innermost_units(spec), spec.latent_dim, head)
