"""Thresholds and p-values by hand, intervals against other ways to them."""

import dataclasses
import json
import logging

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from tests.by_hand import THRESHOLD, eight_verdicts
from tests.compute.scenes import image_set

from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.evaluation import auroc_with_interval, evaluate, per_class, rate_with_interval
from fanogan_pipeline.detection.groups import group_count
from fanogan_pipeline.detection.scoring import Calibration, ScoreRule, calibrate, own_p_values, p_values
from fanogan_pipeline.errors import InputError

Z = stats.norm.ppf(0.975)


def test_p_values_by_hand():
    calibration = np.array([1.0, 2.0, 3.0, 4.0])
    assert p_values(np.array([0.0, 2.0, 2.5, 4.0, 9.0]), calibration).tolist() == [1.0, 0.8, 0.6, 0.4, 0.2]


def test_p_values_of_calibration_images_are_those_by_all_the_others():
    scores = np.array([3.0, 1.0, 2.0, 3.0, 9.0])
    by_others = [float(p_values(scores[k : k + 1], np.delete(scores, k))[0]) for k in range(5)]
    assert own_p_values(scores).tolist() == by_others == [0.6, 1.0, 0.8, 0.6, 0.2]


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.5])
@pytest.mark.parametrize("decimals", [1, 9])  # with and without ties
def test_flags_and_p_values_of_calibration_images_say_the_same(rate, decimals):
    scores = np.random.default_rng(0).normal(size=499).round(decimals)
    made = calibrate(scores, rate)
    assert np.array_equal(scores > made.threshold, own_p_values(scores) <= made.promised_false_alarm_rate)


def test_the_threshold_by_hand():
    made = calibrate(np.arange(1.0, 100.0), 0.05)  # 99 scores: 5 of 100 may be flagged, those above the fifth largest
    assert made.threshold == 95.0
    assert made.promised_false_alarm_rate == pytest.approx(0.05)
    assert made.three_sigma_threshold == pytest.approx(50 + 3 * np.std(np.arange(1, 100), ddof=1))


def test_flags_and_p_values_say_the_same():
    rng = np.random.default_rng(0)
    calibration, new = rng.normal(size=499), rng.normal(size=2000)
    made = calibrate(calibration, 0.02)
    assert np.array_equal(new > made.threshold, p_values(new, calibration) <= made.promised_false_alarm_rate)


def test_the_promise_holds_on_average():
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(400):
        scores = rng.exponential(size=1100)
        rates.append((scores[100:] > calibrate(scores[:100], 0.05).threshold).mean())
    assert abs(np.mean(rates) - 5 / 101) < 4 * np.std(rates) / 20


def test_too_few_calibration_images_for_a_rate_promise_what_they_can_and_say_so(caplog):
    with caplog.at_level(logging.WARNING):
        made = calibrate(np.arange(20.0), 0.01)
    assert made.promised_false_alarm_rate == pytest.approx(1 / 21)
    assert made.threshold == 19.0
    assert "needs at least 99 calibration images, found 20" in caplog.text
    with pytest.raises(InputError, match="calibration_set: found 1 image,"):
        calibrate(np.array([1.0]), 0.01)


def test_of_other_groups_than_those_of_the_calibration_images_nothing_is_promised_and_that_is_said(caplog):
    made = calibrate(np.arange(99.0), 0.05, n_groups=6)
    assert "the 99 calibration images are of 6 groups; the promised false-alarm rate is" in caplog.text
    assert dataclasses.replace(made, n_groups=None) == calibrate(np.arange(99.0), 0.05)
    rule = ScoreRule({"a": 1.0}, {"a": 0.0}, {"a": 1.0})
    for calibration in (made, calibrate(np.arange(99.0), 0.05)):
        detector = Detector(rule, calibration, tuple(np.arange(99.0)), {}, {}, "", 1.0)
        assert Detector.from_json(json.loads(json.dumps(detector.to_json()))) == detector
    assert "calibration_groups" not in detector.to_json()  # so that older detectors keep their digest


def test_a_stored_detector_of_sums_over_pixels_is_not_taken_for_one_of_means():
    rule, scores = ScoreRule({"image_residual": 1.0}, {"image_residual": 0.0}, {"image_residual": 1.0}), np.arange(99.0)
    made = Detector(rule, calibrate(scores, 0.05), tuple(scores), {"image_distance": "squared"}, {}, "", 1.0)
    assert Detector.from_json(made.to_json()) == made
    stored = made.to_json() | {"settings": {"image_distance": "absolute"}}
    with pytest.raises(InputError, match=r"absolute.*run 'kedro run --pipelines scoring'"):
        Detector.from_json(stored)
    Detector.from_json(stored | {"rule": {**stored["rule"], "weight": {"critic": 1.0}}})  # that has no such sum in it


