"""Fewer bits in the passes, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from tests.parts import encoder_parameters, ones, wgan_parameters

from fanogan_pipeline.networks import NetworkSpec, Wgan
from fanogan_pipeline.training.encoder import EncoderPhase
from fanogan_pipeline.training.wgan import WganPhase

CPU = torch.device("cpu")
ARCHITECTURES = ["convolutional", "reference", "residual"]


def spec_of(architecture: str) -> NetworkSpec:
    return NetworkSpec(architecture, (28, 28), 1, 4, 4)


def wgan_phase(architecture: str, precision: str) -> WganPhase:
    return WganPhase(
        ones(60), spec_of(architecture), wgan_parameters(architecture=architecture), 0, CPU, precision=precision
    )


def encoder_phase(architecture: str, precision: str) -> EncoderPhase:
    first = wgan_phase(architecture, "float32")
    networks = first.average.eval().requires_grad_(False), first.critic.eval().requires_grad_(False)
    pair = Wgan(spec_of(architecture), "normal", *networks)
    return EncoderPhase(ones(60), pair, encoder_parameters(latent_weight=0.1), 0, CPU, precision=precision)


PHASES = {"wgan": wgan_phase, "encoder": encoder_phase}


@contextmanager
def types_of_products():
    """The types that convolutions and products of matrices give, forwards."""
    found = set()

    def note(module, inputs, output):
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear):
            found.add(output.dtype)

    handle = torch.nn.modules.module.register_module_forward_hook(note)
    yield found
    handle.remove()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", PHASES)
def test_bfloat16_is_what_networks_compute_in_and_nothing_is_kept_in(name, architecture):
    phase = PHASES[name](architecture, "bfloat16")
    with types_of_products() as found:
        terms = phase.step(0)
    assert torch.bfloat16 in found
    kept = [value for module in phase.modules.values() for value in module.state_dict().values()]
    kept += [weight.grad for module in phase.modules.values() for weight in module.parameters()]
    kept += [value for optimiser in phase.optimisers.values() for values in optimiser.kept.values() for value in values]
    assert {value.dtype for value in kept if value is not None} <= {torch.float32, torch.int64}
    assert {term.dtype for term in terms.values()} == {torch.float32}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", PHASES)
def test_it_trains_nearly_as_float32_does_and_float32_stays_itself(name, architecture):
    exact, short = PHASES[name](architecture, "float32"), PHASES[name](architecture, "bfloat16")
    with types_of_products() as found:
        wanted = [exact.step(number) for number in range(3)]
    assert found == {torch.float32}
    terms = [short.step(number) for number in range(3)]
    for ours, theirs in zip(terms, wanted, strict=True):
        assert any(ours[term] != theirs[term] for term in ours)
        for term, value in theirs.items():
            assert float(ours[term]) == pytest.approx(float(value), rel=0.05, abs=0.02), term


def test_the_penalty_is_taken_in_float32(monkeypatch):
    phase = wgan_phase("residual", "bfloat16")
    seen = set()
    original = type(phase.critic).input_gradient

    def noted(self, x):
        with types_of_products() as found:
            gradient = original(self, x)
        seen.update(found | {x.dtype, gradient.dtype})
        return gradient

    monkeypatch.setattr(type(phase.critic), "input_gradient", noted)
    phase.step(0)
    assert seen == {torch.float32}


# what a GPU makes of float32 is a matter of this process's settings alone, whether or not it has one
SAID = """
import torch
from fanogan_pipeline.training.devices import choose_device
before = torch.get_float32_matmul_precision()
choose_device("cpu")
print(before, torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32)
"""


def test_float32_keeps_its_bits_where_a_container_allows_fewer() -> None:
    told = {**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}  # as NVIDIA's containers set it
    done = subprocess.run([sys.executable, "-c", SAID], env=told, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["high", "highest", "False"], done.stderr
