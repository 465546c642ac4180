"""Residual terms by hand: a shift that costs nothing, distances in the latent space."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fanogan_pipeline.detection.latents import Latents, fit_latents
from fanogan_pipeline.detection.residuals import tolerant_residual


def bar(left: int) -> torch.Tensor:
    """A bar two pixels wide, [1, 1, 16, 16]."""
    x = torch.full((1, 1, 16, 16), -1.0)
    x[..., left : left + 2] = 1
    return x


def test_a_shift_by_one_pixel_costs_nothing_and_by_more_something():
    assert tolerant_residual(bar(5), bar(6)).item() == 0
    assert tolerant_residual(bar(5), bar(8)).item() > 0
    assert tolerant_residual(bar(5), bar(5)).item() == 0


def test_a_stroke_too_many_costs_the_same_as_one_too_few():
    both = torch.maximum(bar(3), bar(10))
    assert tolerant_residual(both, bar(3)).item() == pytest.approx(tolerant_residual(bar(3), both).item())
    # a whole bar of 32 pixels is 2 above everything near it
    assert tolerant_residual(both, bar(3)).item() == pytest.approx(4 * 32 / 256)


def test_latent_distances_by_hand():
    latents = Latents(torch.zeros(2), torch.diag(torch.tensor([1.0, 0.5])), torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    z = torch.tensor([[0.0, 0.0], [3.0, 8.0]])
    assert latents.distance(z).tolist() == pytest.approx([0, 12.5])
    assert latents.neighbour_distance(z).tolist() == pytest.approx([2.5, 2.5])  # two points: their mean distance


def test_fitted_coordinates_have_the_identity_as_covariance():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 1, 4, 4)).astype(np.uint8)
    mixing = torch.tensor(rng.normal(size=(16, 3)), dtype=torch.float32)
    restorer = SimpleNamespace(
        encode=lambda x: x.flatten(1) @ mixing, pixel_range=(-1.0, 1.0), device=torch.device("cpu")
    )
    latents = fit_latents(images, restorer, 64)
    assert torch.cov(latents.points.T).numpy() == pytest.approx(np.eye(3), abs=0.02)
    some = restorer.encode(torch.from_numpy(images[:5]).float() / 127.5 - 1)
    assert latents.whitened(some).numpy() == pytest.approx(latents.points[:5].numpy(), abs=1e-4)
