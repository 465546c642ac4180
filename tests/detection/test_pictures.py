"""Maps and terms of whole pictures, from untrained networks: what matters here is how they are put together."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from fanogan_pipeline.detection.expectation import ratio_name
from fanogan_pipeline.detection.local_law import RIDGE, distances
from fanogan_pipeline.detection.localisation import MapStatistics, fit_map_statistics, residual_maps, smoothed
from fanogan_pipeline.detection.picture_maps import (
    Pooling,
    _map_terms,
    fit_picture_statistics,
    fit_rim,
    picture_maps,
    picture_terms,
    rim_distance,
)
from fanogan_pipeline.detection.pictures import framed, picture_table, sample
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.detection.restoration_map import RestorationMap, _residuals
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.statistics import ResidualStatistics, fit_statistics
from fanogan_pipeline.detection.surface_map import SurfaceMap
from fanogan_pipeline.detection.training_set import DISTANCES, fit_training_set
from fanogan_pipeline.images import ImageSet, Tiles
from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_encoder, build_generator
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.tiling import Tiling

GEOMETRY = Geometry((16, 16), 1, tiling=Tiling((8, 8)))
TOP = Pooling("top_share", 0.1, 1.0)


@pytest.fixture(scope="module")
def restorer():
    torch.manual_seed(0)
    spec = NetworkSpec("convolutional", (16, 16), 1, 4, 4)
    wgan = Wgan(spec, "normal", build_generator(spec).eval(), build_critic(spec).eval())
    return Restorer(wgan, build_encoder(spec, "linear").eval(), "squared", torch.device("cpu"))


def pictures(count, seed, sizes=((30, 41), (16, 16), (25, 17))):
    rng = np.random.default_rng(seed)
    return [rng.integers(90, 160, sizes[k % len(sizes)]).astype(np.uint8) for k in range(count)]


def tiled(found):
    cuts = [GEOMETRY.cut(picture) for picture in found]
    counts = [len(tiles) for tiles, _, _ in cuts]
    top, left = np.concatenate([corners for _, corners, _ in cuts]).astype(np.int32).T
    sizes = np.array([size for _, _, size in cuts], np.int32).repeat(counts, axis=0)
    names = np.array([f"p{k}" for k in range(len(found))]).repeat(counts)
    return np.concatenate([tiles for tiles, _, _ in cuts]), Tiles(names, top, left, sizes[:, 0], sizes[:, 1])


def statistics_of(images, restorer, is_aligned=True):
    return fit_statistics(images, restorer, fit_training_set(images, restorer, 32), 32, is_aligned)


@pytest.fixture(scope="module")
def statistics(restorer):
    return statistics_of(tiled(pictures(9, 1))[0], restorer)


def test_a_picture_has_one_map_of_its_own_size_whatever_the_batch(restorer, statistics):
    found = pictures(5, 2)
    images, tiles = tiled(found)
    maps = list(picture_maps(images, tiles, restorer, statistics, 7, 1.5))
    assert [m.shape for m in maps] == [picture.shape for picture in found]
    for ours, theirs in zip(maps, picture_maps(images, tiles, restorer, statistics, 64, 1.5), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    alone = next(picture_maps(*tiled(found[3:4]), restorer, statistics, 64, 1.5))
    assert alone == pytest.approx(maps[3], rel=1e-3)


def test_maps_of_the_selection_set_are_at_level_one_and_a_blot_stands_out_where_it_is(restorer, statistics):
    images, tiles = tiled(pictures(9, 1))
    level = np.mean([m.mean() for m in picture_maps(images, tiles, restorer, statistics, 32, 0)])
    assert level == pytest.approx(1, abs=0.25)
    blotted = pictures(1, 3)[0]
    blotted[18:24, 28:34] = 255
    found = next(picture_maps(*tiled([blotted]), restorer, statistics, 32, 1.0))
    inside = np.zeros(found.shape, bool)
    inside[16:26, 26:36] = True
    assert found[inside].mean() > 3 * np.median(found)
    assert inside[np.unravel_index(found.argmax(), found.shape)]


def test_terms_that_are_wanted_are_those_of_all(restorer, statistics):
    images, _ = tiled(pictures(4, 4))
    every = residual_terms(images, restorer, statistics, 32)
    some = residual_terms(images, restorer, statistics, 32, {"neighbour_ratio_late", "feature_ratio"})
    assert set(some) == {"neighbour_ratio_late", "feature_ratio"}
    assert some.equals(every[list(some)])


def test_the_critic_is_asked_only_where_a_term_needs_it(restorer, statistics, monkeypatch):
    images, _ = tiled(pictures(4, 4))

    def refuse(x):
        raise AssertionError("asked")

    monkeypatch.setattr(restorer.wgan.critic, "features", refuse)
    assert len(residual_terms(images, restorer, statistics, 32, {"image_residual", "latent_residual"})) == len(images)
    with pytest.raises(AssertionError, match="asked"):
        residual_terms(images, restorer, statistics, 32, {"feature_residual"})


def test_terms_are_pooled_over_the_tiles_of_each_picture(restorer, statistics):
    images, tiles = tiled(pictures(4, 4))
    each = residual_terms(images, restorer, statistics, 32)["image_residual"].to_numpy()
    for pooling, pool in ((Pooling("mean", 1.0, 0), np.mean), (Pooling("maximum", 1.0, 0), np.max)):
        terms = picture_terms(images, tiles, restorer, statistics, 32, pooling, with_map=False)
        assert terms["image_residual"].to_numpy() == pytest.approx([pool(each[run]) for run in tiles.runs()])
        assert "map_residual" not in terms


def test_the_maps_terms_are_its_pooled_and_its_largest_value(restorer, statistics):
    images, tiles = tiled(pictures(3, 5))
    terms = picture_terms(images, tiles, restorer, statistics, 32, TOP, with_map=True)
    for row, found in enumerate(picture_maps(images, tiles, restorer, statistics, 32, TOP.smoothing)):
        count = int(np.ceil(0.1 * found.size))
        assert terms["map_maximum"][row] == pytest.approx(found.max(), rel=1e-5)
        pooled = np.sort(found.ravel())[-count:].mean()
        assert terms["map_residual"][row] == pytest.approx(pooled, rel=1e-4)
        assert terms["map_contrast"][row] == pytest.approx(pooled / np.median(found), rel=1e-4)


def test_whole_pictures_have_the_terms_and_maps_of_their_images(restorer, statistics):
    images = tiled(pictures(3, 6))[0]
    plain = picture_terms(images, None, restorer, statistics, 32, TOP, with_map=True)
    assert len(plain) == len(images)
    assert plain["image_residual"].equals(residual_terms(images, restorer, statistics, 32)["image_residual"])
    raw = np.concatenate(list(residual_maps(images, restorer, statistics.maps, 32)))
    assert plain["map_maximum"][2] == pytest.approx(smoothed(raw[2], TOP.smoothing).max(), rel=1e-5)


def test_only_aligned_images_have_a_level_for_each_pixel(restorer):
    images = tiled(pictures(9, 1))[0]
    own, one = (statistics_of(images, restorer, aligned).maps.level for aligned in (True, False))
    assert own.shape == one.shape == (16, 16)
    assert own.std() > 0
    assert float(one.std()) == pytest.approx(0, abs=1e-6)


def test_towards_the_rim_maps_are_as_level_and_as_steady_as_in_the_middle(restorer, statistics):
    images, tiles = tiled(pictures(60, 8, sizes=((40, 47),)))
    fitted = fit_rim(images, tiles, restorer, statistics, 256, 1.0)

    def spread(used):
        maps = np.stack(list(picture_maps(images, tiles, restorer, used, 256, 1.0)))
        distance = rim_distance(maps.shape[1:], 8)
        parts = [maps[:, distance == d] for d in range(9)]
        return np.array([part.mean() for part in parts]), np.array([part.std() for part in parts])

    mean, deviation = spread(fitted)
    assert mean == pytest.approx(np.ones(9), abs=0.02)
    assert deviation == pytest.approx(np.full(9, deviation[-1]), rel=0.05)
    assert spread(statistics)[1].max() > 1.1 * spread(statistics)[1].min()
    again = ResidualStatistics.from_checkpoint(fitted.to_checkpoint({}))
    assert torch.equal(again.maps.rim, fitted.maps.rim)


def test_distances_from_the_rim():
    assert rim_distance((3, 5), 9).tolist() == [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    assert rim_distance((40, 40), 4).max() == 4


def test_statistics_survive_the_checkpoint(statistics):
    again = ResidualStatistics.from_checkpoint(statistics.to_checkpoint({}))
    assert isinstance(again.maps, MapStatistics)
    assert same(again.maps.tensors(), statistics.maps.tensors())


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("is_aligned", [True, False])
def test_the_measure_of_a_map_survives_the_checkpoint(restorer, is_aligned):
    fitted = fit_map_statistics(tiled(pictures(9, 1))[0], restorer, 32, is_aligned)
    again = MapStatistics.from_tensors(fitted.tensors())
    assert type(again.measure) is (RestorationMap if is_aligned else SurfaceMap)
    assert same(again.tensors(), fitted.tensors())


def test_statistics_move_to_a_device_whole(statistics):
    moved = statistics.to(torch.device("meta"))
    known = moved.training_set
    held = [*moved.maps.measure.laws, known.law, *known.neighbours, *moved.expectations.values()]
    tensors = [moved.maps.level, moved.maps.rim, *(tensor for part in held for tensor in vars(part).values())]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.expectations.keys() == statistics.expectations.keys()


def test_without_a_training_set_there_are_the_same_terms_but_for_the_distances(restorer, statistics):
    images = tiled(pictures(6, 3))[0]
    bare = fit_statistics(tiled(pictures(9, 1))[0], restorer, None, 32)
    again = ResidualStatistics.from_checkpoint(bare.to_checkpoint({}))
    assert again.training_set is None
    found, whole = residual_terms(images, restorer, again, 32), residual_terms(images, restorer, statistics, 32)
    assert set(whole) - set(found) == {*DISTANCES, *map(ratio_name, DISTANCES)}
    for name in found:
        assert (found[name] == whole[name]).all(), name


def test_the_table_names_pictures_once_in_order():
    images, tiles = tiled(pictures(3, 7))
    labels = np.array([{"p0": "good", "p1": "hole", "p2": "good"}[name] for name in tiles.picture_id])
    table = picture_table(ImageSet(images, labels, labels != "good", tiles.image_id, tiles=tiles))
    assert table.to_dict("list") == {
        "image_id": ["p0", "p1", "p2"],
        "label": ["good", "hole", "good"],
        "is_anomaly": [False, True, False],
    }


def test_smoothing_keeps_the_mean_of_a_constant_and_spreads_a_point():
    assert smoothed(np.full((9, 5), 3, np.float32), 2.0) == pytest.approx(3)
    point = np.zeros((31, 31), np.float32)
    point[15, 15] = 1
    spread = smoothed(point, 2.0)
    assert spread.sum() == pytest.approx(1, rel=1e-5)
    rows = np.arange(31) - 15
    assert np.sqrt((spread.sum(1) * rows**2).sum()) == pytest.approx(2.0, rel=0.05)


def test_a_sample_holds_good_pictures_as_well():
    is_anomaly = np.arange(100) >= 40
    rows = sample(is_anomaly, 20, 0)
    assert len(set(rows)) == 20
    assert is_anomaly[rows].sum() == 15
    assert len(sample(np.ones(5, bool), 20, 0)) == 5
    assert sample(is_anomaly, 0, 0).size == 0


def test_pictures_of_different_sizes_share_a_frame():
    frame = framed([np.ones((1, 2, 3)), np.full((1, 4, 1), 5)], 9)
    assert frame.shape == (2, 1, 4, 3)
    assert frame[1, 0].tolist() == [[5, 9, 9]] * 4


def test_a_place_is_as_far_off_as_its_residual_is_unusual_in_the_selection_set(restorer):
    """(r - m)^T S^-1 (r - m) / C of each view at the image's size; a view weighs half of what the one before does."""
    images = tiled(pictures(3, 1))[0]
    fitted = fit_map_statistics(images, restorer, 32)
    x = next(batches(images, restorer, len(images)))
    with torch.inference_mode():
        views = _residuals(x, restorer)
        found = distances(fitted.measure.laws, views, (16, 16))
    by_hand = []
    for view in views:
        residual = view.double().numpy()
        rows = residual.reshape(-1, residual.shape[-1])
        covariance = np.cov(rows.T, bias=True)
        covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        gaps = rows - rows.mean(0)
        distance = (gaps @ np.linalg.inv(covariance) * gaps).mean(1).reshape(len(x), 1, *view.shape[1:3])
        by_hand.append(functional.interpolate(torch.from_numpy(distance), (16, 16), mode="bilinear")[:, 0].numpy())
    assert found.numpy() == pytest.approx(np.stack(by_hand, 1), rel=1e-3)
    assert len(by_hand) == 3
    maps = np.concatenate(list(residual_maps(images, restorer, fitted, 32)))
    assert maps * fitted.level.numpy() == pytest.approx(np.tensordot([4 / 7, 2 / 7, 1 / 7], by_hand, 1), rel=1e-3)


