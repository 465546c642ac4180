"""How badly an image is restored: the residual terms of an image."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache, partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from fanogan_pipeline.detection.expectation import Expectation, liveliness, ratio_name
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.statistics import ResidualStatistics
from fanogan_pipeline.detection.tensors import filled_up

TERMS = ("image_residual", "feature_residual", "latent_residual")


def terms(
    x: Tensor, restorer: Restorer, statistics: ResidualStatistics, wanted: Collection[str] | None = None
) -> dict[str, Tensor]:
    """The residual terms of x [N, C, H, W], each float64 [N]; those wanted, or all.

    image_residual: 1/n ||x - G(E(x))||^2 (Schlegl et al. 2019, A_R), or the mean of |x - G(E(x))|;
    feature_residual: 1/n_f ||f(x) - f(G(E(x)))||^2 over the critic's deepest layer (A_D);
    latent_residual: ||E(x) - E(G(E(x)))||^2;
    tolerant_residual: the image residual that a shift by one pixel does not count in, see `tolerant_residual`;
    neighbour_distance_early, _late: from the training images nearest to it in what the encoder sees of it early and
    late, however z is found;
    feature_distance: how unusual f(x) - f(G(E(x))) is among the training images', see `ResidualLaw`;
    neighbour_ratio_early, _late, feature_ratio: the same over what a normal image as lively as this one has, see
    `Expectation`. The last six exist where the statistics have a training set.
    """
    seen, z = restorer.see(x)
    restored = restorer.wgan.generator(z)
    residual = cache(lambda: restorer.feature_residual(x, restored))  # the critic is asked only where a term needs it
    known: dict[str, Callable[[], Tensor]] = {
        "image_residual": partial(_image_residual, x, restored, restorer.image_distance),
        "feature_residual": lambda: _mean_square(residual()),
        "latent_residual": lambda: (z - restorer.encoder(restored)).square().sum(1, dtype=torch.float64),
        "tolerant_residual": partial(tolerant_residual, x, restored),
    }
    lively = cache(lambda: liveliness(x))
    for name, measured in statistics.distances(seen, residual).items():
        known[name] = distance = cache(measured)
        known[ratio_name(name)] = partial(_ratio, distance, statistics.expectations[name], lively)
    return {name: term() for name, term in known.items() if wanted is None or name in wanted}


def _image_residual(x: Tensor, restored: Tensor, distance: str) -> Tensor:
    view = (x - restored).flatten(1)
    return _mean_square(view) if distance == "squared" else view.abs().mean(1, dtype=torch.float64)


def _ratio(distance: Callable[[], Tensor], expectation: Expectation, lively: Callable[[], Tensor]) -> Tensor:
    return distance() / expectation.distance(lively())


def _mean_square(view: Tensor) -> Tensor:
    """Mean of the squares of a view's units [N, units]: float64 [N]."""
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
        A float64 column for each wanted term of `terms`, a row per image.
    """
    rows = [
        {name: term[: len(x)] for name, term in terms(filled_up(x, batch_size), restorer, statistics, wanted).items()}
        for x in batches(images, restorer, batch_size)
    ]
    return pd.DataFrame({name: torch.cat([row[name] for row in rows]).double().cpu().numpy() for name in rows[0]})
