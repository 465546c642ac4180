"""Where in the latent space the images of a figure come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_generator
from fanogan_pipeline.training import sampling

STEPS = 3


def untrained(prior: str, latent_dim: int) -> Wgan:
    torch.manual_seed(0)
    spec = NetworkSpec("convolutional", (16, 16), channels=1, latent_dim=latent_dim, width=4)
    return Wgan(spec, prior, build_generator(spec).eval(), build_critic(spec).eval())


def walked(prior: str, latent_dim: int) -> tuple[torch.Tensor, tuple[float, ...], np.ndarray, Wgan]:
    """z of a walk, [STEPS, STEPS, latent_dim], what it says of itself, and its images."""
    wgan, seen = untrained(prior, latent_dim), []
    wgan.generator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    images, extent = sampling.walk(wgan, STEPS, seed=1)
    return torch.cat(seen).view(STEPS, STEPS, latent_dim), extent, images, wgan


@pytest.mark.parametrize(("prior", "reach"), [("uniform", 1.0), ("normal", 2.0)])
def test_with_two_dimensions_a_walk_goes_over_their_whole_square(prior: str, reach: float) -> None:
    z, extent, images, wgan = walked(prior, 2)
    assert extent == (-reach, reach, -reach, reach)
    assert z[0, 0].tolist() == [-reach, reach]  # the first row has the highest second coordinate
    assert z[0, -1].tolist() == [reach, reach]
    assert z[-1, 0].tolist() == [-reach, -reach]
    assert z[1, 1].tolist() == [0, 0]
    assert np.array_equal(images.reshape(-1, *images.shape[2:]), sampling.generate(wgan, z.view(-1, 2)))
    assert len(np.unique(images.reshape(STEPS**2, -1), axis=0)) == STEPS**2


def test_with_more_its_corners_lie_where_the_normal_priors_mass_does() -> None:
    z, extent, _, _ = walked("normal", 8)
    assert z[0, 0].norm() == pytest.approx(8**0.5)
    assert z[0, -1].norm() == pytest.approx(8**0.5)
    assert (z[0, 0] @ z[0, -1]).item() == pytest.approx(0, abs=1e-5)  # the two directions are orthogonal
    assert extent == pytest.approx((-2, 2, -2, 2))
    assert z[1, -1].norm() == pytest.approx(2)


def test_with_more_it_goes_to_the_uniform_priors_border_and_not_beyond() -> None:
    z, extent, _, _ = walked("uniform", 8)
    assert z.abs().max() == pytest.approx(1)
    assert extent == (-1, 1, -1, 1)


@pytest.mark.parametrize("prior", ["uniform", "normal"])
def test_one_dimension_is_walked_along_and_the_same_seed_gives_the_same_images(prior: str) -> None:
    z, _, images, _ = walked(prior, 1)
    assert torch.equal(z[0], z[-1])
    assert z[0, 0] == -z[0, -1] != 0
    assert np.array_equal(images, walked(prior, 1)[2])
