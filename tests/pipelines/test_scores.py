"""Every kind of score through the whole scoring pipeline, on networks that have learnt nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmarks.cases import Case
from benchmarks.detectors import detector_of
from tests.compute.scenes import scene
from tests.parts import encoder_parameters, group, ones, wgan_parameters

from fanogan_pipeline.detection import choice
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.residuals import TERMS
from fanogan_pipeline.detection.scoring import ScoreRule, calibrate
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import NetworkSpec
from fanogan_pipeline.pipelines.scoring import nodes

MADE_OF = {
    "standardised": {"image_residual", "feature_residual", "latent_residual"},
    "article": {"image_residual", "feature_residual"},
    "image": {"image_residual"},
    "map": {"map_residual", "map_contrast"},
}


def case(score: str) -> Case:
    scoring = group("scoring", score=score, batch_size=32, residual_maps=2)
    spec = NetworkSpec("convolutional", (28, 28), 1, 4, 4)
    return Case("default", spec, wgan_parameters(), encoder_parameters(), scoring, ones(240))


@pytest.mark.parametrize("score", MADE_OF)
def test_a_score_that_asks_for_no_distances_has_no_training_set_to_carry(score):
    judge = detector_of(case(score))
    assert judge.statistics.training_set is None
    assert set(judge.detector.rule.weight) == MADE_OF[score]
    verdicts = judge.judge(judge.terms(ones(40).numpy()))
    assert np.isfinite(verdicts["score"]).all()
    assert verdicts["p_value"].between(0, 1).all()


def test_the_chosen_one_has_the_training_set_that_its_distances_are_from():
    judge = detector_of(case("chosen"))
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
    assert "3 groups to select by are too few" in caplog.text
    terms = pd.DataFrame(np.random.default_rng(0).random((60, 4)), columns=[*TERMS, "map_maximum"])
    given = (choice.as_given("image"), terms, terms)
    found = nodes.calibrate_detector(*given, grouped, *models.values(), encoder_parameters(), scoring)
    assert found["calibration_groups"] == 3
    alone = nodes.calibrate_detector(*given, whole, *models.values(), encoder_parameters(), scoring)
    assert alone == {name: value for name, value in found.items() if name != "calibration_groups"}
    assert len(chosen) == 1
