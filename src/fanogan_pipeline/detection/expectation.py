"""How far from the training set an image would lie anyway, for all that there is in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fanogan_pipeline.detection.tensors import OfTensors

FLOOR = 1e-6  # a smaller distance or liveliness is rounding
FARTHEST = 0.95  # quantile of what is expected of normal images, beyond which nothing is: the rest are exceptions
PRIOR_IMAGES = 1.0  # images without slope that the expectation is fitted with: few images give gentle slopes


def ratio_name(distance: str) -> str:
    """The term that a distance becomes over what is expected of it: `feature_distance` -> `feature_ratio`."""
    return distance.replace("distance", "ratio")


def liveliness(x: Tensor) -> Tensor:
    """How much there is in an image: logarithms of the mean step from pixel to pixel and of the variance.

    Args:
        x: [N, C, H, W].

    Returns:
        float64 [N, 2].
    """
    steps = sum(x.diff(dim=axis).abs().flatten(1).mean(1, dtype=torch.float64) for axis in (2, 3))
    spread = x.flatten(1).double().var(1, correction=0)
    return torch.stack([torch.as_tensor(steps), spread], 1).clamp_min(FLOOR).log()


@dataclass(frozen=True)
class Expectation(OfTensors):
    """The distance that a normal image as lively as this one has from the training set.

    Lively images lie far from all others and plain ones near, normal or not, so that a distance says little until
    it is compared with what such an image would have anyway. (Serrà et al., "Input complexity and
    out-of-distribution detection with likelihood-based generative models", ICLR 2020, set a likelihood off against
    complexity for the same reason.) No image is expected nearer than any normal one is, or farther than all but a
    twentieth of them are, so that no noise is excused for more than lively normal images are.

    Attributes:
        slopes: of the logarithmic distance over `liveliness`, float64 [2].
        offset: logarithmic distance where both of `liveliness` are 0, float64 [].
        least, most: what is expected at the least and at the most, float64 [] each.
    """

    slopes: Tensor
    offset: Tensor
    least: Tensor
    most: Tensor

    def distance(self, lively: Tensor) -> Tensor:
        """`liveliness` of images, float64 [N, 2] -> float64 [N]."""
        return _by_slopes(lively, self.slopes, self.offset).clamp(self.least, self.most)


def _by_slopes(lively: Tensor, slopes: Tensor, offset: Tensor) -> Tensor:
    return (lively @ slopes + offset).exp()


def fit_expectation(distances: Tensor, lively: Tensor) -> Expectation:
    """Least squares of the logarithmic distance over the liveliness of normal images kept apart.

    Args:
        distances: float64 [N], one of `TrainingSet.distances`.
        lively: float64 [N, 2], from `liveliness`.
    """
    target, mean = distances.clamp_min(FLOOR).log(), lively.mean(0)
    centred = lively - mean
    unit = centred.square().mean(0).sqrt() + 1e-12
    scaled = centred / unit
    ridge = PRIOR_IMAGES * torch.eye(2, dtype=scaled.dtype, device=scaled.device)
    slopes = torch.linalg.solve(scaled.T @ scaled + ridge, scaled.T @ (target - target.mean())) / unit
    offset = target.mean() - mean @ slopes
    expected = _by_slopes(lively, slopes, offset)
    return Expectation(slopes, offset, expected.amin(), expected.quantile(FARTHEST))
