"""How badly an image is restored: the residual terms, per image and per pixel."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from fanogan_pipeline.detection.expectation import Expectation, liveliness, ratio_name
from fanogan_pipeline.detection.refinement import UNREFINED, Refinement
from fanogan_pipeline.networks import Encoder, folded, pixel_range
from fanogan_pipeline.training.data import to_bytes, to_pixels
from fanogan_pipeline.training.wgan import Wgan

if TYPE_CHECKING:
    from fanogan_pipeline.detection.statistics import ResidualStatistics

TERMS = ("image_residual", "feature_residual", "latent_residual")


@dataclass(frozen=True)
class Restorer:
    """Generator, critic and encoder that judge images; all in evaluation mode.

    Attributes:
        wgan: generator and critic of phase 1.
        encoder: of phase 2.
        image_distance: "squared" (mean over pixels) or "absolute" (sum over pixels, the reference's score).
        device: where they compute.
        refinement: how z is found; without one it is E(x).
    """

    wgan: Wgan
    encoder: Encoder
    image_distance: str
    device: torch.device
    refinement: Refinement = UNREFINED

    @classmethod
    def of(
        cls,
        wgan: Wgan,
        encoder: Encoder,
        image_distance: str,
        device: torch.device,
        refinement: Refinement = UNREFINED,
    ) -> Restorer:
        """Of trained networks: copies whose batch norm is folded, see `folded`."""
        wgan = replace(wgan, generator=folded(wgan.generator), critic=folded(wgan.critic))
        return cls(wgan, folded(encoder), image_distance, device, refinement)

    @property
    def pixel_range(self) -> tuple[float, float]:
        return pixel_range(self.wgan.spec)

    def encode(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] -> z [N, latent_dim], refined where the refinement says so."""
        return self.refinement.encode(x, self.encoder, self.wgan)

    def see(self, x: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """The encoder's views of x, each [N, units], and z as `encode` gives it, with one pass of it for both."""
        views, z = self.encoder.see(x)
        return views, self.encode(x) if self.refinement.searches else z

    def feature_residual(self, x: Tensor, restored: Tensor) -> Tensor:
        """f(x) - f(G(z)) of the critic's deepest layer, [N, units]."""
        features = self.wgan.critic.features
        return (features(x)[-1] - features(restored)[-1]).flatten(1)

    def terms(
        self, x: Tensor, statistics: ResidualStatistics, wanted: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """The residual terms of x [N, C, H, W], each [N]; those wanted, or all.

        image_residual: 1/n ||x - G(E(x))||^2 (Schlegl et al. 2019, A_R), or the sum of |x - G(E(x))|;
        feature_residual: 1/n_f ||f(x) - f(G(E(x)))||^2 over the critic's deepest layer (A_D);
        latent_residual: ||E(x) - E(G(E(x)))||^2;
        tolerant_residual: the image residual that a shift by one pixel does not count in, see `tolerant_residual`;
        neighbour_distance_early, _late: from the training images nearest to it in what the encoder sees of it early and
        late, however z is found;
        feature_distance: how unusual f(x) - f(G(E(x))) is among the training images', see `ResidualLaw`;
        neighbour_ratio_early, _late, feature_ratio: the same over what a normal image as lively as this one has, see
        `Expectation`. The last six exist where the statistics have a training set.
        """
        seen, z = self.see(x)
        restored = self.wgan.generator(z)
        residual = cache(lambda: self.feature_residual(x, restored))  # the critic is asked only where a term needs it
        known: dict[str, Callable[[], Tensor]] = {"image_residual": partial(self._image_residual, x, restored)}
        known["feature_residual"] = lambda: _mean_square(residual())
        known["latent_residual"] = lambda: (z - self.encoder(restored)).square().sum(1, dtype=torch.float64)
        known["tolerant_residual"] = partial(tolerant_residual, x, restored)
        lively = cache(lambda: liveliness(x))
        for name, measured in statistics.distances(seen, residual).items():
            known[name] = distance = cache(measured)
            known[ratio_name(name)] = partial(_ratio, distance, statistics.expectations[name], lively)
        return {name: term() for name, term in known.items() if wanted is None or name in wanted}

    def _image_residual(self, x: Tensor, restored: Tensor) -> Tensor:
        view = (x - restored).flatten(1)
        return _mean_square(view) if self.image_distance == "squared" else view.abs().sum(1, dtype=torch.float64)


def _ratio(distance: Callable[[], Tensor], expectation: Expectation, lively: Callable[[], Tensor]) -> Tensor:
    return distance() / expectation.distance(lively())


def _mean_square(view: Tensor) -> Tensor:
    """Mean over the units of a view [N, units], squared: [N]."""
    # in double precision: a float32 mean over thousands of units is the largest error of a score
    return view.square().mean(1, dtype=torch.float64)


def tolerant_residual(x: Tensor, restored: Tensor) -> Tensor:
    """How far pixels lie outside the range of the other image's 3x3 pixels around them, squared, both ways; [N].

    An edge restored a pixel off, the commonest fault of a restored normal image, costs next to nothing;
    a stroke too many or too few costs what it did.
    """
    outside = _outside(x, restored).square() + _outside(restored, x).square()
    return outside.flatten(1).mean(1, dtype=torch.float64)


def _outside(image: Tensor, other: Tensor) -> Tensor:
    """How far each pixel is above the highest or below the lowest of the other's 3x3 around it, [N, C, H, W]."""
    above = image - functional.max_pool2d(other, 3, 1, 1)
    below = -functional.max_pool2d(-other, 3, 1, 1) - image
    return functional.relu(above) + functional.relu(below)


@torch.inference_mode()
def residual_terms(
    images: np.ndarray,
    restorer: Restorer,
    statistics: ResidualStatistics,
    batch_size: int,
    wanted: Collection[str] | None = None,
) -> pd.DataFrame:
    """Residual terms of every image; an image's terms depend neither on its neighbours nor, but for
    rounding, on the batch size.

    Args:
        images: uint8 [N, C, H, W].
        restorer: the networks.
        statistics: of the selection set.
        batch_size: images computed at once.
        wanted: names of terms; None, all.

    Returns:
        A float64 column for each wanted term of `Restorer.terms`, a row per image.
    """
    rows = [
        {name: term[: len(x)] for name, term in restorer.terms(filled_up(x, batch_size), statistics, wanted).items()}
        for x in batches(images, restorer, batch_size)
    ]
    return pd.DataFrame({name: torch.cat([row[name] for row in rows]).double().cpu().numpy() for name in rows[0]})


def filled_up(x: Tensor, size: int) -> Tensor:
    """x [N, C, H, W] with its last image again until it holds `size`: kernels round differently at other batch
    sizes, and an image's terms are to be the same to the last bit in any company."""
    return x if len(x) == size else torch.cat([x, x[-1:].expand(size - len(x), -1, -1, -1)])


@torch.inference_mode()
def restore(images: np.ndarray, restorer: Restorer, batch_size: int) -> np.ndarray:
    """G(E(x)) of every image, uint8 [N, C, H, W]."""
    restored = [
        to_bytes(restorer.wgan.generator(restorer.encode(x)), restorer.pixel_range).cpu()
        for x in batches(images, restorer, batch_size)
    ]
    return torch.cat(restored).numpy()


def batches(images: np.ndarray, restorer: Restorer, batch_size: int) -> Iterator[Tensor]:
    """Scaled batches of images uint8 [N, C, H, W], on the restorer's device."""
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size])).to(restorer.device)
        yield to_pixels(batch, restorer.pixel_range)
