"""The loops that are made to be fast end where the plain one ends, to rounding.

In double precision, where rounding is far below every real difference: in single precision the gradient of a bias
that cancels out of the loss is rounding alone, which Adam blows up to whole steps.
"""

from __future__ import annotations

import pytest
import torch
from benchmarks import plain as plain_loop
from benchmarks.plain import PlainEncoder, PlainWgan
from tests.parts import group, ones, wgan_parameters
from torch import Tensor, nn

from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_generator
from fanogan_pipeline.training import data, encoder, wgan

CPU = torch.device("cpu")
STEPS = 4  # the whole phase, so that a decay of the rates shows
ROUNDING = 1e-7
SMALL = {"width": 4, "latent_dim": 4, "batch_size": 12, "steps": STEPS, "critic_steps": 2, "ema_half_life": 2.0}


def pixels(images: Tensor, pixel_range: tuple[float, float]) -> Tensor:
    low, high = pixel_range
    return images.double() * ((high - low) / 255) + low


@pytest.fixture(autouse=True)
def _in_double_precision(monkeypatch):
    monkeypatch.setattr(data, "to_pixels", pixels)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def values(module: nn.Module) -> Tensor:
    """Every weight and running statistic in one vector."""
    return torch.cat([value.detach().flatten().double() for value in module.state_dict().values()])


def way_apart(ours: nn.Module, plain: nn.Module, start: Tensor) -> float:
    """How far apart two modules have come, as a share of the way that they have gone."""
    way = (values(plain) - start).norm()
    assert way > 0
    return float((values(ours) - values(plain)).norm() / way)


def spec_of(p, side: int) -> NetworkSpec:
    return NetworkSpec(p.architecture, (side, side), 1, p.latent_dim, p.width)


@pytest.mark.parametrize(
    ("environment", "objective"),
    [
        ("base", "wgan_gp"),
        ("base", "wgan_clip"),
        ("reference", "wgan_plain"),
        ("reference", "wgan_clip"),
        ("paper", "wgan_gp"),
    ],
)
def test_phase_1_agrees_with_the_plain_loop(environment, objective):
    p, images = group("wgan", environment, objective=objective, **SMALL), ones(30)[:, :, :16, :16]
    ours, plain = wgan.WganPhase(images, spec_of(p, 16), p, 0, CPU), PlainWgan(images, spec_of(p, 16), p, 0)
    start = {name: values(getattr(plain, name)) for name in ("generator", "critic", "average")}
    for number in range(STEPS):
        terms, losses = ours.step(number), plain.step(number)
    for name, before in start.items():
        assert way_apart(getattr(ours, name), getattr(plain, name), before) < ROUNDING, name
    for name, loss in losses.items():
        assert float(terms[name]) == pytest.approx(loss, rel=ROUNDING), name


@pytest.mark.parametrize("architecture", ["convolutional", "reference", "residual"])
@pytest.mark.parametrize(
    ("environment", "changes"),
    [
        ("base", {}),
        ("base", {"kappa": 0.3, "latent_weight": 0.1}),
        ("base", {"image_distance": "absolute"}),
        ("base", {"objective": "ziz"}),
        ("reference", {}),
        ("reference", {"objective": "ziz"}),
        ("paper", {}),
    ],
)
def test_phase_2_agrees_with_the_plain_loop(environment, changes, architecture, monkeypatch):
    for module in (encoder, plain_loop):
        monkeypatch.setattr(module, "WARM_UP_STEPS", 1)  # over before the decay begins
    torch.manual_seed(0)
    spec = spec_of(wgan_parameters(architecture=architecture), 16)
    networks = build_generator(spec).eval().requires_grad_(False), build_critic(spec).eval().requires_grad_(False)
    pair = Wgan(spec, group("wgan", environment).latent_prior, *networks)
    p, images = group("encoder", environment, batch_size=12, steps=STEPS, **changes), ones(30)[:, :, :16, :16]
    ours, plain = encoder.EncoderPhase(images, pair, p, 0, CPU), PlainEncoder(images, pair, p, 0)
    start = values(plain.encoder)
    for number in range(STEPS):
        terms, losses = ours.step(number), plain.step(number)
    assert way_apart(ours.encoder, plain.encoder, start) < ROUNDING
    assert float(terms["loss_encoder"]) == pytest.approx(losses["loss_encoder"], rel=ROUNDING)
