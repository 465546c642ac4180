"""What the map of a surface is made of, from untrained networks, against the same by hand."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from fanogan_pipeline.detection import surface_map
from fanogan_pipeline.detection.local_law import RIDGE
from fanogan_pipeline.detection.localisation import fit_map_statistics, residual_maps
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.surface_map import SCALES, evened
from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_encoder, build_generator


def untrained(side):
    torch.manual_seed(0)
    spec = NetworkSpec("convolutional", (side, side), 1, 4, 4)
    wgan = Wgan(spec, "normal", build_generator(spec).eval(), build_critic(spec).eval())
    return Restorer(wgan, build_encoder(spec, "linear").eval(), "squared", torch.device("cpu"))


@pytest.fixture(scope="module")
def restorer():
    return untrained(32)


def grain(count, seed=0, least=90, most=160):
    return np.random.default_rng(seed).integers(least, most, (count, 1, 32, 32), np.uint8)


def maps_of(images, restorer, fitted):
    return np.concatenate(list(residual_maps(images, restorer, fitted, 32)))


def distances(values, centre):
    """(v - c)^T S^-1 (v - c) / C with S the covariance about c and its ridge, float64 [N, H, W]."""
    gaps = (values - centre).reshape(-1, values.shape[-1])
    covariance = gaps.T @ gaps / len(gaps)
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return (gaps @ np.linalg.inv(covariance) * gaps).mean(1).reshape(values.shape[:-1])


def test_a_map_is_the_distance_of_the_views_strengths_from_those_of_the_selection_set(restorer):
    images = grain(40)
    fitted = fit_map_statistics(images, restorer, 32, is_aligned=False)
    x = next(batches(images, restorer, len(images)))
    with torch.inference_mode():
        restored = restorer.wgan.generator(restorer.encode(x))
        ours, theirs = (restorer.wgan.critic.features(some) for some in (x, restored))
        around = [
            np.pad(some[:, 0].numpy(), ((0, 0), (2, 2), (2, 2)), "reflect")
            for some in (x, functional.avg_pool2d(x, 2), x - restored)
        ]
    windows = [np.lib.stride_tricks.sliding_window_view(some, (5, 5), (1, 2)) for some in around]
    layers = [*ours[:2], *(own - other for own, other in zip(ours[:2], theirs[:2], strict=True))]
    views = [some.reshape(*some.shape[:3], 25) for some in windows] + [some.movedim(1, -1).numpy() for some in layers]
    assert len(ours) == 3
    assert len(views) == 7
    strengths = []
    for view in views:
        found = torch.from_numpy(distances(view.astype(np.float64), view.mean((0, 1, 2), dtype=np.float64)))[:, None]
        place = functional.interpolate(found, (32, 32), mode="bilinear")[:, 0].numpy()
        for sigma in SCALES:
            radius = (0, int(3 * sigma), int(3 * sigma))
            strengths.append((sigma, gaussian_filter(place, (0, sigma, sigma), mode="mirror", radius=radius)))
    by_scale = [found for sigma in SCALES for scale, found in strengths if scale == sigma]
    values = evened(torch.from_numpy(np.stack(by_scale, -1))).numpy()
    plain = distances(values, values.mean((0, 1, 2)))
    assert maps_of(images, restorer, fitted) == pytest.approx(plain / plain.mean(), rel=2e-3)


def test_lack_and_excess_of_strength_count_from_nought_at_what_normal_images_have():
    found = evened(torch.tensor([0.0, 1e-3, 0.5, 1.0, 4.0, 100.0])).tolist()
    assert found == pytest.approx([np.log(1e-3), np.log(1e-3), np.log(0.5), 0.0, 2.0, 18.0])
    slopes = torch.func.vmap(torch.func.grad(evened))(torch.tensor([0.999999, 1.000001]))
    assert slopes.tolist() == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.parametrize("change", ["smooth", "bright", "rough"])
def test_a_place_that_is_too_smooth_stands_out_as_one_that_is_too_bright_or_too_rough_does(restorer, change):
    fitted = fit_map_statistics(grain(60), restorer, 32, is_aligned=False)
    images = grain(8, 1)
    place = images[:, :, 10:18, 10:18]
    if change == "smooth":
        place[:] = place.mean((2, 3), keepdims=True).astype(np.uint8)
    else:
        place[:] = place + 60 if change == "bright" else grain(8, 2, 40, 210)[:, :, 10:18, 10:18]
    found = maps_of(images, restorer, fitted)
    inside, outside = found[:, 12:16, 12:16].mean((1, 2)), found[:, 26:, 26:].mean((1, 2))
    assert (inside > 3 * outside).all()


def test_maps_do_not_depend_on_the_batches_they_are_fitted_in(restorer):
    images = grain(40)
    one, other = (maps_of(images, restorer, fit_map_statistics(images, restorer, size, False)) for size in (7, 64))
    assert one == pytest.approx(other, rel=1e-3)


def test_the_half_of_an_odd_side_holds_its_rim_too():
    small = untrained(17)
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 17, 17), np.uint8)
    fitted = fit_map_statistics(images, small, 32, is_aligned=False)
    changed = images.copy()
    changed[:, :, -1] = 255
    whole, cut = (surface_map._views(next(batches(some, small, 20)), small)[1] for some in (changed, images))
    assert whole.shape == (20, 9, 9, 25)
    assert not torch.equal(whole[:, -1], cut[:, -1])
    assert np.isfinite(maps_of(images, small, fitted)).all()


def test_surroundings_reach_no_farther_than_the_image():
    weights = surface_map._gaussian(4, 6.0)
    assert weights.sum(1).tolist() == pytest.approx([1] * 4)
    assert weights.shape == (4, 4)
