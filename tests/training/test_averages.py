"""The averaged generator and the rates over a phase."""

import itertools

import pytest
import torch
from tests.parts import ones, training_parameters, wgan_parameters
from torch import nn

from fanogan_pipeline.networks import NetworkSpec
from fanogan_pipeline.training.ema import update_average
from fanogan_pipeline.training.job import TrainingJob, train_wgan
from fanogan_pipeline.training.schedule import LAST_SHARE, rate_factor


def test_the_average_halves_its_distance_every_half_life():
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    nn.init.constant_(average.weight, 0.0)
    for _ in range(10):  # 10 batches of 100 images are one half-life
        update_average(average, model, images_seen=10**9, images_a_step=100, half_life=1000.0)
    assert average.weight.item() == pytest.approx(0.5, abs=1e-6)


def test_no_half_life_means_a_copy_and_the_start_is_not_held_on_to():
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    update_average(average, model, images_seen=64, images_a_step=64, half_life=0.0)
    assert average.weight.item() == 3.0
    nn.init.constant_(average.weight, 0.0)
    # ramped up from 5% of what was seen
    update_average(average, model, images_seen=64, images_a_step=64, half_life=1e6)
    assert average.weight.item() == pytest.approx(3.0 * (1 - 0.5**20))


def test_batch_norm_s_statistics_are_those_of_the_averaged_weights():
    """Of Wz, z from N(0, 1), the variance is known: the sum of each row's squares."""
    spec, parameters = NetworkSpec("convolutional", (28, 28), 1, 4, 4), wgan_parameters(batch_size=60, steps=2)
    trained, _ = train_wgan(TrainingJob(parameters, training_parameters(), spec, 0, "cpu"), ones(60))
    linear, norm = trained.generator.latent[:2]
    assert torch.allclose(norm.running_var, linear.weight.square().sum(1), rtol=0.25)
    assert not trained.generator.training


def test_rates_rise_stay_and_fall():
    factors = [rate_factor(step, 100, 0.5, warm_up=10) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[20] == factors[49] == 1.0
    assert factors[75] == pytest.approx(LAST_SHARE + (1 - LAST_SHARE) * 0.5)
    assert all(late < early for early, late in itertools.pairwise(factors[51:]))
    assert [rate_factor(step, 10, 0.0) for step in range(10)] == [1.0] * 10
