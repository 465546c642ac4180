"""How usual a residual is: normal images have residuals too, and theirs have a law."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fanogan_pipeline.detection.components import DIMENSIONS, principal
from fanogan_pipeline.detection.tensors import OfTensors

FLOOR = 1e-4  # share of a unit's mean variance below which the variance outside the components does not count
SPREAD_OVER = 4  # images and units that each component must stand for


@dataclass(frozen=True)
class ResidualLaw(OfTensors):
    """A normal law of residuals with a variance along each main component and one for all that is outside them
    (probabilistic principal components: Tipping and Bishop 1999, equations 7 and 8).

    Attributes:
        mean: float32 [units].
        components: as columns of length 1, float32 [units, dimensions].
        variances: along them, float32 [dimensions].
        outside: variance along any direction outside them, float32 [].
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    outside: Tensor

    def distance(self, view: Tensor) -> Tensor:
        """Mahalanobis distance under the law: residuals [N, units] -> float64 [N]."""
        gaps = (view - self.mean).double()  # what is outside the components is a small difference of large squares
        along = (gaps @ self.components.double()).square()
        rest = (gaps.square().sum(1) - along.sum(1)).clamp_min(0)
        return ((along / self.variances).sum(1) + rest / self.outside).sqrt()


def fit_law(view: Tensor) -> ResidualLaw:
    """The law of the residuals of normal images.

    Args:
        view: float32 [N, units], N at least 2.
    """
    count, units = view.shape
    most = max(1, min(DIMENSIONS, count // SPREAD_OVER, units // SPREAD_OVER))
    mean, components, variances = principal(view, most)
    whole = view.double().var(0).sum()
    outside = (whole - variances.double().sum()) / max(1, units - len(variances))
    outside = outside.clamp_min(FLOOR * whole / units + 1e-12).float()
    return ResidualLaw(mean, components, variances.maximum(outside), outside)
