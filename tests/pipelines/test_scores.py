"""Every kind of score through the whole scoring pipeline, on networks that have learnt nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.cases import CPU, Case
from benchmarks.detectors import detector_of, given_to_scoring
from tests.compute.scenes import scene
from tests.parts import encoder_parameters, group, ones, wgan_parameters

from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.detection import choice
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.refinement import Refinement
from fanogan_pipeline.detection.residuals import TERMS
from fanogan_pipeline.detection.scoring import ScoreRule, calibrate
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import NetworkSpec
from fanogan_pipeline.parameters import EncoderParameters
from fanogan_pipeline.pipelines import scoring
from fanogan_pipeline.pipelines.scoring import nodes

FILES = ("wgan_model", "encoder_model", "residual_statistics", "detector")
MADE_OF = {
    "standardised": {"image_residual", "feature_residual", "latent_residual"},
    "article": {"image_residual", "feature_residual"},
    "image": {"image_residual"},
    "map": {"map_residual", "map_contrast"},
}


def case(encoder: EncoderParameters | None = None, **scoring: Any) -> Case:
    judged_by = group("scoring", **{"batch_size": 32, "residual_maps": 2, **scoring})
    spec = NetworkSpec("convolutional", (28, 28), 1, 4, 4)
    return Case("default", spec, wgan_parameters(), encoder or encoder_parameters(), judged_by, ones(240))


def piped(case: Case) -> AnomalyDetector:
    """The detector that the whole scoring pipeline makes."""
    parameters = {"scoring": case.scoring, "seed": 0, "device": "cpu"}
    parameters |= {name: group(name) for name in ("training", "compute")}
    known = given_to_scoring(case) | {f"params:{name}": value for name, value in parameters.items()}
    known["test_set"] = known["train_set"].take(np.arange(4))
    with tempfile.TemporaryDirectory() as place:
        known["training_states"] = StateStore(Path(place))
        for node in scoring.create_pipeline().nodes:
            known |= node.run({name: known[name] for name in node.inputs})
    return AnomalyDetector.load(*(known[name] for name in FILES), CPU)


def calibrated_on() -> np.ndarray:
    """Those of the case's images that a detector is calibrated on."""
    return ones(48)[24:].numpy()


@pytest.mark.parametrize("score", MADE_OF)
def test_a_score_that_asks_for_no_distances_has_no_training_set_to_carry(score):
    judge = piped(case(score=score))
    assert judge.statistics.training_set is None
    assert set(judge.detector.rule.weight) == MADE_OF[score]
    verdicts = judge.judge(judge.terms(ones(40).numpy()))
    assert np.isfinite(verdicts["score"]).all()
    assert verdicts["p_value"].between(0, 1).all()


@pytest.mark.parametrize("score", ["chosen", "map"])
def test_the_detector_of_the_speed_benchmark_is_the_pipelines(score):
    measured = case(encoder_parameters(image_distance="absolute"), score=score)
    assert detector_of(measured).detector == piped(measured).detector


def test_the_chosen_one_has_the_training_set_that_its_distances_are_from():
    judge = piped(case(score="chosen"))
    assert judge.statistics.training_set is not None
    assert judge.detector.rule.logarithmic  # as every mix is
    assert np.isfinite(judge.judge(judge.terms(ones(40).numpy()))["score"]).all()


def test_no_calibration_image_counts_twice_in_its_own_p_value():
    image_set = ImageSet(ones(40).numpy(), np.full(40, "1"), np.zeros(40, bool), np.arange(40).astype(str))
    rule = ScoreRule({"image_residual": 1.0}, {"image_residual": 0.0}, {"image_residual": 1.0})
    terms = pd.DataFrame({"image_residual": np.random.default_rng(0).random(40)})
    scores = terms["image_residual"].to_numpy()
    detector = Detector(rule, calibrate(scores, 0.1), tuple(np.sort(scores)), {}, {"split": ""}, "", 1.0).to_json()
    table = nodes.judge_calibration(image_set, terms, detector)
    assert np.sort(table["p_value"]) == pytest.approx(np.arange(1, 41) / 40)
    assert (table["is_flagged"] == (table["p_value"] <= detector["promised_false_alarm_rate"])).all()
    assert table.attrs == nodes.judge(image_set, terms, detector).attrs


def test_the_scoring_nodes_go_by_the_groups_of_their_sets(caplog):
    whole, restorer, models = scene(tiled=False)
    three = np.array(["a", "b", "c"]).repeat(20)
    grouped = replace(whole, split_digest="None", group=three)  # these models name no split
    scoring = group("scoring", score="chosen")
    chosen = nodes.choose_score(grouped, restorer, models["residual_statistics"], models["wgan_model"], scoring, 0)
    assert "found 3 groups in the selection set, expected at least 4" in caplog.text
    terms = pd.DataFrame(np.random.default_rng(0).random((60, 4)), columns=[*TERMS, "map_maximum"])
    given = (choice.as_given("image"), terms, terms)
    found = nodes.calibrate_detector(*given, grouped, *models.values(), scoring)
    assert found["calibration_groups"] == 3
    alone = nodes.calibrate_detector(*given, whole, *models.values(), scoring)
    assert alone == {name: value for name, value in found.items() if name != "calibration_groups"}
    assert len(chosen) == 1


@pytest.mark.parametrize(
    ("method", "steps", "distance"),
    [("encoder", 0, "absolute"), ("encoder", 2, "squared"), ("iterative", 2, "squared")],
)
def test_a_detector_scores_images_as_the_pipeline_did_that_made_it(method, steps, distance):
    settings = {"score": "image", "method": method, "refinement_steps": steps, "refinement_rate": 0.1}
    judge = piped(case(encoder_parameters(image_distance=distance), **settings))
    assert judge.restorer.refinement == Refinement(method, steps, 0.1)
    assert judge.restorer.image_distance == distance
    found = judge.judge(judge.terms(calibrated_on()))["score"]
    assert np.sort(found) == pytest.approx(np.array(judge.detector.calibration_scores), rel=1e-6)


def test_the_article_s_score_weighs_features_by_the_encoder_s_kappa():
    judge = piped(case(encoder_parameters(kappa=0.3), score="article"))
    terms = judge.terms(ones(40).numpy())
    by_hand = terms["image_residual"] + 0.3 * terms["feature_residual"]
    assert judge.judge(terms)["score"].to_numpy() == pytest.approx(by_hand.to_numpy())


def test_thresholds_are_the_largest_of_the_calibration_set_but_for_the_false_alarms_allowed():
    judge = piped(case(score="image", false_alarm_rate=0.2, pooling="mean"))  # 5 of 24 + 1
    assert judge.detector.calibration.promised_false_alarm_rate == pytest.approx(0.2)
    assert judge.detector.calibration.threshold == judge.detector.calibration_scores[-5]
    highest = sorted(float(found.max()) for found in judge.maps(calibrated_on()))
    assert judge.detector.pixel_threshold == pytest.approx(highest[-5], rel=1e-5)
