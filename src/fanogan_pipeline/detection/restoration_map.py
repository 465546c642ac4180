"""Where a thing that lies in its place, one an image, is restored badly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fanogan_pipeline.detection.local_law import LocalLaw, channels_last, distances, fit_laws, neighbourhoods
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.tensors import OfTensors


@dataclass(frozen=True)
class RestorationMap(OfTensors):
    """How unusual x - G(E(x)) and f(x) - f(G(E(x))) of every critic layer are.

    Attributes:
        laws: of the residuals, from the image inwards.
    """

    laws: tuple[LocalLaw, ...]

    @classmethod
    def fit(cls, normal: Callable[[], Iterator[Tensor]], restorer: Restorer) -> RestorationMap:
        """Of normal images; `normal` gives batches [N, C, H, W] of them, each time from the first."""
        return cls(fit_laws(_residuals(x, restorer) for x in normal()))

    def at(self, x: Tensor, restorer: Restorer) -> Tensor:
        """Mean of the residuals' distances, one that lies deeper with half the weight: [N, C, H, W] -> [N, H, W]."""
        found = distances(self.laws, _residuals(x, restorer), x.shape[2:])
        weights = 0.5 ** torch.arange(found.shape[1], device=x.device)
        return torch.einsum("v,nvhw->nhw", weights / weights.sum(), found)


def _residuals(x: Tensor, restorer: Restorer) -> list[Tensor]:
    """Each [N, h, w, channels]; of the image the channels are all pixels of the neighbourhood."""
    restored = restorer.wgan.generator(restorer.encode(x))
    features = restorer.wgan.critic.features
    layers = zip(features(x), features(restored), strict=True)
    return [neighbourhoods(x - restored), *channels_last(ours - theirs for ours, theirs in layers)]
