"""Where an image is restored badly: residual maps, standardised on the selection set."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.tensors import OfTensors, filled_up

RIDGE = 1e-2  # added to a view's covariance over its channels, as a share of their mean variance
PRIOR_IMAGES = 16  # a pixel's own mean counts as much as the mean of all after so many images
LEAST_LEVEL = 0.5  # of the mean of all: where normal images have nothing, a trifle is not to shine
MOST_PIXELS = 2**18  # of a batch: each takes a neighbourhood's numbers, 25 times its own
REACH = 3.0  # standard deviations at which the Gaussian is cut off
NEIGHBOURHOOD = 5  # pixels a side whose image residuals are judged together: grain that normal images have counts less


@dataclass(frozen=True)
class MapStatistics(OfTensors):
    """What residual maps are measured against, fitted on the selection set; tensors float32 on one device.

    Attributes:
        means: of the signed residual of each view (the image's 5x5 neighbourhoods, then each critic layer) over
            images and places, each [channels].
        whiteners: W with W W^T the inverse covariance of the same over the channels, each [channels, channels].
        level: mean over images of the map of each pixel, drawn to the mean of all, or that mean alone, [H, W].
        rim: mean and deviation of the smoothed map of a whole picture by the distance to its rim, 0, 1, ...
            pixels, the last for all beyond, [2, distances]; no distances where images are whole pictures.
    """

    means: tuple[Tensor, ...]
    whiteners: tuple[Tensor, ...]
    level: Tensor
    rim: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """By name, on the CPU."""
        named = {"map_level": self.level, "map_rim": self.rim}
        named |= {f"map_mean.{view}": mean for view, mean in enumerate(self.means)}
        named |= {f"map_whitener.{view}": whitener for view, whitener in enumerate(self.whiteners)}
        return {name: tensor.cpu().contiguous() for name, tensor in named.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> MapStatistics:
        """What `tensors` gave. Raises KeyError where one is missing."""
        views = range(sum(name.startswith("map_mean.") for name in tensors))
        means, whiteners = (tuple(tensors[f"{name}.{view}"] for view in views) for name in ("map_mean", "map_whitener"))
        return cls(means, whiteners, tensors["map_level"], tensors["map_rim"])


@torch.inference_mode()
def fit_map_statistics(
    images: np.ndarray, restorer: Restorer, batch_size: int, is_aligned: bool = True
) -> MapStatistics:
    """Fit on normal images of the selection set, in two passes over them.

    Args:
        images: uint8 [N, C, H, W].
        restorer: the networks.
        batch_size: images computed at once.
        is_aligned: a pixel's place means something, so that each has a level of its own; not so in tiles of a
            texture.
    """
    batch_size = _bounded(batch_size, images.shape)
    moments: dict[int, tuple[Tensor, Tensor, int]] = {}
    for x in batches(images, restorer, batch_size):
        for number, view in enumerate(_views(x, restorer)):
            rows = view.movedim(1, -1).flatten(0, 2).double()
            total, square, count = moments.get(number, (0, 0, 0))
            moments[number] = (total + rows.sum(0), square + rows.T @ rows, count + len(rows))
    means = [total / count for total, _, count in moments.values()]
    whiteners = [
        _whitener(square / count - torch.outer(mean, mean))
        for (_, square, count), mean in zip(moments.values(), means, strict=True)
    ]
    ready = tuple(m.float() for m in means), tuple(w.float() for w in whiteners)
    weights = _weights(len(means), restorer.device)
    total = torch.zeros(images.shape[2:], dtype=torch.float64, device=restorer.device)
    for x in batches(images, restorer, batch_size):
        total += torch.tensordot(weights, _view_maps(x, restorer, *ready).sum(1, dtype=torch.float64), 1)
    overall = total.mean() / len(images)
    level = (total + PRIOR_IMAGES * overall) / (len(images) + PRIOR_IMAGES)
    level = level.maximum(LEAST_LEVEL * overall)
    if not is_aligned:
        level = overall.expand_as(level).contiguous()
    rim = torch.empty(2, 0, device=restorer.device)
    return MapStatistics(*ready, level.clamp_min(1e-6).float(), rim)


@torch.inference_mode()
def residual_maps(
    images: np.ndarray, restorer: Restorer, statistics: MapStatistics, batch_size: int
) -> Iterator[np.ndarray]:
    """Residual maps of images uint8 [N, C, H, W], not yet smoothed: batches float32 [n, H, W].

    At each place the signed residual of a view, the image in a neighbourhood or a critic layer, is standardised
    over its channels with their covariance (squared Mahalanobis distance, a channel); the views' maps are brought
    to the image's size and averaged, a finer one with more weight, and each pixel is divided by its level
    on the selection set. About 1 where an image is as well restored as normal ones are.
    """
    size = _bounded(batch_size, images.shape)
    for x in batches(images, restorer, size):
        yield _standardised(filled_up(x, size), restorer, statistics)[: len(x)].cpu().numpy()


def smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """A map [h, w] under a Gaussian of `sigma` pixels, mirrored at the rim; 0 leaves it as it is."""
    if not sigma:
        return values
    reach = min(math.ceil(REACH * sigma), *(side - 1 for side in values.shape))
    return ndimage.gaussian_filter(values, sigma, mode="mirror", radius=reach)


def _bounded(batch_size: int, shape: tuple[int, ...]) -> int:
    """Images [N, C, H, W] computed at once, at most `batch_size`."""
    return max(1, min(batch_size, MOST_PIXELS // math.prod(shape[1:])))


def _views(x: Tensor, restorer: Restorer) -> list[Tensor]:
    """x - G(E(x)) and f(x) - f(G(E(x))) of every critic layer, from the image inwards, each [N, C, h, w].

    Of the image the channels are all pixels of the neighbourhood, [N, 25 C, H, W].
    """
    restored = restorer.wgan.generator(restorer.encode(x))
    features = restorer.wgan.critic.features
    layers = zip(features(x), features(restored), strict=True)
    return [neighbourhoods(x - restored), *(ours - theirs for ours, theirs in layers)]


def neighbourhoods(residual: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C * 25, H, W]: the pixels around each one, mirrored at the rim."""
    padded = functional.pad(residual, (NEIGHBOURHOOD // 2,) * 4, mode="reflect")
    return functional.unfold(padded, NEIGHBOURHOOD).unflatten(2, residual.shape[2:])


def _view_maps(x: Tensor, restorer: Restorer, means: tuple[Tensor, ...], whiteners: tuple[Tensor, ...]) -> Tensor:
    """Squared Mahalanobis distance over the channels, a channel, at every place of every view: [views, N, H, W]."""
    found = []
    for view, mean, whitener in zip(_views(x, restorer), means, whiteners, strict=True):
        place = ((view.movedim(1, -1) - mean) @ whitener).square().mean(-1)[:, None]
        found.append(functional.interpolate(place, x.shape[2:], mode="bilinear", align_corners=False)[:, 0])
    return torch.stack(found)


def _standardised(x: Tensor, restorer: Restorer, statistics: MapStatistics) -> Tensor:
    found = _view_maps(x, restorer, statistics.means, statistics.whiteners)
    return torch.tensordot(_weights(len(found), found.device).float(), found, 1) / statistics.level


def _weights(views: int, device: torch.device) -> Tensor:
    """Of each view, float64 [views], sum 1: they halve from view to view."""
    weights = 0.5 ** torch.arange(views, dtype=torch.float64, device=device)
    return weights / weights.sum()


def _whitener(covariance: Tensor) -> Tensor:
    ridge = RIDGE * covariance.diagonal().mean().clamp_min(1e-12)
    steadied = covariance + ridge * torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return torch.linalg.cholesky(torch.linalg.inv(steadied))