def test_the_level_of_few_images_is_drawn_to_the_mean_of_all(restorer):
    images = tiled(pictures(3, 1))[0]
    own = fit_map_statistics(images, restorer, 32)
    with torch.inference_mode():
        found = own.measure.at(next(batches(images, restorer, len(images))), restorer).double().numpy()
    level = (found.sum(0) + 16 * found.mean()) / (len(images) + 16)
    assert own.level.numpy() == pytest.approx(np.maximum(level, 0.5 * found.mean()), rel=1e-4)


def test_a_map_that_is_nought_throughout_has_terms_of_nought():
    assert _map_terms(np.zeros(100, np.float32), TOP) == (0.0, 0.0, 0.0)


def test_where_normal_images_have_nothing_half_of_the_mean_level_counts(restorer):
    images = np.full((60, 1, 16, 16), 128, np.uint8)
    images[:, :, 2:6, 2:6] = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4))
    fitted = fit_map_statistics(images, restorer, 32)
    level = fitted.level.numpy()
    maps = np.concatenate(list(residual_maps(images, restorer, fitted, 32)))
    assert level.min() == pytest.approx((maps * level).mean() / 2, rel=1e-4)
    assert (level == level.min()).mean() > 0.2


def test_tiles_have_a_rim_and_one_level_and_whole_pictures_a_level_for_each_pixel(restorer):
    images, tiles = tiled(pictures(9, 1))
    for cut in (tiles, None):
        named = np.full(len(images), "good"), np.zeros(len(images), bool), tiles.image_id
        selection = ImageSet(images, *named, tiles=cut)
        maps = fit_picture_statistics(selection, restorer, None, 32, 1.0).maps
        assert (maps.rim.numel() > 0) == (float(maps.level.std()) < 1e-6) == (cut is not None)
