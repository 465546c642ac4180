"""The networks of the TensorFlow 1.14 project that `kedro run --env reference` reimplements.

Three stages of two 3x3 convolutions with batch norm and ReLU, 16-32-64 channels at width 16,
max-pooling between the stages; the generator runs the same way back.
"""

from __future__ import annotations

from torch import Tensor, nn

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks.critic import Critic
from fanogan_pipeline.networks.encoder import Encoder
from fanogan_pipeline.networks.layout import as_map
from fanogan_pipeline.networks.spec import NetworkSpec


def convolution(before: int, after: int) -> list[nn.Module]:
    """3x3 convolution, batch norm, ReLU."""
    return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]


def doubling(before: int, after: int) -> list[nn.Module]:
    """3x3 transposed convolution to twice the side, batch norm, ReLU."""
    return [
        nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    ]


def quarter(image_size: tuple[int, int]) -> tuple[int, int]:
    """The innermost (H, W): two max-poolings below the image's own. Raises InputError unless 4 divides both sides."""
    height, width = image_size
    if height % 4 or width % 4:
        raise InputError(
            f"data_prep.image_size: found {[height, width]}, expected multiples of 4 with wgan.architecture: reference"
        )
    return height // 4, width // 4


def trunk(spec: NetworkSpec) -> nn.Sequential:
    """The three stages that critic and encoder share the shape of."""
    w = spec.width
    return nn.Sequential(
        nn.Sequential(*convolution(spec.channels, w), *convolution(w, w)),
        nn.Sequential(nn.MaxPool2d(2), *convolution(w, 2 * w), *convolution(2 * w, 2 * w)),
        nn.Sequential(nn.MaxPool2d(2), *convolution(2 * w, 4 * w), *convolution(4 * w, 4 * w)),
    )


def innermost_units(spec: NetworkSpec) -> int:
    """Activations an image after the last stage."""
    height, width = quarter(spec.image_size)
    return 4 * spec.width * height * width


class ReferenceCritic(Critic):
    """x [N, C, H, W] -> score [N]; batch norm makes a score depend on its batch while training."""

    couples_images = True

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(trunk(spec), innermost_units(spec))


class ReferenceGenerator(nn.Module):
    """z [N, latent] -> image [N, C, H, W] in [0, 1]."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        w, (height, width) = spec.width, quarter(spec.image_size)
        self.start = (4 * w, height, width)
        self.linear = nn.Linear(spec.latent_dim, innermost_units(spec))
        self.norm = nn.Sequential(nn.BatchNorm1d(innermost_units(spec)), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(
            *convolution(4 * w, 4 * w),
            *convolution(4 * w, 4 * w),
            *doubling(4 * w, 2 * w),
            *convolution(2 * w, 2 * w),
            *doubling(2 * w, w),
            nn.Conv2d(w, spec.channels, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.stages(as_map(self.norm(self.linear(z)), self.start))


class ReferenceEncoder(Encoder):
    """x [N, C, H, W] -> z [N, latent]."""

    def __init__(self, spec: NetworkSpec, head: str) -> None:
        super().__init__(trunk(spec), innermost_units(spec), spec.latent_dim, head)
