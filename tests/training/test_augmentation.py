"""Random changes to training images."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fanogan_pipeline.parameters import AugmentationParameters
from fanogan_pipeline.training.augmentation import Augmenter, shifted

RANGE = (-1.0, 1.0)
ALL = AugmentationParameters(flip_horizontal=True, flip_vertical=True, shift=2, brightness=0.1, contrast=0.4)


@pytest.fixture
def x():
    return torch.rand((40, 1, 6, 8), generator=torch.Generator().manual_seed(0)) - 0.5


def same(a, b):
    return (a == b).flatten(1).all(1)


def test_off_changes_nothing(x):
    assert Augmenter(None, 1, RANGE)(x, 0) is x
    assert torch.equal(Augmenter(AugmentationParameters(), 1, RANGE)(x, 0), x)


def test_a_batch_is_changed_by_its_number_alone_and_every_batch_in_another_way(x):
    augment = Augmenter(AugmentationParameters(flip_horizontal=True, shift=2, brightness=0.1, contrast=0.2), 1, RANGE)
    first, second = augment(x, 5), augment(x, 6)
    again = Augmenter(augment.p, 1, RANGE)(x, 5)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, Augmenter(augment.p, 2, RANGE)(x, 5))


@pytest.mark.parametrize(("flag", "axis"), [("flip_horizontal", 3), ("flip_vertical", 2)])
def test_about_every_second_image_is_mirrored(x, flag, axis):
    found = Augmenter(AugmentationParameters(**{flag: True}), 1, RANGE)(x, 0)
    kept, mirrored = same(found, x), same(found, x.flip(axis))
    assert (kept | mirrored).all()
    assert 8 <= int(mirrored.sum()) <= 32


def test_shifting_moves_each_image_and_repeats_its_edge(x):
    moved = shifted(x[:2], torch.tensor([[2, 0], [0, -3]]))
    assert torch.equal(moved[0, 0, 2:], x[0, 0, :-2])
    assert torch.equal(moved[0, 0, :3], x[0, 0, :1].expand(3, -1))
    assert torch.equal(moved[1, 0, :, :-3], x[1, 0, :, 3:])


def test_light_changes_within_its_limits_and_the_pixel_range(x):
    found = Augmenter(AugmentationParameters(brightness=0.1), 1, RANGE)(x, 0)
    offset = (found - x).flatten(1)
    assert offset.std(1).max() < 1e-6
    assert 0.1 < offset.abs().max() <= 0.2 + 1e-6
    bright = Augmenter(AugmentationParameters(brightness=0.5, contrast=0.9), 1, RANGE)(x * 2, 0)
    assert bright.abs().max() <= 1


def test_images_are_shifted_either_way_and_no_farther_than_asked():
    x = torch.zeros(60, 1, 9, 9)
    x[:, :, 4, 4] = 1
    found = Augmenter(AugmentationParameters(shift=2), 1, RANGE)(x, 0)
    for place in found[:, 0].nonzero()[:, 1:].T:
        assert set((place - 4).tolist()) == {-2, -1, 0, 1, 2}


def test_contrast_rises_or_falls_about_the_middle_of_the_pixel_range(x):
    away = x / 2  # from the middle of the range below, so that nothing is cut off
    found = Augmenter(AugmentationParameters(contrast=0.4), 1, (0.0, 1.0))(away + 0.5, 0) - 0.5
    factor = (found * away).sum((1, 2, 3)) / away.square().sum((1, 2, 3))
    assert torch.allclose(found, away * factor[:, None, None, None], atol=1e-6)
    assert 0.6 <= factor.min() < 0.8
    assert 1.2 < factor.max() <= 1.4


def test_a_batch_is_changed_as_its_seed_always_has(x):
    rng = torch.Generator().manual_seed(3 * 1_000_003 + 5)
    draw = lambda: torch.rand((len(x), 1, 1, 1), generator=rng)  # noqa: E731
    wanted = torch.where(draw() < 0.5, x.flip(3), x)
    wanted = torch.where(draw() < 0.5, wanted.flip(2), wanted)
    wanted = shifted(wanted, torch.randint(-2, 3, (2, len(x)), generator=rng))
    factor, offset = 1 + ALL.contrast * (2 * draw() - 1), ALL.brightness * 2.0 * (2 * draw() - 1)
    assert torch.equal(Augmenter(ALL, 3, RANGE)(x, 5), (wanted * factor + offset).clamp(-1, 1))


class Sent(TorchDispatchMode):
    """Counts what goes to a device without memory, which stands in for a GPU."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        self.count += func is torch.ops.aten._to_copy.default and args[0].device != found.device
        return found


def test_all_that_a_batch_draws_goes_to_its_device_at_once(x):
    there = x.to("meta")
    with Sent() as sent:
        assert Augmenter(ALL, 1, RANGE)(there, 0).shape == x.shape
    assert sent.count == 1
