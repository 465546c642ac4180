"""Where an image is unlike normal ones: residual maps, fitted on the selection set."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from fanogan_pipeline.detection.local_law import LocalLaw
from fanogan_pipeline.detection.restoration_map import RestorationMap
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.surface_map import SurfaceMap, reach
from fanogan_pipeline.detection.tensors import OfTensors, filled_up

PRIOR_IMAGES = 16  # a pixel's own mean counts as much as the mean of all after so many images
LEAST_LEVEL = 0.5  # of the mean of all: where normal images have nothing, a trifle is not to shine
MOST_PIXELS = 2**18  # of a batch: each takes a neighbourhood's numbers, 25 times its own


@dataclass(frozen=True)
class MapStatistics(OfTensors):
    """What residual maps are measured against, fitted on the selection set; tensors float32 on one device.

    Attributes:
        measure: how unusual each pixel is.
        level: mean over images of that measure of each pixel, drawn to the mean of all, or that mean alone, [H, W].
        rim: mean and deviation of the smoothed map of a whole picture by the distance to its rim, 0, 1, ...
            pixels, the last for all beyond, [2, distances]; no distances where images are whole pictures.
    """

    measure: RestorationMap | SurfaceMap
    level: Tensor
    rim: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """By name, on the CPU."""
        laws = {f"law.{number}": law for number, law in enumerate(self.measure.laws)}
        if isinstance(self.measure, SurfaceMap):
            laws["strengths"] = self.measure.strengths
        named = {f"map_{name}.{part}": tensor for name, law in laws.items() for part, tensor in vars(law).items()}
        named |= {"map_level": self.level, "map_rim": self.rim}
        return {name: tensor.cpu().contiguous() for name, tensor in named.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> MapStatistics:
        """What `tensors` gave. Raises KeyError where one is missing."""

        def law(name: str) -> LocalLaw:
            return LocalLaw(tensors[f"map_{name}.mean"], tensors[f"map_{name}.whitener"])

        count = max(1, sum(name.startswith("map_law.") and name.endswith(".mean") for name in tensors))
        laws = tuple(law(f"law.{number}") for number in range(count))
        is_surface = "map_strengths.mean" in tensors
        measure = SurfaceMap(laws, law("strengths")) if is_surface else RestorationMap(laws)
        return cls(measure, tensors["map_level"], tensors["map_rim"])


@torch.inference_mode()
def fit_map_statistics(
    images: np.ndarray, restorer: Restorer, batch_size: int, is_aligned: bool = True
) -> MapStatistics:
    """Fit on normal images of the selection set, in two or three passes over them.

    Args:
        images: uint8 [N, C, H, W].
        restorer: the networks.
        batch_size: images computed at once.
        is_aligned: a pixel's place means something, so that each has a level of its own and how it is restored tells
            most; not so in tiles of a surface.
    """
    normal = partial(batches, images, restorer, _bounded(batch_size, images.shape))
    measure = (RestorationMap if is_aligned else SurfaceMap).fit(normal, restorer)
    total = torch.zeros(images.shape[2:], dtype=torch.float64, device=restorer.device)
    for x in normal():
        total += measure.at(x, restorer).sum(0, dtype=torch.float64)
    overall = total.mean() / len(images)
    level = (total + PRIOR_IMAGES * overall) / (len(images) + PRIOR_IMAGES)
    level = level.maximum(LEAST_LEVEL * overall)
    if not is_aligned:
        level = overall.expand_as(level).contiguous()
    rim = torch.empty(2, 0, device=restorer.device)
    return MapStatistics(measure, level.clamp_min(1e-6).float(), rim)


@torch.inference_mode()
def residual_maps(
    images: np.ndarray, restorer: Restorer, statistics: MapStatistics, batch_size: int
) -> Iterator[np.ndarray]:
    """Residual maps of images uint8 [N, C, H, W], not yet smoothed: batches float32 [n, H, W].

    How unusual each pixel is, over its level on the selection set: about 1 where an image is as normal ones are.
    """
    size = _bounded(batch_size, images.shape)
    for x in batches(images, restorer, size):
        found = statistics.measure.at(filled_up(x, size), restorer) / statistics.level
        yield found[: len(x)].cpu().numpy()


def smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """A map [h, w] under a Gaussian of `sigma` pixels, mirrored at the rim; 0 leaves it as it is."""
    if not sigma:
        return values
    return ndimage.gaussian_filter(values, sigma, mode="mirror", radius=reach(sigma, min(values.shape)))


def _bounded(batch_size: int, shape: tuple[int, ...]) -> int:
    """Images [N, C, H, W] computed at once, at most `batch_size`."""
    return max(1, min(batch_size, MOST_PIXELS // math.prod(shape[1:])))
