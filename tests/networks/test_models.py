"""Models as they are stored, and those that are not taken."""

from __future__ import annotations

import re

import pytest
import torch

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks import Checkpoint, NetworkSpec, Wgan, build_critic, build_encoder, build_generator
from fanogan_pipeline.networks.models import encoder_checkpoint, load_encoder, load_wgan, wgan_checkpoint

CPU = torch.device("cpu")


def models(architecture: str) -> tuple[Checkpoint, Checkpoint]:
    spec = NetworkSpec(architecture, (16, 16), 1, 4, 4)
    wgan_model = wgan_checkpoint(Wgan(spec, "normal", build_generator(spec), build_critic(spec)), {})
    return wgan_model, encoder_checkpoint(build_encoder(spec, "linear"), wgan_model, {})


def of_earlier_version(model: Checkpoint, architecture: str) -> Checkpoint:
    """The model with the names that an earlier version gave its tensors."""

    def change(name: str) -> str:
        if architecture == "residual":
            return name.replace(".stages.", ".trunk.stages.")
        return re.sub(r"\.stages\.(\d)\.(\d)\.", lambda at: f".trunk.{3 * int(at[1]) + int(at[2])}.", name)

    return Checkpoint({change(name): tensor for name, tensor in model.tensors.items()}, model.header, "its/path")


@pytest.mark.parametrize("architecture", ["convolutional", "residual"])
def test_an_encoder_of_an_earlier_version_is_refused_with_the_command_that_trains_it_again(architecture):
    wgan_model, encoder_model = models(architecture)
    load_encoder(encoder_model, wgan_model, CPU)
    with pytest.raises(InputError, match=r"^its/path: .*train again with 'kedro run --pipelines encoder'"):
        load_encoder(of_earlier_version(encoder_model, architecture), wgan_model, CPU)


def test_a_residual_wgan_of_an_earlier_version_is_refused_with_the_command_that_trains_it_again():
    wgan_model, _ = models("residual")
    load_wgan(wgan_model, CPU)
    with pytest.raises(InputError, match=r"^its/path: .*train again with 'kedro run --pipelines wgan'"):
        load_wgan(of_earlier_version(wgan_model, "residual"), CPU)