@pytest.mark.parametrize("tiled", [False, True])
def test_pictures_without_a_group_count_as_groups_of_one(tiled):
    images = image_set(np.zeros((24, 1, 16, 16), np.uint8), tiled)
    count = 6 if tiled else 24
    assert group_count(images) is None
    for names, groups in ((["a", "a", "b"], count - 1), (["a", "b", "c"], None)):
        group = np.array(names + [""] * (count - 3)).repeat(24 // count)
        assert group_count(dataclasses.replace(images, group=group)) == groups


def test_a_perfect_ranking_of_few_images_is_no_certainty():
    truth = np.arange(100) < 60
    auroc, low, high = auroc_with_interval(np.where(truth, 2.0, 1.0), truth)
    assert (auroc, high) == (1.0, 1.0)
    assert low == pytest.approx(0.9488, abs=1e-4)
    assert auroc_with_interval(np.where(truth, 1.0, 2.0), truth) == pytest.approx((0.0, 0.0, 1 - low))
    assert auroc_with_interval(np.array([2.0, 3.0, 0.0, 1.0]), np.arange(4) < 2)[1] == pytest.approx(1 / (1 + Z**2 / 2))
    assert auroc_with_interval(np.array([1.0, 0.0]), np.arange(2) < 1)[1:] == pytest.approx((1 / (1 + Z**2), 1))
    auroc, low, high = auroc_with_interval(np.ones(100), truth)
    assert (auroc, low, high) == pytest.approx((0.5, 0.3825, 0.6175), abs=1e-4)


def test_the_ends_solve_hanleys_equation_or_delongs_where_that_is_wider():
    rng = np.random.default_rng(2)
    truth = rng.random(300) < 0.4
    m, n = truth.sum(), (~truth).sum()
    quantile = stats.t.ppf(0.975, m - 1)  # anomalies are the rarer kind
    for width in (1.0, 3.0):  # of the anomalies' law; under the wide one the model's variance is too small
        scores = np.round((rng.normal(size=300) + 2 * truth) * np.where(truth, width, 1), 1)  # rounded: ties count half
        auroc, *ends = auroc_with_interval(scores, truth)
        assert auroc == pytest.approx(roc_auc_score(truth, scores))
        positive, negative = scores[truth], scores[~truth]
        wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        delong = (wins.mean(1).var(ddof=1) / m + wins.mean(0).var(ddof=1) / n) / (auroc * (1 - auroc))
        for t in ends:
            hanley = (1 + (n - 1) * t / (1 + t) + (m - 1) * (1 - t) / (2 - t)) / (m * n)
            assert (delong > hanley) == (width > 1)
            assert (t - auroc) ** 2 == pytest.approx(quantile**2 * t * (1 - t) * max(hanley, delong), rel=1e-6)
        assert ends[0] < auroc < ends[1]


def test_neither_kind_nor_direction_is_special():
    rng = np.random.default_rng(4)
    truth = np.arange(60) < 8
    scores = rng.normal(size=60) + truth
    auroc, low, high = auroc_with_interval(scores, truth)
    assert auroc_with_interval(-scores, ~truth) == pytest.approx((auroc, low, high))
    assert auroc_with_interval(-scores, truth) == pytest.approx((1 - auroc, 1 - high, 1 - low))


def test_no_interval_is_wider_than_the_largest_variance_makes_it():
    truth = np.arange(203) < 3
    for scores in (np.r_[3.0, 3, -3, np.zeros(200)], np.r_[3.0, 3, 3, np.zeros(200)]):
        auroc, *ends = auroc_with_interval(scores, truth)
        for t in ends:
            assert (t - auroc) ** 2 <= Z**2 * t * (1 - t) / 3 + 1e-9


def coverage(anomalous: int, normal: int, true: float, width: float, repeats: int, unseen: float = 0) -> float:
    """Share of intervals that hold the true AUROC, of normal scores N(0, 1) and anomalous ones of another width.

    A share `unseen` of the anomalous ones is N(-2, 1) instead.
    """
    rng = np.random.default_rng(3)
    truth = np.arange(anomalous + normal) < anomalous
    shift, scale = stats.norm.ppf(true) * np.hypot(1, width) * truth, np.where(truth, width, 1)
    expected = (1 - unseen) * true + unseen * stats.norm.cdf(-np.sqrt(2))
    inside = 0
    for _ in range(repeats):
        scores = rng.normal(size=len(truth)) * scale + shift
        hidden = truth & (rng.random(len(truth)) < unseen)
        scores[hidden] = rng.normal(-2, 1, hidden.sum())
        _, low, high = auroc_with_interval(scores, truth)
        inside += low <= expected <= high
    return inside / repeats


def test_the_interval_covers_about_as_often_as_it_says():
    assert 0.915 <= coverage(80, 80, float(stats.norm.cdf(2 / np.sqrt(2))), 1, 400) <= 0.985


@pytest.mark.parametrize(("anomalous", "normal"), [(80, 80), (5, 200), (200, 5), (20, 20)])
@pytest.mark.parametrize("true", [0.8, 0.99])
@pytest.mark.parametrize("width", [1, 3])
def test_it_covers_with_few_images_and_with_anomalies_of_many_kinds(anomalous, normal, true, width):
    assert coverage(anomalous, normal, true, width, 200) >= 0.915


@pytest.mark.parametrize(
    ("anomalous", "normal", "true", "width", "unseen"),
    [
        (8, 200, 0.8, 3, 0),
        (5, 200, 0.8, 5, 0),
        (20, 1000, 0.9, 5, 0),
        (10, 1000, 0.9998, 1, 0.15),
        (1000, 20, 0.9, 1 / 5, 0),  # normal images are few, and of many kinds
    ],
)
def test_it_covers_where_few_images_spread_widely_or_some_anomalies_are_not_seen(
    anomalous, normal, true, width, unseen
):
    assert coverage(anomalous, normal, true, width, 300, unseen) >= 0.915


def test_rates_have_exact_intervals():
    rate, low, high = rate_with_interval(3, 50)
    assert rate == 0.06
    assert low == pytest.approx(stats.beta.ppf(0.025, 3, 48))
    assert high == pytest.approx(stats.beta.ppf(0.975, 4, 47))
    assert rate_with_interval(0, 0) == (None, None, None)


def test_every_metric_by_hand():
    found = evaluate(eight_verdicts(), Calibration(THRESHOLD, 0.05, three_sigma_threshold=7.5, n=19))
    assert {name: value for name, value in found.items() if "_ci_" not in name} == pytest.approx(
        {
            "auroc": (3 + 4 + 4) / 15,  # normal images below the anomalous ones of 4, 6 and 8
            "average_precision": (1 / 2 + 2 / 3 + 3 / 5) / 3,
            "prevalence": 3 / 8,
            "threshold": 4.5,
            "promised_false_alarm_rate": 0.05,
            "false_alarm_rate": 2 / 5,
            "recall": 2 / 3,
            "three_sigma_threshold": 7.5,
            "three_sigma_false_alarm_rate": 1 / 5,
            "three_sigma_recall": 1 / 3,
            "n_normal": 5,
            "n_anomalous": 3,
            "n_calibration": 19,
            "n_calibration_groups": None,
        }
    )
    for name, counts in {
        "false_alarm_rate": (2, 5),
        "recall": (2, 3),
        "three_sigma_false_alarm_rate": (1, 5),
        "three_sigma_recall": (1, 3),
    }.items():
        rate, low, high = rate_with_interval(*counts)
        assert (found[name], found[f"{name}_ci_low"], found[f"{name}_ci_high"]) == (rate, low, high)


def test_one_kind_of_image_leaves_null_where_there_is_no_number():
    scores = pd.DataFrame({"score": [1.0, 5.0], "is_anomaly": [False, False], "is_flagged": [False, True]})
    metrics = evaluate(scores, calibrate(np.arange(99.0), 0.05))
    assert metrics["auroc"] is None
    assert metrics["recall"] is None
    assert metrics["false_alarm_rate"] == 0.5


def test_each_class_is_counted_by_itself():
    scores = pd.DataFrame(
        {
            "label": ["1", "1", "7", "7", "7", "0"],
            "is_anomaly": [False, False, True, True, True, True],
            "score": [1.0, 3.0, 2.0, 4.0, 5.0, 9.0],
            "is_flagged": [False, False, False, True, True, True],
        }
    )
    table = per_class(scores).set_index("label")
    assert table.loc["7", "share"] == pytest.approx(2 / 3)
    assert table.loc["7", "auroc"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert table.loc["0", "auroc"] == 1.0
    assert np.isnan(table.loc["1", "auroc"])


def test_every_interval_is_of_the_confidence_asked_for():
    scores = eight_verdicts()
    found = evaluate(scores, Calibration(THRESHOLD, 0.05, three_sigma_threshold=7.5, n=19), 0.5)
    _, *ends = auroc_with_interval(scores["score"].to_numpy(), scores["is_anomaly"].to_numpy(), 0.5)
    assert [found["auroc_ci_low"], found["auroc_ci_high"]] == ends
    for name, counts in {"false_alarm_rate": (2, 5), "recall": (2, 3), "three_sigma_recall": (1, 3)}.items():
        assert (found[name], found[f"{name}_ci_low"], found[f"{name}_ci_high"]) == rate_with_interval(*counts, 0.5)
    for row in per_class(scores, 0.5).itertuples():
        assert (row.share, row.ci_low, row.ci_high) == rate_with_interval(row.flagged, row.images, 0.5)
