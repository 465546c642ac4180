"""The averaged generator and the rates over a phase."""

import copy
import itertools

import pytest
import torch
from torch import nn

from fanogan_pipeline.training.ema import standing_statistics, update_average
from fanogan_pipeline.training.schedule import LAST_SHARE, rate_factor


def test_the_average_halves_its_distance_every_half_life():
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    nn.init.constant_(average.weight, 0.0)
    for _ in range(10):  # 10 batches of 100 images are one half-life
        update_average(average, model, images_seen=10**9, batch_size=100, half_life=1000.0)
    assert average.weight.item() == pytest.approx(0.5, abs=1e-6)


def test_no_half_life_means_a_copy_and_the_start_is_not_held_on_to():
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    update_average(average, model, images_seen=64, batch_size=64, half_life=0.0)
    assert average.weight.item() == 3.0
    nn.init.constant_(average.weight, 0.0)
    update_average(average, model, images_seen=64, batch_size=64, half_life=1e6)  # ramped up from 5% of what was seen
    assert average.weight.item() == pytest.approx(3.0 * (1 - 0.5**20))


def test_standing_statistics_are_the_plain_average_over_the_latents():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.1))
    latents = [torch.randn(16, 3) for _ in range(5)]
    plain = copy.deepcopy(generator[0])
    standing_statistics(generator, latents)
    means = torch.stack([plain(z).mean(0) for z in latents]).mean(0)
    assert torch.allclose(generator[1].running_mean, means, atol=1e-6)
    assert generator[1].momentum == 0.1
    assert not generator.training


def test_rates_rise_stay_and_fall():
    factors = [rate_factor(step, 100, 0.5, warm_up=10) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[20] == factors[49] == 1.0
    assert factors[75] == pytest.approx(LAST_SHARE + (1 - LAST_SHARE) * 0.5)
    assert all(late < early for early, late in itertools.pairwise(factors[51:]))
    assert [rate_factor(step, 10, 0.0) for step in range(10)] == [1.0] * 10
