"""Quality against time of the ways to find z."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fanogan_pipeline.detection import refinement, search_quality
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.evaluation import auroc_with_interval
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.scoring import Calibration, ScoreRule, fit_rule
from fanogan_pipeline.detection.statistics import fit_statistics
from fanogan_pipeline.detection.training_set import fit_training_set
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_encoder, build_generator

SPEC = NetworkSpec("convolutional", (16, 16), 1, 4, 4)
SETTINGS = {"batch_size": 16, "pooling": "mean", "top_share": 0.01, "map_smoothing": 2.0, "score": "standardised"}


def image_set(count: int, anomalous: int, seed: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (count, 1, 16, 16), np.uint8)
    images[:anomalous, :, 4:12] += 100
    truth = np.arange(count) < anomalous
    return ImageSet(images, np.where(truth, "bad", "good"), truth, np.array([f"{seed}/{k}" for k in range(count)]))


@pytest.fixture(scope="module")
def judge() -> AnomalyDetector:
    torch.manual_seed(0)
    parts = [build_generator(SPEC), build_critic(SPEC), build_encoder(SPEC, "linear")]
    generator, critic, encoder = (part.eval().requires_grad_(False) for part in parts)
    how = refinement.Refinement(rate=0.05)
    restorer = Restorer(Wgan(SPEC, "normal", generator, critic), encoder, "squared", torch.device("cpu"), how)
    images = image_set(12, 0, 1).images
    fitted = fit_statistics(images, restorer, fit_training_set(images, restorer, 16), 16)
    detector = Detector(ScoreRule({}, {}, {}), Calibration(0, 0.1, 0, 2), (), SETTINGS, {}, "", 1.0)
    return AnomalyDetector(restorer, fitted, detector)


@pytest.fixture
def searched(monkeypatch) -> list[int]:
    """How many images each search so far was made for."""
    counts, original = [], refinement.search

    def counted(x, start, wgan, steps, rate):
        counts.append(len(x))
        return original(x, start, wgan, steps, rate)

    monkeypatch.setattr(refinement, "search", counted)
    return counts


@pytest.mark.parametrize("kind", ["standardised", "article"])
def test_each_way_gets_the_auroc_of_a_detector_fitted_with_it(judge, kind):
    rule = ScoreRule({"image_residual": 1.0, "feature_residual": 50.0}, {}, {})
    judge = replace(judge, detector=replace(judge.detector, rule=rule))
    selection, test = image_set(20, 0, 2), image_set(24, 12, 3)
    ways = {"encoder": [0, 4], "iterative": [4]}
    table = search_quality.quality_against_time(ways, judge, kind, selection, test)
    assert table["images"].tolist() == [24, 24, 24]
    assert (table["seconds"] > 0).all()
    for row in table.itertuples():
        restorer = replace(judge.restorer, refinement=refinement.Refinement(row.method, row.steps, 0.05))
        fitted = fit_statistics(selection.images, restorer, judge.statistics.training_set, 16)
        rule = fit_rule(kind, 50.0, residual_terms(selection.images, restorer, fitted, 16))
        scores = rule.score(residual_terms(test.images, restorer, fitted, 16))
        assert (row.auroc, row.ci_low, row.ci_high) == pytest.approx(auroc_with_interval(scores, test.is_anomaly))


def test_a_search_is_made_once_for_each_image(judge, searched):
    selection, test = image_set(20, 0, 2), image_set(24, 12, 3)
    search_quality.quality_against_time({"encoder": [3]}, judge, "standardised", selection, test)
    assert len(searched) == 4  # in batches of 16: two of 20 images, two of 24


@pytest.mark.parametrize("score", ["standardised", "map"])
def test_a_detector_searches_once_for_each_image_whatever_fills_its_batches_up(judge, score, searched):
    test, way = image_set(24, 12, 3), refinement.Refinement("iterative", 3, 0.05)
    settings, rule = {**SETTINGS, "score": score, "batch_size": 64}, ScoreRule({"image_residual": 1.0}, {}, {})
    detector = replace(judge.detector, settings=settings, rule=rule)
    judge = AnomalyDetector(replace(judge.restorer, refinement=way), judge.statistics, detector)
    plain = residual_terms(test.images, judge.restorer, judge.statistics, 64)
    searched.clear()
    terms = judge.terms(test.images)
    assert searched == [refinement.BLOCK]
    assert terms["image_residual"].tolist() == plain["image_residual"].tolist()
    together = np.concatenate(list(judge.maps(test.images)))
    alone = np.concatenate([found for image in test.images for found in judge.maps(image[None])])
    assert (alone == together).all()
    assert searched == [refinement.BLOCK] * (2 + len(test.images))


def test_a_sample_is_half_anomalous_where_there_are_enough():
    some = search_quality.some_pictures(image_set(40, 10, 0), 12, 0)
    assert (len(some), some.is_anomaly.sum()) == (12, 6)
    few = search_quality.some_pictures(image_set(40, 3, 0), 12, 0)
    assert (len(few), few.is_anomaly.sum()) == (12, 3)
    assert len(search_quality.some_pictures(image_set(5, 2, 0), 12, 0)) == 5
