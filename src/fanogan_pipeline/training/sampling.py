"""Images out of a trained generator, for figures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fanogan_pipeline.networks import Wgan, pixel_range
from fanogan_pipeline.networks.pixels import to_bytes
from fanogan_pipeline.networks.wgan import sample_prior

TOGETHER = 256  # images made at once


@torch.inference_mode()
def generate(wgan: Wgan, z: Tensor) -> np.ndarray:
    """G(z) of z [N, latent_dim] as uint8 [N, C, H, W]."""
    device = next(wgan.generator.parameters()).device
    found = [to_bytes(wgan.generator(some.to(device)), pixel_range(wgan.spec)).cpu() for some in z.split(TOGETHER)]
    return torch.cat(found).numpy()


def samples(wgan: Wgan, count: int, seed: int) -> np.ndarray:
    """`count` images of random z, uint8 [count, C, H, W]."""
    return generate(wgan, sample_prior(wgan.prior, count, wgan.spec.latent_dim, torch.Generator().manual_seed(seed)))


def walk(wgan: Wgan, steps: int, seed: int) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """A plane through the latent space, evenly walked.

    With two latent dimensions it is their whole square: [-1, 1]^2 of the uniform prior, [-2, 2]^2
    of the normal one. With one they lie along a line, in every row the same. With more the plane is
    spanned by two random orthogonal directions, its corners where the normal prior's mass lies, at the
    distance sqrt(latent_dim), or as far out as no coordinate leaves the uniform prior's [-1, 1].

    Returns:
        uint8 [steps, steps, C, H, W], rows from high to low second coordinate as in a plot;
        extent (first min, first max, second min, second max) of the coordinates along the two directions.
    """
    dim, uniform = wgan.spec.latent_dim, wgan.prior == "uniform"
    reach = 1.0 if uniform else (2.0 if dim <= 2 else (dim / 2) ** 0.5)
    first, second = _directions(dim, uniform, seed)
    line = torch.linspace(-reach, reach, steps)
    z = line.view(1, -1, 1) * first + line.flip(0).view(-1, 1, 1) * second
    images = generate(wgan, z.reshape(-1, dim))
    return images.reshape(steps, steps, *images.shape[1:]), (-reach, reach, -reach, reach)


def _directions(dim: int, uniform: bool, seed: int) -> tuple[Tensor, Tensor]:
    if dim <= 2:
        return torch.eye(2)[0][:dim], torch.eye(2)[1][:dim]
    basis, _ = torch.linalg.qr(torch.randn(dim, 2, generator=torch.Generator().manual_seed(seed)))
    first, second = basis.T
    if uniform:  # no coordinate may leave [-1, 1] anywhere on the plane
        limit = (first.abs() + second.abs()).max()
        return first / limit, second / limit
    return first, second
