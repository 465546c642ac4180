"""Pixel metrics from histograms against those computed outright."""

import numpy as np
import pytest
from scipy.ndimage import label
from sklearn.metrics import f1_score, roc_auc_score

from fanogan_pipeline.detection.pixel_metrics import PixelCounts, count_pixels, pixel_metrics, value_bins


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    masks = [np.zeros((20 + k, 30), bool) for k in range(4)]
    masks[0][3:9, 4:8] = masks[0][12:14, 10:28] = True
    masks[1][5, 5] = masks[2][:, 29] = True
    maps = [rng.gamma(2.0, 1.0, mask.shape) + 2.0 * mask for mask in masks]
    return maps, masks, np.array([True, True, True, False])


def flat(maps, masks):
    return np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks])


def test_pixel_auroc_and_dice_are_those_of_scikit_learn(pictures):
    maps, masks, is_anomaly = pictures
    values, truth = flat(maps, masks)
    found = pixel_metrics(count_pixels(maps, masks, is_anomaly), 4.0)
    assert found["pixel_auroc"] == pytest.approx(roc_auc_score(truth, values), abs=1e-4)
    assert found["dice"] == pytest.approx(f1_score(truth, values > 4.0), abs=5e-3)
    best = max(f1_score(truth, values > t) for t in np.linspace(1, 9, 200))
    assert found["dice_best"] == pytest.approx(best, abs=1e-2)
    assert found["dice_best"] >= found["dice"]


def test_aupro_is_the_mean_overlap_of_regions_over_false_positive_rates_up_to_30_percent(pictures):
    maps, masks, is_anomaly = pictures
    values, truth = flat(maps, masks)
    thresholds = np.unique(values)[::-1]
    rate = np.array([0, *((values[~truth] >= t).mean() for t in thresholds)])
    regions = [m[numbers == k] for m, mask in zip(maps, masks, strict=True) for numbers, n in [label(mask)]
               for k in range(1, n + 1)]  # fmt: skip
    overlap = np.array([0, *(np.mean([(r >= t).mean() for r in regions]) for t in thresholds)])
    inside = rate <= 0.3
    x, y = np.append(rate[inside], 0.3), np.append(overlap[inside], np.interp(0.3, rate, overlap))
    found = pixel_metrics(count_pixels(maps, masks, is_anomaly), 4.0)
    assert found["n_regions"] == len(regions) == 4
    assert found["aupro"] == pytest.approx(np.trapezoid(y, x) / 0.3, abs=2e-3)


def test_perfect_and_useless_maps():
    mask = np.zeros((16, 16), bool)
    mask[2:5, 2:5] = True
    counts = PixelCounts()
    counts.add(mask.astype(float), mask)
    perfect = pixel_metrics(counts, 0.5)
    assert (perfect["pixel_auroc"], perfect["aupro"], perfect["dice"]) == pytest.approx((1, 1, 1))
    counts = PixelCounts()
    counts.add(np.ones(mask.shape), mask)
    assert pixel_metrics(counts, 0.5)["pixel_auroc"] == pytest.approx(0.5)
    assert pixel_metrics(counts, 0.5)["aupro"] == pytest.approx(0.15)


def test_an_anomalous_picture_without_a_mask_is_left_out_and_a_good_one_is_not():
    empty, ones = np.zeros((4, 4), bool), np.ones((4, 4))
    counts = count_pixels([ones, ones], [empty, empty], np.array([True, False]))
    assert counts.normal.sum() == 16
    assert pixel_metrics(counts, 1.0)["pixel_auroc"] is None


def test_bins_never_fall_as_values_rise():
    values = np.sort(np.r_[0, -3, 1e9, np.random.default_rng(3).lognormal(0, 6, 5000)])
    assert (np.diff(value_bins(values)) >= 0).all()


def test_pixels_that_touch_at_a_corner_are_one_region():
    """As in the evaluation that MVTec AD comes with."""
    counts = PixelCounts()
    counts.add(np.ones((6, 6)), np.eye(6, dtype=bool))
    assert counts.n_regions == 1
