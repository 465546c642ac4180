"""Residual terms by hand and by the plain loop: a shift that costs nothing, neighbours, what is expected of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from benchmarks.cases import Case
from benchmarks.detectors import untrained, untrained_encoder
from benchmarks.plain import residuals, restore_one_at_a_time
from tests.parts import encoder_parameters, group, ones, wgan_parameters
from torch.utils._python_dispatch import TorchDispatchMode

from fanogan_pipeline.detection import training_set
from fanogan_pipeline.detection.expectation import fit_expectation, liveliness, ratio_name
from fanogan_pipeline.detection.localisation import residual_maps
from fanogan_pipeline.detection.neighbours import PRODUCTS, Neighbours, fit_neighbours, mean_distance, with_lengths
from fanogan_pipeline.detection.poses import posed
from fanogan_pipeline.detection.residual_law import fit_law
from fanogan_pipeline.detection.residuals import TERMS, residual_terms, tolerant_residual
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.statistics import fit_statistics
from fanogan_pipeline.detection.training_set import DISTANCES, fit_training_set
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks import NetworkSpec, pixel_range
from fanogan_pipeline.networks.pixels import to_pixels

POSES = group("scoring").poses


@pytest.mark.parametrize("architecture", ["convolutional", "reference", "residual"])
def test_residuals_of_networks_are_those_of_the_plain_loop(architecture):
    spec, images = NetworkSpec(architecture, (16, 16), 1, 4, 4), ones(10)[:, :, 6:22, 6:22]
    case = Case("default", spec, wgan_parameters(), encoder_parameters(), group("scoring"), images)
    wgan, encoder = untrained(case), untrained_encoder(case)
    found = {}
    for distance in ("squared", "absolute"):
        restorer = Restorer.of(wgan, encoder, distance, torch.device("cpu"))
        fitted = fit_statistics(images.numpy(), restorer, None, 4)
        found[distance] = residual_terms(images.numpy(), restorer, fitted, 4, TERMS)
    plain = residuals(to_pixels(images, pixel_range(spec)), wgan.generator, wgan.critic, encoder)
    for name, residual in zip(TERMS, plain, strict=True):
        assert found["squared"][name].to_numpy() == pytest.approx(residual.numpy(), rel=1e-3), name
    means = np.array(restore_one_at_a_time(images, spec, wgan.generator, encoder)) / images[0].numel()
    assert found["absolute"]["image_residual"].to_numpy() == pytest.approx(means, rel=1e-3)


def bar(left: int) -> torch.Tensor:
    """A bar two pixels wide, [1, 1, 16, 16]."""
    x = torch.full((1, 1, 16, 16), -1.0)
    x[..., left : left + 2] = 1
    return x


def test_a_shift_by_one_pixel_costs_nothing_and_by_more_something():
    assert tolerant_residual(bar(5), bar(6)).item() == 0
    assert tolerant_residual(bar(5), bar(8)).item() > 0
    assert tolerant_residual(bar(5), bar(5)).item() == 0


def test_a_stroke_too_many_costs_the_same_as_one_too_few():
    both = torch.maximum(bar(3), bar(10))
    assert tolerant_residual(both, bar(3)).item() == pytest.approx(tolerant_residual(bar(3), both).item())
    # a whole bar of 32 pixels is 2 above everything near it
    assert tolerant_residual(both, bar(3)).item() == pytest.approx(4 * 32 / 256)


def points_of(near: Neighbours) -> torch.Tensor:
    """The training images' coordinates in each pose, without their lengths."""
    return near.known[..., :-1]


def test_distance_from_neighbours_by_hand():
    points = torch.tensor([[[0.0, 0.0], [3.0, 4.0]], [[9.0, 9.0], [3.0, 3.0]]])  # two images, in two poses each
    basis = torch.diag(torch.tensor([1.0, 0.5]))
    near = Neighbours(torch.zeros(2), basis, with_lengths(points))
    views = torch.tensor([[0.0, 0.0], [3.0, 8.0], [3.0, 6.0]])
    # the mean distance to both, each in its nearer pose
    assert near.distance(views).tolist() == pytest.approx([18**0.5 / 2, 2.5, 18**0.5 / 2])
    assert mean_distance(near.coordinates(views), near.known, 1).tolist() == pytest.approx([0, 0, 0])


