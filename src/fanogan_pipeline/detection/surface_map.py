"""Where a surface, every place of which is as any other, is not as normal ones are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from fanogan_pipeline.detection.local_law import LocalLaw, channels_last, distances, fit_laws, neighbourhoods
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.tensors import OfTensors

SIZES = (1, 2)  # the image is looked at as it is and halved: what is wide and faint shows there
LAYERS = 2  # of the critic, from the image inwards; deeper ones see too wide to say where
SCALES = (2.0, 6.0)  # standard deviations of the Gaussians that distances are averaged under, pixels
REACH = 3.0  # standard deviations at which a Gaussian is cut off
LEAST_STRENGTH = 1e-3  # normal images have 1 on average


@dataclass(frozen=True)
class SurfaceMap(OfTensors):
    """How unusual the strength of what is seen around each pixel is, too weak or too strong.

    A place rubbed smooth on a rough surface differs less from its restoration than any normal one.

    Attributes:
        laws: of what is seen, see `_views`.
        strengths: the law of how far from those laws normal images lie, see `_strengths`.
    """

    laws: tuple[LocalLaw, ...]
    strengths: LocalLaw

    @classmethod
    def fit(cls, normal: Callable[[], Iterator[Tensor]], restorer: Restorer) -> SurfaceMap:
        """Of normal images; `normal` gives batches [N, C, H, W] of them, each time from the first."""
        laws = fit_laws(_views(x, restorer) for x in normal())
        (strengths,) = fit_laws([_strengths(x, restorer, laws)] for x in normal())
        return cls(laws, strengths)

    def at(self, x: Tensor, restorer: Restorer) -> Tensor:
        """Distance of the strengths from their law: [N, C, H, W] -> [N, H, W]."""
        return self.strengths.distance(_strengths(x, restorer, self.laws))


def _views(x: Tensor, restorer: Restorer) -> list[Tensor]:
    """What is seen at each place, each [N, h, w, channels]: the neighbourhoods of x in each size and those of
    x - G(E(x)), then f(x) and f(x) - f(G(E(x))) of the critic's first layers, from the image inwards.
    """
    restored = restorer.wgan.generator(restorer.encode(x))
    ours, theirs = (restorer.wgan.critic.features(image, LAYERS) for image in (x, restored))
    looked_at = [*(functional.avg_pool2d(x, size, ceil_mode=True) for size in SIZES), x - restored]
    layers = [*ours, *(own - other for own, other in zip(ours, theirs, strict=True))]
    return [*map(neighbourhoods, looked_at), *channels_last(layers)]


def _strengths(x: Tensor, restorer: Restorer, laws: tuple[LocalLaw, ...]) -> Tensor:
    """Every view's distance from its law, averaged over surroundings of every scale, `evened`, at each pixel,
    [N, H, W, views * scales].
    """
    places = distances(laws, _views(x, restorer), x.shape[2:])
    down, across = ([_gaussian(side, sigma).to(x.device) for sigma in SCALES] for side in x.shape[2:])
    averaged = [rows @ places @ columns.T for rows, columns in zip(down, across, strict=True)]
    return evened(torch.cat(averaged, 1)).movedim(1, -1)


def evened(strength: Tensor) -> Tensor:
    """Strengths with lack and excess on one scale, 0 where they are as of normal images: below 1 the logarithm, so that
    a smooth place in a rough surface is as unusual as it looks; above it twice the root, so that a strong spot still
    outweighs a faint one, as it would not under the logarithm.
    """
    return torch.where(strength < 1, strength.clamp_min(LEAST_STRENGTH).log(), 2 * (strength.sqrt() - 1))


@cache
def _gaussian(side: int, sigma: float) -> Tensor:
    """The matrix that averages along a side under a Gaussian, mirrored at the rim, float32 [side, side]."""
    weights = ndimage.gaussian_filter1d(np.eye(side), sigma, axis=0, mode="mirror", radius=reach(sigma, side))
    return torch.from_numpy(weights).float()


def reach(sigma: float, side: int) -> int:
    """Pixels to which a Gaussian counts along a side of so many."""
    return min(math.ceil(REACH * sigma), side - 1)
