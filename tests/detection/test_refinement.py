"""The search for a better z: it gets better, and no image's search touches another's."""

import pytest
import torch

from fanogan_pipeline.detection import refinement as searches
from fanogan_pipeline.detection.refinement import BLOCK, Refinement, random_start, search
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_encoder, build_generator

SPEC = NetworkSpec("convolutional", (16, 16), 1, 4, 4)


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    parts = [build_generator(SPEC), build_critic(SPEC), build_encoder(SPEC, "linear")]
    generator, critic, encoder = (part.eval().requires_grad_(False) for part in parts)
    return Wgan(SPEC, "normal", generator, critic), encoder, torch.rand(40, 1, 16, 16) * 2 - 1


def distance(wgan, x, z):
    return (x - wgan.generator(z)).abs().flatten(1).sum(1)


def test_steps_from_the_encoder_s_z_restore_better(networks):
    wgan, encoder, x = networks
    start = Refinement().encode(x, encoder, wgan)
    refined = Refinement("encoder", 30, 0.05).encode(x, encoder, wgan)
    assert torch.equal(start, encoder(x))
    assert (distance(wgan, x, refined) < distance(wgan, x, start)).float().mean() > 0.9
    assert torch.equal(search(x, start, wgan, 0, 0.05), start)


def test_a_search_is_adam_down_the_article_s_loss(networks):
    """Schlegl et al. 2017: 0.9 |x - G(z)| + 0.1 |f(x) - f(G(z))|, sums of absolute differences."""
    wgan, _, x = networks
    x, start = x[:4], torch.randn(4, 4)
    z = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([z], 0.05)
    for _ in range(3):
        restored = wgan.generator(z)
        features = (wgan.critic.features(some)[-1] for some in (x, restored))
        loss = 0.9 * (x - restored).abs().sum() + 0.1 * torch.sub(*features).abs().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert torch.allclose(search(x, start, wgan, 3, 0.05), z.detach(), atol=1e-6)


@pytest.mark.parametrize("method", ["encoder", "iterative"])
def test_an_image_gets_the_same_z_in_any_company(networks, method):
    wgan, encoder, x = networks
    refinement = Refinement(method, 5, 0.05)
    together = refinement.encode(x, encoder, wgan)
    for count in (1, 2, 5, 32, 33):  # to the last bit, which kernels round by the size of what they are given
        assert torch.equal(refinement.encode(x[7 : 7 + count], encoder, wgan), together[7 : 7 + count]), count
    assert torch.equal(refinement.encode(x.flip(0), encoder, wgan).flip(0), together)


@pytest.mark.parametrize("method", ["encoder", "iterative"])
def test_images_that_are_there_several_times_are_searched_for_once_and_get_the_z_they_had(
    networks, method, monkeypatch
):
    wgan, encoder, x = networks
    x = x[torch.arange(120) // 2 % 40]  # 0, 0, 1, 1, ...
    restorer = Restorer(wgan, encoder, "squared", torch.device("cpu"), Refinement(method, 5, 0.05))
    plain, searched = restorer.refinement.encode(x, encoder, wgan), []

    def counted(x, *how):
        searched.append(len(x))
        return search(x, *how)

    monkeypatch.setattr(searches, "search", counted)
    for _ in range(2):  # a restorer by itself keeps nothing
        assert torch.equal(restorer.encode(x), plain)
    assert searched == [BLOCK, BLOCK] * 2
    remembering = restorer.remembering()
    parts = [remembering.encode(part) for part in x.split(50)]
    assert torch.equal(torch.cat(parts), plain)
    assert torch.equal(remembering.remembering().encode(x.flip(0)), plain.flip(0))
    assert searched == [BLOCK, BLOCK] * 3
    assert restorer.known is None


def test_anogan_starts_where_the_image_s_own_pixels_say(networks):
    wgan, _, x = networks
    start = random_start(x, wgan)
    assert torch.equal(random_start(x[3:4], wgan)[0], start[3])
    assert len({tuple(z.tolist()) for z in start}) == len(x)


@pytest.mark.parametrize(("steps", "taken"), [(0, 500), (7, 7)])
def test_anogan_takes_the_article_s_500_steps_unless_others_are_given(networks, monkeypatch, steps, taken):
    wgan, encoder, x = networks
    seen = []

    def search(x, start, wgan, steps, rate):
        seen.append(steps)
        return start

    monkeypatch.setattr("fanogan_pipeline.detection.refinement.search", search)
    Refinement("iterative", steps).encode(x[:2], encoder, wgan)
    assert seen == [taken]
