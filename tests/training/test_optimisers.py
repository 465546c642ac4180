"""Both laws against torch's own Adam and TensorFlow's words, and a start that does not wait for a compiler."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from fanogan_pipeline.training.optimisers import Adam, RmsProp

SHAPES = [(3, 2, 4, 4), (5,), (1, 7)]
RATES = [0.0, 3e-3, 1e-3, 2e-4]


def weights() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_(True) for shape in SHAPES]


def gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1 + step)
    return [torch.randn(shape, generator=generator) * 10.0 ** (step - 2) for shape in SHAPES]


@pytest.mark.parametrize("betas", [(0.0, 0.9), (0.9, 0.999)])
def test_adam_is_torchs_to_the_last_bit(betas):
    ours, theirs = weights(), weights()
    optimiser, known = Adam(ours, betas), torch.optim.Adam(theirs, torch.tensor(1.0), betas, fused=True)
    for step, rate in enumerate(RATES):
        optimiser.rate.fill_(rate)
        known.param_groups[0]["lr"].fill_(rate)
        for weight, same, gradient in zip(ours, theirs, gradients(step), strict=True):
            weight.grad, same.grad = gradient.clone(), gradient.clone()
        optimiser.step()
        known.step()
    for weight, same in zip(ours, theirs, strict=True):
        assert torch.equal(weight, same)
        assert weight.requires_grad


def test_rmsprop_is_tensorflows():
    """ms <- 0.9 ms + 0.1 g^2 from ms = 1; w <- w - rate g / sqrt(ms + 1e-10)."""
    ours, theirs = weights(), [weight.detach().double().numpy() for weight in weights()]
    squares = [np.ones(shape) for shape in SHAPES]
    optimiser = RmsProp(ours)
    for step, rate in enumerate(RATES):
        optimiser.rate.fill_(rate)
        for place, gradient in enumerate(gradients(step)):
            ours[place].grad = gradient
            squares[place] = 0.9 * squares[place] + 0.1 * gradient.double().numpy() ** 2
            theirs[place] = theirs[place] - rate * gradient.double().numpy() / np.sqrt(squares[place] + 1e-10)
        optimiser.step()
    for weight, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(weight.detach().numpy(), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", [Adam, RmsProp])
def test_a_weight_without_gradient_is_not_left_behind_in_silence(kind):
    some = weights()
    optimiser = kind(some)
    some[0].sum().backward()
    with pytest.raises(RuntimeError, match="found 1 gradients of 3 weights"):
        optimiser.step()
    optimiser.zero_grad()
    assert [weight.grad for weight in some] == [None] * 3


def test_training_does_not_wait_for_torchs_compiler():
    """It takes a second to import and is never used."""
    code = (
        "import sys, torch\n"
        "from tests.parts import ones, wgan_parameters\n"
        "from fanogan_pipeline.training.wgan import WganPhase, network_spec\n"
        "images, parameters = ones(20), wgan_parameters()\n"
        "WganPhase(images, network_spec(images.shape, parameters), parameters, 0, torch.device('cpu')).step(0)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