def test_distances_are_those_of_a_search_over_everything():
    rng = torch.Generator().manual_seed(0)
    points, views = torch.randn(3, 50, 8, generator=rng) + 30, torch.randn(20, 8, generator=rng) + 30
    near = Neighbours(torch.zeros(8), torch.eye(8), with_lengths(points))
    apart = torch.cdist(views.double(), points.double()).amin(0)  # far from nought, where squares are large
    assert near.distance(views).numpy() == pytest.approx(apart.sort(1).values[:, :3].mean(1).numpy(), rel=1e-3)


class Products(TorchDispatchMode):
    """Notes the size of every batched product of matrices."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.bmm.default:
            self.sizes.append(found.numel())
        return found


@pytest.mark.parametrize(("device", "batch", "launches"), [("cpu", 2, 22), ("meta", 256, 1), ("meta", 16_384, 3)])
def test_products_are_as_many_at_once_as_a_cache_holds_or_a_gpu_has_room_for(device, batch, launches):
    known = torch.zeros(7, 5394, 9, device=device)  # a device without memory stands in for a GPU
    with Products() as products:
        mean_distance(torch.zeros(batch, 8, device=device), known, 3)
    assert len(products.sizes) == launches
    assert sum(products.sizes) == batch * 7 * 5394
    assert max(products.sizes) <= (batch * 7 * 256 if device == "cpu" else PRODUCTS)


def test_fitted_coordinates_keep_the_root_of_each_deviation():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 1, 4, 4)).astype(np.uint8)
    mixing = torch.tensor(rng.normal(size=(16, 3)), dtype=torch.float32)
    restorer = that_sees(lambda x: x.flatten(1) @ mixing, lambda x: x.flatten(1)[:, :2])
    near, other = fit_neighbours(images, restorer, 64, POSES)
    view = restorer.encoder.see(torch.from_numpy(images).float() / 127.5 - 1)[0][0]
    largest_first = torch.linalg.eigvalsh(torch.cov(view.T)).flip(0)
    assert torch.cov(points_of(near)[0].T).numpy() == pytest.approx(np.diag(largest_first.sqrt()), rel=0.02, abs=0.02)
    assert near.coordinates(view[:5]).numpy() == pytest.approx(points_of(near)[0, :5].numpy(), abs=1e-4)
    assert points_of(near).shape == (1 + len(POSES), 400, 3)
    assert points_of(other).shape == (1 + len(POSES), 400, 2)


def test_no_more_dimensions_than_images_tell_apart():
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 4)).astype(np.uint8)
    near, _ = fit_neighbours(images, that_sees(lambda x: x.flatten(1), lambda x: x.flatten(1)), 64)
    assert points_of(near).shape == (1, 5, 4)
    assert torch.isfinite(near.distance(torch.zeros(2, 16))).all()


def test_a_residual_s_distance_is_mahalanobis_under_a_law_of_few_dimensions():
    rng = torch.Generator().manual_seed(0)
    deviations = torch.tensor([9.0, 4.0, *[0.5] * 22])
    view = torch.randn(4000, 24, generator=rng) * deviations + 3
    law = fit_law(view)
    covariance = law.components @ torch.diag(law.variances - law.outside) @ law.components.T
    covariance += law.outside * torch.eye(24)
    assert covariance.numpy() == pytest.approx(torch.cov(view.T).numpy(), abs=0.12 * 9)
    gaps = (view[:50] - law.mean).double()
    by_hand = (gaps @ torch.linalg.inv(covariance.double()) * gaps).sum(1).sqrt()
    assert law.distance(view[:50]).numpy() == pytest.approx(by_hand.numpy(), rel=1e-4)
    assert float(law.distance(view).square().mean()) == pytest.approx(24, rel=0.02)  # its expectation under the law


@pytest.mark.parametrize(("count", "units"), [(2, 30), (5, 3), (40, 1000)])
def test_few_images_or_units_give_a_law_too(count, units):
    view = torch.randn(count, units, generator=torch.Generator().manual_seed(0))
    found = fit_law(view).distance(torch.cat([view, view + 5]))
    assert torch.isfinite(found).all()
    assert (found[count:] > found[:count]).all()
    assert torch.isfinite(fit_law(torch.zeros(count, units)).distance(view)).all()


def test_a_training_image_in_another_pose_is_no_distance_away():
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    images = ((x + 1) * 127.5).round().to(torch.uint8)
    near, _ = fit_neighbours(images.numpy(), that_sees(lambda x: x.flatten(1), lambda x: x.flatten(1)), 3, POSES)
    x = images.float() / 127.5 - 1
    for there in (x, *(posed(x, pose) for pose in POSES)):
        assert mean_distance(near.coordinates(there.flatten(1)), near.known, 1).numpy() == pytest.approx(0, abs=1e-3)


def test_poses_by_hand():
    x = torch.zeros(2, 1, 28, 56)
    x[..., 14, 20] = 1
    found = {pose: posed(x, pose) for pose in POSES}
    # a twenty-eighth of the width to the side is two pixels of 56, nothing is lost
    assert found[0.0, 0.035714][0, 0, 14, 18].item() == pytest.approx(1, abs=1e-3)
    assert found[0.0, -0.035714][1, 0, 14, 22].item() == pytest.approx(1, abs=1e-3)
    # a turn keeps the distance from the middle, (13.5, 27.5), also where height and width differ
    for degrees in (-15.0, 15.0):
        turned = found[degrees, 0.0][0, 0]
        rows, columns = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(56) - 27.5, indexing="ij")
        centre = torch.stack([(turned * rows).sum(), (turned * columns).sum()]) / turned.sum()
        assert centre.norm().item() == pytest.approx((0.5**2 + 7.5**2) ** 0.5, abs=0.2)
        angle = torch.rad2deg(torch.atan2(centre[0], -centre[1]) - torch.atan2(torch.tensor(0.5), torch.tensor(7.5)))
        assert abs(angle.item()) == pytest.approx(15, abs=1)


def test_what_comes_in_from_outside_repeats_the_edge():
    x = torch.full((1, 1, 28, 28), 0.5)
    assert all(posed(x, pose).numpy() == pytest.approx(0.5, abs=1e-6) for pose in POSES)


def that_sees(*views) -> SimpleNamespace:
    """What stands for a restorer whose encoder has these views of an image."""
    return SimpleNamespace(
        encoder=SimpleNamespace(see=lambda x: (tuple(view(x) for view in views), None)),
        pixel_range=(-1.0, 1.0),
        device=torch.device("cpu"),
    )


def test_liveliness_by_hand():
    x = torch.zeros(1, 1, 2, 4)
    x[..., 2:] = 1  # one step of height 1 in each row's three, none down; half of the pixels are 1
    assert liveliness(x).exp().tolist() == [pytest.approx([1 / 3, 0.25])]
    assert liveliness(torch.zeros(1, 3, 5, 5)).exp().tolist() == [pytest.approx([1e-6, 1e-6])]


def lively_images(strength: torch.Tensor) -> torch.Tensor:
    """Stripes of a strength each, [N, 1, 8, 8]."""
    return strength[:, None, None, None] * (torch.arange(8) % 2).expand(len(strength), 1, 8, 8)


def test_a_distance_is_measured_against_what_is_expected_of_an_image_as_lively():
    strength = torch.linspace(0.5, 2, 2000)
    x = lively_images(strength)
    expectation = fit_expectation(strength.double() ** 1.5, liveliness(x))
    # distances that grow as strength ** 1.5 are just what is expected
    assert expectation.distance(liveliness(x[:1900])).numpy() == pytest.approx(strength[:1900].numpy() ** 1.5, rel=0.01)
    # plainer than all: as the plainest; livelier than nineteen in twenty: as the liveliest of those
    beyond = expectation.distance(liveliness(lively_images(torch.tensor([0.01, 0.5, 1.925, 50.0]))))
    assert beyond.tolist() == pytest.approx([0.5**1.5, 0.5**1.5, 1.925**1.5, 1.925**1.5], rel=0.01)


def test_noise_is_not_expected_farther_than_lively_normal_images_are():
    """Where distances fall with the variance, an image of high steps and little variance is like no normal one."""
    generator = torch.Generator().manual_seed(0)
    lively = torch.randn(500, 2, generator=generator, dtype=torch.float64) * 0.3
    distances = (1.0 * lively[:, 0] - 0.5 * lively[:, 1]).exp()
    expectation = fit_expectation(distances, lively)
    corner = torch.stack([lively[:, 0].max(), lively[:, 1].min()])
    assert (corner - lively).abs().sum(1).min() > 0.1  # no normal image lies there
    assert expectation.distance(corner[None]).item() <= distances.quantile(0.96)
    assert expectation.distance(-corner[None]).item() >= 0.99 * distances.min()


def test_images_all_as_lively_are_expected_at_their_mean_distance():
    x = lively_images(torch.ones(2))
    expectation = fit_expectation(torch.tensor([1.0, 4.0], dtype=torch.float64), liveliness(x))
    assert expectation.distance(liveliness(x)).tolist() == pytest.approx([2.0, 2.0])


def test_a_direction_in_which_training_images_do_not_vary_is_not_blown_up():
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
    images[:, 0, 0, 1] = 100  # the view's second unit is the same in all
    near, _ = fit_neighbours(images, that_sees(*[lambda x: x.flatten(1)[:, :2]] * 2), 64)
    variance = float(torch.from_numpy(images[:, 0, 0, 0] / 127.5 - 1).var())
    # it counts as one with a thousandth of the mean variance
    assert near.basis.norm(dim=0).tolist() == pytest.approx(
        [(1.0005 * variance) ** -0.25, (0.0005 * variance) ** -0.25], rel=1e-4
    )


@pytest.fixture(scope="module")
def restorer():
    spec = NetworkSpec("convolutional", (28, 28), 1, 4, 4)
    case = Case("default", spec, wgan_parameters(), encoder_parameters(), group("scoring"), ones(1))
    return Restorer.of(untrained(case), untrained_encoder(case), "squared", torch.device("cpu"))


def test_training_images_count_in_each_pose_and_evenly_from_the_first_to_the_last(restorer, monkeypatch):
    images = ones(60).numpy()
    monkeypatch.setattr(training_set, "MOST_IMAGES", 7)
    known = fit_training_set(images, restorer, 16, POSES)
    assert {points_of(near).shape[:2] for near in known.neighbours} == {(1 + len(POSES), 7)}
    with torch.inference_mode():
        views, _ = restorer.see(next(batches(images[[0, 59, 1]], restorer, 3)))
    for near, view in zip(known.neighbours, views, strict=True):
        first, last, other = mean_distance(near.coordinates(view), near.known, 1).tolist()
        assert max(first, last) < 1e-3 * other


def test_ratios_are_each_distance_over_what_its_own_kind_is_expected_to_be(restorer):
    train, selection, new = (part.numpy() for part in ones(150).split(50))
    statistics = fit_statistics(selection, restorer, fit_training_set(train, restorer, 16), 16)
    apart, found = (residual_terms(images, restorer, statistics, 16) for images in (selection, new))
    lively, ours = (liveliness(next(batches(images, restorer, 50))) for images in (selection, new))
    for name in DISTANCES:
        expected = fit_expectation(torch.tensor(apart[name].to_numpy()), lively).distance(ours)
        assert found[ratio_name(name)].to_numpy() == pytest.approx((found[name] / expected.numpy()).to_numpy()), name


def test_training_images_that_another_encoder_has_seen_are_refused(restorer):
    images = ones(40).numpy()
    near, _ = fit_training_set(images, restorer, 16).neighbours
    with pytest.raises(InputError, match=r"residual_statistics: found \d+ units .*, expected 7; run 'kedro run --pipe"):
        near.distance(torch.zeros(2, 7))


def test_the_feature_distance_is_by_the_law_of_signed_residuals(restorer):
    train, new = (part.numpy() for part in ones(150).split(100))
    statistics = fit_statistics(new, restorer, fit_training_set(train, restorer, 16), 16)
    with torch.inference_mode():
        x, y = (next(batches(images, restorer, 100)) for images in (train, new))
        known, ours = (restorer.feature_residual(z, restorer.wgan.generator(restorer.encoder(z))) for z in (x, y))
    found = residual_terms(new, restorer, statistics, 16, {"feature_distance"})["feature_distance"]
    assert found.to_numpy() == pytest.approx(fit_law(known).distance(ours).numpy(), rel=1e-3)


@pytest.mark.parametrize("is_aligned", [True, False])
def test_an_image_has_the_same_terms_and_map_to_the_last_bit_in_any_company(restorer, is_aligned):
    images = ones(40).numpy()
    statistics = fit_statistics(images, restorer, fit_training_set(images, restorer, 16), 16, is_aligned)

    def measured(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        maps = residual_maps(some, restorer, statistics.maps, 16)
        return residual_terms(some, restorer, statistics, 16).to_numpy(), np.concatenate(list(maps))

    every_term, every_map = measured(images)
    for part in (slice(3, 4), slice(3, 5), slice(5, 12), slice(0, 33), slice(None, None, -1)):
        terms, maps = measured(images[part])
        assert np.array_equal(terms, every_term[part])
        assert np.array_equal(maps, every_map[part])
