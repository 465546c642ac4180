"""What networks are given: scaled pixels, and z of its law."""

import pytest
import torch

from fanogan_pipeline.networks.pixels import to_bytes, to_pixels
from fanogan_pipeline.networks.wgan import sample_prior


@pytest.mark.parametrize("pixel_range", [(-1.0, 1.0), (0.0, 1.0)])
def test_pixels_scale_by_255_whatever_else_is_in_the_batch(pixel_range):
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    low, high = pixel_range
    together = to_pixels(images, pixel_range)
    assert torch.allclose(together.flatten(), torch.tensor([low, low + 0.2 * (high - low), high]), atol=1e-6)
    assert torch.equal(to_pixels(images[1:2], pixel_range), together[1:2])
    assert torch.equal(to_bytes(together, pixel_range), images)


def test_priors_have_their_law():
    generator = torch.Generator().manual_seed(0)
    normal = sample_prior("normal", 20_000, 2, generator)
    uniform = sample_prior("uniform", 20_000, 2, generator)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert uniform.min() >= -1
    assert uniform.max() <= 1
    assert abs(uniform.var() - 1 / 3) < 0.01
