"""What normal images have at each place, in one of the views taken of it, and how far from that a place is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fanogan_pipeline.detection.tensors import OfTensors

RIDGE = 1e-2  # added to a covariance, as a share of the mean variance
NEIGHBOURHOOD = 5  # pixels a side that are judged together: grain that normal images have counts less


@dataclass(frozen=True)
class LocalLaw(OfTensors):
    """A normal law over the channels of a view, one for all places.

    Attributes:
        mean: float32 [C].
        whitener: W with W W^T the inverse covariance, float32 [C, C].
    """

    mean: Tensor
    whitener: Tensor

    def distance(self, view: Tensor) -> Tensor:
        """Squared Mahalanobis distance, a channel: [N, h, w, C] -> [N, h, w], on average 1 of normal images."""
        return ((view - self.mean) @ self.whitener).square().mean(-1)


def fit_laws(batches: Iterable[Sequence[Tensor]]) -> tuple[LocalLaw, ...]:
    """The law of each view over images and places.

    Args:
        batches: of normal images, the views [N, h, w, C] of each batch.
    """
    moments: dict[int, tuple[Tensor, Tensor, int]] = {}
    for views in batches:
        for number, view in enumerate(views):
            rows = view.flatten(0, 2).double()
            total, square, count = moments.get(number, (0, 0, 0))
            moments[number] = (total + rows.sum(0), square + rows.T @ rows, count + len(rows))
    return tuple(_law(*found) for found in moments.values())


def _law(total: Tensor, square: Tensor, count: int) -> LocalLaw:
    mean = total / count
    covariance = square / count - torch.outer(mean, mean)
    ridge = RIDGE * covariance.diagonal().mean().clamp_min(1e-12)
    steadied = covariance + ridge * torch.eye(len(mean), dtype=covariance.dtype, device=covariance.device)
    return LocalLaw(mean.float(), torch.linalg.cholesky(torch.linalg.inv(steadied)).float())


def distances(laws: Sequence[LocalLaw], views: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Each view's distance from its law at every pixel of an image of `size` (H, W): [N, views, H, W]."""
    each = [law.distance(view)[:, None] for law, view in zip(laws, views, strict=True)]
    return torch.cat([functional.interpolate(at, tuple(size), mode="bilinear", align_corners=False) for at in each], 1)


def neighbourhoods(images: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, H, W, C * 25]: the pixels around each one, mirrored at the rim."""
    padded = functional.pad(images, (NEIGHBOURHOOD // 2,) * 4, mode="reflect")
    windows = padded.unfold(2, NEIGHBOURHOOD, 1).unfold(3, NEIGHBOURHOOD, 1)  # [N, C, H, W, 5, 5]
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3)


def channels_last(layers: Iterable[Tensor]) -> list[Tensor]:
    """Activations [N, C, h, w] as views [N, h, w, C]."""
    return [layer.movedim(1, -1) for layer in layers]
