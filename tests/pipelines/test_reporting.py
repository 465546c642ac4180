"""What the figures are drawn from."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from tests.in_process import copy_of, run_here
from tests.parts import group
from tests.project import newest

from fanogan_pipeline import figures
from fanogan_pipeline.datasets import ArrayDataset, CheckpointDataset, ImageSetDataset, ParquetDataset
from fanogan_pipeline.datasets.figure import to_png
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.choice import as_given
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.restorer import restore
from fanogan_pipeline.detection.scoring import Calibration, fit_rule
from fanogan_pipeline.detection.search_quality import not_measured
from fanogan_pipeline.errors import InputError, MismatchError
from fanogan_pipeline.figures import style
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.pipelines.reporting import belonging, nodes
from fanogan_pipeline.preprocessing.splits import split_digest

MAPS = {"maps": ["float16", 3], "height": ["int32", 1], "width": ["int32", 1]}
REFINEMENT = "Searching for a better z"
MODELS = ("wgan_model", "encoder_model", "residual_statistics")
SEARCH = {"method": "iterative", "refinement_steps": 0, "refinement_rate": 0.02}


@pytest.fixture(scope="module")
def made(smoke_project: Path) -> dict[str, Any]:
    """What the heat maps are drawn from, of a detector that refines z."""
    models = {
        name: CheckpointDataset(filepath=str(newest(smoke_project, f"{name}.safetensors"))).load() for name in MODELS
    }
    detector = json.loads(newest(smoke_project, "detector.json").read_text())
    detector["settings"] |= {"refinement_steps": 20, "refinement_rate": 0.1}
    digest = Detector.from_json(detector).digest
    scores = ParquetDataset(filepath=str(newest(smoke_project, "test_scores.parquet"))).load()
    scores.attrs["detector"] = digest
    maps = ArrayDataset(filepath=str(newest(smoke_project, "residual_maps.npz")), arrays=MAPS, texts=["detector"])
    return {
        "test_set": ImageSetDataset(filepath=str(newest(smoke_project, "test_set.npz"))).load(),
        "test_scores": scores,
        "residual_maps": maps.load() | {"detector": digest},
        **models,
        "detector": detector,
    }


def test_quality_against_time_of_the_search_stands_in_the_report_where_it_is_wanted(smoke_project, tmp_path):
    assert len(pd.read_parquet(newest(smoke_project, "refinement_quality.parquet"))) == 0
    assert REFINEMENT not in newest(smoke_project, "report.html").read_text()
    project = copy_of(smoke_project, tmp_path / "project")
    place = project / "conf/smoke/parameters.yml"
    values = yaml.safe_load(place.read_text())
    ways = {"encoder": [0, 3], "iterative": [3, 6]}
    values["reporting"] |= {"refinement_sample": 24, "refinement_ways": ways}
    place.write_text(yaml.safe_dump(values))
    outcome = run_here(project, "--env", "smoke", "--pipelines", "reporting")
    assert outcome.status == 0, outcome.line
    table = pd.read_parquet(newest(project, "refinement_quality.parquet"))
    assert list(zip(table["method"], table["steps"], strict=True)) == [
        *(("encoder", steps) for steps in ways["encoder"]),
        *(("iterative", steps) for steps in ways["iterative"]),
    ]
    assert (table["images"] == 24).all()
    assert table[["ci_low", "auroc", "ci_high"]].apply(lambda row: row.is_monotonic_increasing, axis=1).all()
    assert table["auroc"][0] > 0.6  # from E(x) without a step: the detector's own score
    page = newest(project, "report.html").read_text()
    assert REFINEMENT in page
    assert page.count("data:image/png;base64,") == len(nodes.FIGURES)


def test_no_search_is_measured_on_test_pictures_of_one_kind(made, caplog):
    parameters = group("reporting", refinement_sample=4)
    names = ("test_set", *MODELS, "detector")
    given = {name: made[name] for name in names} | {"score_choice": as_given("standardised"), "parameters": parameters}
    given |= {"selection_set": made["test_set"]}
    given["test_set"] = given["test_set"].take(np.flatnonzero(~given["test_set"].is_anomaly))
    table = nodes.measure_refinement(**given, training=group("training"), device="cpu", seed=0)
    assert len(table) == 0
    assert "reporting.refinement_sample: nothing measured, for it takes test pictures of both kinds" in caplog.text


def test_the_report_lists_what_models_and_detector_were_made_with_and_no_password(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    place = project / "conf/smoke/parameters.yml"
    given = OmegaConf.from_dotlist(
        [
            *("data_prep.normal_classes=['8']", "data_prep.tiling.stride=[8, 8]", "wgan.steps=7", "encoder.kappa=3.0"),
            *("scoring.false_alarm_rate=0.25", "reporting.title=Another", "seed=3", "precision=bfloat16"),
        ]
    )
    OmegaConf.save(OmegaConf.merge(OmegaConf.load(place), given), place)
    secret = "tracking.uri=https://me:pass@host/db"
    outcome = run_here(project, "--env", "smoke", "--pipelines", "reporting", "--params", secret)
    assert outcome.status == 0, outcome.line
    page = newest(project, "report.html").read_text()
    before, shown = (
        dict(re.findall("<tr><td>([a-z_.]+)</td><td>(.*?)</td></tr>", found))
        for found in (newest(smoke_project, "report.html").read_text(), page)
    )
    assert shown == before | {"reporting.title": "Another", "tracking.uri": "https://***@host/db"}
    (said,) = re.findall("<caption>Of wgan, .* That run was given other values of (.*?).</caption>", page)
    others = ["data_prep.normal_classes", "data_prep.tiling", "encoder.kappa", "precision", "scoring.false_alarm_rate"]
    assert sorted(said.split(", ")) == [*others, "seed", "wgan.steps"]
    manifest = newest(project, "run_manifest.json").read_text()
    assert manifest.count("https://***@host/db") == 3  # parameters, options and the command
    assert "pass@" not in page + manifest


def test_globals_that_the_models_were_not_both_trained_with_are_told_of_each(smoke_project):
    def load(kind, name):
        return kind(filepath=str(newest(smoke_project, name))).load()

    manifest = load(ParquetDataset, "split_manifest.parquet")
    wgan_model, encoder_model = (load(CheckpointDataset, f"{name}.safetensors") for name in MODELS[:2])
    judged = Detector.from_json(json.loads(newest(smoke_project, "detector.json").read_text()))
    assert belonging.made_with(judged, manifest, wgan_model, encoder_model)["seed"] == 0
    other = dataclasses.replace(encoder_model, header=encoder_model.header | {"seed": 3})
    assert belonging.made_with(judged, manifest, wgan_model, other)["seed"] == "0 (wgan), 3 (encoder)"


def test_without_residual_maps_there_is_a_report_all_the_same(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    changes = "scoring.residual_maps=0,reporting.confidence=0.975,scoring.score=article"
    changes += ",encoder.kappa=0.1,encoder.image_distance=absolute"  # of no encoder that this run trains
    outcome = run_here(project, "--env", "smoke", "--pipelines", "scoring,reporting", "--params", changes)
    assert outcome.status == 0, outcome.line
    page = newest(project, "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(nodes.FIGURES) - 1  # all but the search's
    assert "97.5% interval" in page
    assert "97.5% interval" in outcome.output
    assert json.loads(newest(project, "detector.json").read_text())["rule"]["weight"]["feature_residual"] == 1
    assert "<tr><td>encoder.kappa</td><td>1.0</td></tr>" in page
    assert "<tr><td>encoder.image_distance</td><td>squared</td></tr>" in page
    assert "other values of encoder.image_distance, encoder.kappa.</caption>" in page


def test_the_heat_maps_show_the_restorations_that_the_detector_judges_by(made, monkeypatch):
    drawn: dict[str, np.ndarray] = {}

    def caught(images: np.ndarray, restored: np.ndarray, maps: np.ndarray, masks: Any, image_ids: Any, *rest: Any):
        drawn.update(restored=restored, image_id=image_ids)
        return Figure()

    monkeypatch.setattr(figures, "heatmap_gallery", caught)
    nodes.draw_heatmaps(**made)
    some = made["test_set"].take(pd.Index(made["test_set"].image_id).get_indexer(drawn["image_id"]))
    judge = AnomalyDetector.load(*(made[name] for name in MODELS), made["detector"], torch.device("cpu"))
    assert drawn["restored"] == pytest.approx(restore(some.images, judge.restorer, 64))
    plain = made["detector"] | {"settings": made["detector"]["settings"] | {"refinement_steps": 0}}
    unrefined = AnomalyDetector.load(*(made[name] for name in MODELS), plain, torch.device("cpu"))
    assert drawn["restored"] != pytest.approx(restore(some.images, unrefined.restorer, 64))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (as_given("article"), "Nothing was left to choose"),
        (pd.DataFrame({"mix": ["a", "b"], "made_up_auroc": [0.9, 0.99996], "chosen": [False, True]}), "was chosen by"),
    ],
)
def test_the_report_says_whether_the_score_was_chosen_and_what_it_is_made_of(choice, words, monkeypatch):
    handed: list[Any] = []
    monkeypatch.setattr(figures, "render_report", lambda *parts, **_: handed.extend(parts))
    rule = fit_rule("article", 2.5, pd.DataFrame())
    manifest = pd.DataFrame({"image_id": ["a"], "split": "train", "label": "1", "is_anomaly": False, "sha256": "0"})
    header = {"parameters": {}, "seed": 0, "precision": "float32"}
    models = {name: Checkpoint({}, header) for name in ("wgan_model", "encoder_model")}
    belongs_to = {name: model.digest for name, model in models.items()} | {"split": split_digest(manifest, "")}
    detector = Detector(rule, Calibration(1.0, 0.1, 2.0, 2), (0.0, 1.0), SEARCH, belongs_to, "", 1.0)
    parameters = {"reporting": group("reporting")}
    drawn = [to_png(Figure())] * len(nodes.FIGURES)  # as they were before they told what they belong to
    recall = pd.DataFrame()
    recall.attrs["detector"] = detector.digest
    metrics = {"detector": detector.digest}
    made = detector.to_json()
    nodes.write_report(metrics, recall, manifest, *models.values(), made, choice, not_measured(), parameters, *drawn)
    _, _, _, _, _, facts, (note,), _ = handed
    assert facts["rule"] == rule.to_json()
    assert facts["search"] == ("iterative", 500)
    assert words in note["text"]
    if len(choice) > 1:
        assert note["table"]["mean"].equals(choice["made_up_auroc"])  # not rounded to 1
    else:
        assert note["table"].to_dict("list") == {"mix": ["article"]}  # nothing was measured


def test_truth_of_an_anomalous_picture_without_a_mask_is_not_known(made, monkeypatch):
    drawn: dict[str, np.ndarray] = {}

    def caught(images: np.ndarray, restored: np.ndarray, maps: np.ndarray, masks: np.ndarray, image_ids: Any, *_: Any):
        drawn.update(masks=masks, image_id=image_ids)
        return Figure()

    monkeypatch.setattr(figures, "heatmap_gallery", caught)
    test_set = made["test_set"]
    masks = np.zeros((len(test_set), *test_set.images.shape[2:]), bool)
    anomalous = np.flatnonzero(test_set.is_anomaly)
    masks[anomalous[::2], 3] = True
    nodes.draw_heatmaps(**made | {"test_set": dataclasses.replace(test_set, masks=masks)})
    rows = pd.Index(test_set.image_id).get_indexer(drawn["image_id"])
    unknown = np.isin(rows, anomalous[1::2])
    assert 0 < unknown.sum() < len(rows)
    assert np.isnan(drawn["masks"][unknown]).all()
    assert np.array_equal(drawn["masks"][~unknown], masks[rows[~unknown]])


def test_scores_that_came_back_without_their_attributes_name_what_keeps_them(made):
    bare = made["test_scores"].copy()
    bare.attrs.clear()
    with pytest.raises(InputError, match=r"test_scores: found no digest of its \w+.*ParquetDataset does"):
        nodes.draw_heatmaps(**made | {"test_scores": bare})


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_maps_of_another_detector_are_not_drawn_though_their_images_are_there(made, digest):
    maps = {name: value for name, value in made["residual_maps"].items() if name != "detector"}
    maps |= {"detector": digest} if digest else {}  # none: stored before maps named their detector
    with pytest.raises(MismatchError, match=r"residual_maps was measured with the detector of digest (0000|unknown)"):
        nodes.draw_heatmaps(**made | {"residual_maps": maps})
    scores = made["test_scores"].copy()
    scores.attrs["detector"] = "0" * 64
    with pytest.raises(MismatchError, match="test_scores was judged by the detector of digest 0000"):
        nodes.draw_heatmaps(**made | {"test_scores": scores})


def test_the_decision_gallery_shows_twelve_images_of_each_kind_from_the_clearest_to_the_closest():
    rng = np.random.default_rng(0)
    truth, score = np.arange(120) % 3 == 0, rng.permutation(120).astype(float)
    images = np.tile(np.arange(120, dtype=np.uint8)[:, None, None, None], (1, 1, 4, 4))  # each knows its row
    names = np.array([f"{row:03}" for row in range(120)])
    flagged, distance = score > 59.5, np.abs(score - 59.5)
    scores = pd.DataFrame({"score": score, "is_anomaly": truth, "is_flagged": flagged})
    scores.attrs["split"] = "split"
    drawn = nodes.draw_decision_gallery(ImageSet(images, names, truth, names, "split"), scores)
    kinds = {
        "in_in: judged normal, truly normal;": ~flagged & ~truth,
        "in_out: judged normal, truly anomalous (missed);": ~flagged & truth,
        "out_in: judged anomalous, truly normal (false alarm);": flagged & ~truth,
        "out_out: judged anomalous, truly anomalous (caught);": flagged & truth,
    }
    for axis, (words, of_this_kind) in zip(drawn.axes, kinds.items(), strict=True):
        assert axis.get_title(loc="left").startswith(words)
        rows = np.array([np.asarray(image.get_array()).flat[0] for image in axis.images])
        assert len(rows) == 12 < of_this_kind.sum()
        assert of_this_kind[rows].all()
        assert (np.diff(distance[rows]) < 0).all()
        ends = distance[of_this_kind].max(), distance[of_this_kind].min()
        assert (distance[rows[0]], distance[rows[-1]]) == ends
        assert [text.get_text() for text in axis.texts] == [style.number(score[row]) for row in rows]
