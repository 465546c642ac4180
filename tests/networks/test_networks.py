"""Shapes, ranges and sizes of every architecture."""

import pytest
import torch
from torch import nn

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks import (
    ARCHITECTURES,
    Checkpoint,
    Critic,
    NetworkSpec,
    build_critic,
    build_encoder,
    build_generator,
    folded,
    pixel_range,
)

SIZES = [(16, 16), (28, 28), (33, 47), (64, 64), (17, 200)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_networks_fit_together_at_every_size(architecture, size, channels):
    spec = NetworkSpec(architecture, size, channels, 5, 4)
    if architecture == "reference" and (size[0] % 4 or size[1] % 4):
        with pytest.raises(InputError, match="multiples of 4"):
            build_generator(spec)
        return
    torch.manual_seed(0)
    generator, critic = build_generator(spec), build_critic(spec)
    low, high = pixel_range(spec)
    images = generator(torch.randn(3, 5))
    assert images.shape == (3, channels, *size)
    assert low <= images.min()
    assert images.max() <= high
    features = critic.features(images)
    assert critic(images).shape == (3,)
    assert torch.equal(critic.head(features[-1]), critic(images))
    for head in ("linear", "tanh"):
        encoder = build_encoder(spec, head).eval()
        (early, late), z = encoder.see(images)
        assert early.shape[0] == late.shape[0] == 3
        assert early.shape[1] <= encoder.stages[0](images).shape[1] * 13**2
        assert encoder(images).shape == (3, 5)
        assert torch.equal(z, encoder(images))
        assert torch.allclose(encoder.linear(late), torch.atanh(z) if head == "tanh" else z, atol=1e-5)
    assert build_encoder(spec, "tanh")(100 * images).abs().max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_critic_s_written_down_gradient_is_the_automatic_one(channels, size):
    torch.manual_seed(0)
    critic = build_critic(NetworkSpec("convolutional", size, channels, 5, 4)).double()
    x = torch.randn(3, channels, *size, dtype=torch.float64)
    known = {}
    for kind in (type(critic), Critic):
        gradient = kind.input_gradient(critic, x)
        reached = torch.autograd.grad((gradient.flatten(1).norm(dim=1) - 1).square().mean(), critic.stages[0][0].weight)
        known[kind] = gradient.detach(), reached[0]
    for ours, automatic in zip(*known.values(), strict=True):
        assert automatic.abs().max() > 0
        assert torch.allclose(ours, automatic, rtol=1e-9, atol=1e-12 * float(automatic.abs().max()))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_folded_networks_say_the_same_with_less_batch_norm(architecture):
    torch.manual_seed(0)
    spec = NetworkSpec(architecture, (32, 32), 1, 5, 4)
    x, z = torch.rand(16, 1, 32, 32, dtype=torch.float64), torch.randn(16, 5, dtype=torch.float64)
    for network, given in ((build_generator(spec), z), (build_critic(spec), x), (build_encoder(spec, "linear"), x)):
        network = network.double()
        for _ in range(3):
            network(given)  # statistics and weights that differ from one channel to the next
        for norm in _norms(network):
            nn.init.uniform_(norm.weight, 0.5, 2.0)
            nn.init.normal_(norm.bias)
        before = network.state_dict()
        ours, theirs = folded(network), network.eval()
        assert torch.allclose(ours(given), theirs(given), rtol=1e-9, atol=1e-12)
        assert architecture == "residual" or len(_norms(ours)) <= min(1, len(_norms(network)))
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def _norms(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]


def test_the_reference_networks_have_the_size_of_the_system_they_reimplement():
    spec = NetworkSpec("reference", (28, 28), 1, 2, 16)
    count = lambda module: sum(weight.numel() for weight in module.parameters())  # noqa: E731
    assert round(count(build_critic(spec)), -3) == 75_000
    assert abs(count(build_generator(spec)) - 125_000) < 5_000
    assert abs(count(build_encoder(spec, "linear")) - 79_000) < 1_500


def test_the_article_s_networks_have_a_feature_layer_of_8192():
    critic = build_critic(NetworkSpec("residual", (64, 64), 1, 128, 64))
    assert critic.features(torch.zeros(1, 1, 64, 64))[-1].numel() == 8192


@pytest.mark.parametrize("architecture", ["convolutional", "residual"])
def test_a_penalised_critic_judges_each_image_by_itself(architecture):
    critic = build_critic(NetworkSpec(architecture, (28, 28), 1, 4, 8)).train()
    assert not critic.couples_images
    assert not any(isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.Dropout) for layer in critic.modules())
    torch.manual_seed(0)
    images = torch.rand(6, 1, 28, 28)
    assert torch.allclose(critic(images)[:1], critic(images[:1]), atol=1e-5)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("size", [(44, 60), (100, 52)])
def test_both_of_the_encoder_s_views_see_every_pixel(architecture, size):
    torch.manual_seed(0)
    encoder = build_encoder(NetworkSpec(architecture, size, 1, 4, 4), "linear").eval()
    x = (torch.rand(8, 1, *size) * 2 - 1).requires_grad_(True)
    for view in encoder.see(x)[0]:
        (gradient,) = torch.autograd.grad(view.square().sum(), x, retain_graph=True)
        assert (gradient.abs().sum((0, 1)) > 0).all()


def test_an_unknown_architecture_is_refused():
    with pytest.raises(InputError, match=r"wgan\.architecture: found 'magic'"):
        build_generator(NetworkSpec("magic", (28, 28), 1, 4, 8))


def test_a_digest_follows_content_and_nothing_else():
    one = Checkpoint({"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}, {"x": 1, "y": 2}, origin="here")
    same = Checkpoint({"b": torch.ones(2), "a": torch.arange(6.0).view(2, 3)}, {"y": 2, "x": 1}, origin="there")
    assert one.digest == same.digest
    assert one.digest != Checkpoint(one.tensors, {"x": 1, "y": 3}).digest
    assert one.digest != Checkpoint({**one.tensors, "b": torch.ones(1, 2)}, one.header).digest
    assert one.digest != Checkpoint({**one.tensors, "b": torch.zeros(2)}, one.header).digest
