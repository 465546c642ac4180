"""Batches and corruption."""

import pytest
import torch

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.training.data import Batches, corrupt


def test_every_pass_shows_every_image_once():
    batches = Batches(10, 3, seed=5, parameter="wgan.batch_size")
    seen = torch.cat([batches.rows(k) for k in range(10)]).view(3, 10)
    assert all(sorted(one_pass.tolist()) == list(range(10)) for one_pass in seen)
    assert not torch.equal(seen[0], seen[1])


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    forwards, anew = Batches(50, 7, 1, "p"), Batches(50, 7, 1, "p")
    rows = [forwards.rows(k) for k in range(30)]
    assert torch.equal(anew.rows(29), rows[29])
    assert torch.equal(anew.rows(3), rows[3])
    assert not torch.equal(Batches(50, 7, 2, "p").rows(3), rows[3])


def test_a_batch_takes_no_more_room_than_its_own_rows():
    batches = Batches(10_000, 8, 0, "p")
    assert all(batches.rows(k).untyped_storage().nbytes() == 8 * 8 for k in (0, 5, 1249, 1250))


def test_a_batch_larger_than_the_data_is_refused_by_its_parameter():
    said = r"wgan\.batch_size: found 64, expected at most the 20 images .*; lower it or add pictures"
    with pytest.raises(InputError, match=said):
        Batches(20, 64, 0, "wgan.batch_size")


def test_corruption_blanks_its_share_of_whole_blocks():
    x = torch.ones(200, 1, 28, 28)
    blanked = corrupt(x, noise=0.0, blank=0.4, block=4, generator=torch.Generator().manual_seed(0), fill=-1.0)
    blocks = blanked.view(200, 7, 4, 7, 4).permute(0, 1, 3, 2, 4).reshape(-1, 16)
    assert torch.equal(blocks.min(1).values, blocks.max(1).values)
    assert abs((blocks[:, 0] == -1).float().mean() - 0.4) < 0.02
    assert torch.equal(x, torch.ones_like(x))


def test_images_of_any_shape_can_be_blanked_whole():
    x, generator = torch.ones(3, 3, 20, 37), torch.Generator().manual_seed(0)
    assert torch.equal(corrupt(x, 0.0, 1.0, 4, generator, -1.0), -x)


def test_corruption_adds_noise_of_its_deviation_and_nothing_at_zero():
    x, generator = torch.zeros(50, 1, 28, 28), torch.Generator().manual_seed(0)
    assert abs(corrupt(x, 2.0, 0.0, 4, generator, 0.0).std() - 2.0) < 0.05
    assert torch.equal(corrupt(x, 0.0, 0.0, 4, generator, 0.0), x)
