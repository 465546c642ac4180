"""Verdicts on new pictures: the very scores of the test set, whatever is broken, and where a stopped run goes on."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.compute import scenes
from tests.parts import group
from tests.pipelines.verdicts import detector_of, measure, pictures
from tests.project import kedro, newest

from fanogan_pipeline.compute import new_pictures
from fanogan_pipeline.compute.new_pictures import TOGETHER
from fanogan_pipeline.datasets.checkpoint import CheckpointDataset
from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.datasets.image_set import ImageSetDataset
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.batch import benjamini_hochberg, drift_p_value, verdict_list
from fanogan_pipeline.errors import InputError, MismatchError
from fanogan_pipeline.figures import verdict_summary
from fanogan_pipeline.figures.overlay import overlay
from fanogan_pipeline.pipelines.inference import nodes
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.levelling import Levelling


@pytest.fixture(scope="module")
def project(smoke_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke project with its test images as PNG files among the new ones, and two that are no pictures."""
    project = Path(shutil.copytree(smoke_project, tmp_path_factory.mktemp("new") / "project", symlinks=True))
    test_set = ImageSetDataset(filepath=str(newest(project, "test_set.npz"))).load()
    for image, name in zip(test_set.images, test_set.image_id, strict=True):
        path = project / "data/01_raw/new_images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)
    whole = path.read_bytes()
    (path.parent / "cut.png").write_bytes(whole[: len(whole) // 2])
    (path.parent / "words.png").write_text("no picture")
    done = kedro(project, "run", "--env", "smoke", "--pipelines", "inference", "--params", "inference.max_heatmaps=3")
    (project / "inference.log").write_text(done.stdout + done.stderr)
    return project


def test_new_pictures_get_the_very_scores_of_the_test_set(project):
    ours = pd.read_parquet(newest(project, "new_scores.parquet")).set_index("image_id")
    assert set(ours.attrs) == {"detector"}
    theirs = pd.read_parquet(newest(project, "test_scores.parquet")).set_index("image_id")
    ours.index = ours.index.str.removesuffix(".png")
    columns = ["image_residual", "feature_residual", "latent_residual", "score", "p_value", "is_flagged"]
    pd.testing.assert_frame_equal(ours.loc[theirs.index, columns], theirs[columns], check_exact=True)
    assert set(ours.index) == set(theirs.index)
    assert ((ours["verdict"] == "anomalous") == ours["is_flagged"]).all()


def test_two_workers_give_the_very_same_verdicts(project):
    pytest.importorskip("distributed")
    before = [newest(project, name) for name in ("new_scores.parquet", "new_summary.json")]
    spread = "compute.engine=dask,compute.workers=2,inference.shard_size=100,inference.max_heatmaps=3"
    kedro(project, "run", "--env", "smoke", "--pipelines", "inference", "--params", spread)
    after = [newest(project, name) for name in ("new_scores.parquet", "new_summary.json")]
    assert after[0] != before[0]
    pd.testing.assert_frame_equal(*(pd.read_parquet(table) for table, _ in (before, after)), check_exact=True)
    assert json.loads(before[1].read_text()) == json.loads(after[1].read_text())
    assert not list((project / "data/06_models/.training_states").glob("inference-*"))


def test_what_is_broken_is_listed_and_stops_nothing(project):
    summary = json.loads(newest(project, "new_summary.json").read_text())
    assert {Path(entry["image_id"]).name for entry in summary["skipped"]} == {"cut.png", "words.png"}
    assert all(entry["reason"].startswith("found ") for entry in summary["skipped"])  # the name stands beside it


def test_the_list_of_verdicts_starts_with_the_most_anomalous_and_ends_with_what_could_not_be_judged(project):
    listed = pd.read_csv(newest(project, "new_verdicts.csv"), encoding="utf-8-sig")
    scores = pd.read_parquet(newest(project, "new_scores.parquet")).sort_values("score", ascending=False, kind="stable")
    judged, others = listed[: len(scores)], listed[len(scores) :]
    columns = ["image_id", "verdict", "p_value", "score"]
    pd.testing.assert_frame_equal(judged[columns], scores[columns].reset_index(drop=True), check_dtype=False)
    assert {Path(name).name for name in others["image_id"]} == {"cut.png", "words.png"}
    assert (others["verdict"] == "not judged").all()
    assert others["reason"].notna().all()


def test_a_run_ends_with_counts_and_where_the_verdicts_lie(project):
    printed = (project / "inference.log").read_text()
    summary = json.loads(newest(project, "new_summary.json").read_text())
    assert re.search(rf"pictures judged +│ {summary['pictures']} ", printed)
    assert re.search(rf"judged anomalous +│ {summary['flagged']} \(", printed)
    assert re.search(r"not judged +│ 2, with the reason", printed)
    for kind in ("verdicts", "overlays"):
        path = re.search(rf"^{kind}: (.+)$", printed, re.M)
        assert path is not None
        assert Path(path[1]).exists()


def test_no_name_of_a_picture_is_taken_for_a_formula():
    scores = pd.DataFrame({"image_id": ["=1+1.png", "a.png"], "verdict": "normal", "p_value": 1.0, "score": [2.0, 1.0]})
    listed = verdict_list(scores, [{"image_id": "-x.png", "reason": "cut short"}])
    assert listed["image_id"].tolist() == ["./=1+1.png", "a.png", "./-x.png"]
    assert listed["reason"].tolist() == ["", "", "cut short"]


def test_the_list_has_as_many_digits_as_people_read():
    scores = pd.DataFrame(
        {"image_id": ["a"], "verdict": "normal", "p_value": [1 / 675], "score": [-0.31121223767614364]}
    )
    listed = verdict_list(scores, [{"image_id": "b", "reason": "cut short"}])
    assert listed["p_value"].tolist()[:1] == [0.00148148]
    assert listed["score"].tolist()[:1] == [-0.311212]
    assert listed.loc[1, ["p_value", "score"]].isna().all()


def test_flagged_pictures_get_an_overlay_in_their_own_size(project):
    folder = sorted((project / "data/07_model_output/new_heatmaps").iterdir())[-1] / "new_heatmaps"
    pictures = list(folder.rglob("*.png"))
    assert len(pictures) == 3
    scores = pd.read_parquet(newest(project, "new_scores.parquet")).nlargest(3, "score")
    assert {path.relative_to(folder).as_posix() for path in pictures} == set(scores["image_id"])
    with Image.open(pictures[0]) as picture:
        assert picture.size == (28, 28)
        assert picture.mode == "RGB"


def test_a_batch_that_has_drifted_earns_a_warning(project):
    assert "are not distributed as the calibration set's" in (project / "inference.log").read_text()  # mostly others
    rng = np.random.default_rng(0)
    assert drift_p_value(rng.normal(size=300), rng.normal(size=300)) > 0.001
    assert drift_p_value(rng.normal(size=300) + 1, rng.normal(size=300)) < 0.001


def test_a_stopped_run_goes_on_where_it_was(project, tmp_path, caplog, monkeypatch):
    source = ImageFolderDataset(filepath=str(project / "data/01_raw/new_images"), layout="flat", on_error="skip").load()
    detector = detector_of(project)
    original, shards = new_pictures.NewTerms.__call__, []

    def counted(self, pictures):
        shards.append(pictures)
        if len(shards) == 3:
            raise KeyboardInterrupt
        return original(self, pictures)

    monkeypatch.setattr(new_pictures.NewTerms, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        measure(source, detector, group("inference", shard_size=50, workers=1), tmp_path)
    with caplog.at_level(logging.INFO):
        table = measure(source, detector, group("inference", shard_size=50, workers=1), tmp_path)
    assert re.search(r"[2-6] of 7 parts are there", caplog.text)
    monkeypatch.undo()
    whole = measure(source, detector, group("inference", shard_size=1000, workers=1), tmp_path / "other")
    pd.testing.assert_frame_equal(table, whole, rtol=1e-9)
    broken = table.loc[table["reason"] != "", "image_id"]
    assert broken.map(lambda name: Path(name).name).tolist() == ["words.png", "cut.png"]  # the other's header is whole


def test_a_broken_picture_is_left_out_and_the_rest_of_its_shard_stays_together(project, tmp_path, monkeypatch):
    source = ImageFolderDataset(filepath=str(project / "data/01_raw/new_images"), layout="flat", on_error="skip").load()
    detector, together = detector_of(project), []
    original = AnomalyDetector.terms

    def counted(self, images, tiles=None):
        together.append(len(images))
        return original(self, images, tiles)

    monkeypatch.setattr(AnomalyDetector, "terms", counted)
    table = measure(source, detector, group("inference", shard_size=1000, workers=1), tmp_path)
    assert sorted(together) == sorted([TOGETHER, len(source) - 1 - TOGETHER])  # the one piece is full
    broken = table["reason"] != ""
    assert table.loc[broken, "image_id"].map(lambda name: Path(name).name).tolist() == ["words.png", "cut.png"]
    assert table.loc[broken, "image_residual"].isna().all()
    assert table.loc[~broken, "image_residual"].notna().all()


def test_nothing_but_broken_pictures_is_refused_in_one_line(project):
    terms = pd.DataFrame({"image_id": ["a.png", "b.png"], "reason": ["cut short", "cut short"]})
    with pytest.raises(InputError, match=r"new_images: found no picture .* among 2, the first is a\.png: cut short"):
        nodes.judge_pictures(terms, detector_of(project), group("inference"))


def test_files_of_different_detectors_are_refused(project):
    names = ("wgan_model", "encoder_model", "residual_statistics")
    models = [CheckpointDataset(filepath=str(newest(project, f"{name}.safetensors"))).load() for name in names]
    judged = json.loads(newest(project, "detector.json").read_text())
    judged["belongs_to"]["encoder_model"] = "0" * 64
    with pytest.raises(MismatchError, match="encoder_model"):
        AnomalyDetector.load(*models, judged, torch.device("cpu"))


def test_benjamini_hochberg_by_hand():
    p_values = np.array([0.01, 0.6, 0.02, 0.035, 0.9])
    # sorted against 0.1 k / 5: 0.01 <= 0.02, 0.02 <= 0.04, 0.035 <= 0.06, 0.6 > 0.08
    assert benjamini_hochberg(p_values, 0.1).tolist() == [True, False, True, True, False]
    assert benjamini_hochberg(np.array([0.5, 0.9]), 0.1).tolist() == [False, False]
    assert benjamini_hochberg(np.array([]), 0.1).tolist() == []
    just = np.array([7 / 200] * 91 + [1.0] * 169)  # 91 of 260 at 0.1 * 91 / 260 = 0.035 exactly
    assert benjamini_hochberg(just, 0.1).sum() == 91
    none_smallest = np.array([2 / 1000] * 20 + [1.0] * 980)  # enough together, with no p-value of 1 / 1000
    assert benjamini_hochberg(none_smallest, 0.1).sum() == 20


def test_with_a_false_discovery_rate_the_batch_is_flagged_by_it_and_not_by_the_threshold():
    detector, _ = scenes.detector(False)  # 19 calibration scores up to 18 / 7, and a threshold of 0.1
    terms = pd.DataFrame({"map_residual": [9.0, 0.5, 9.0, 0.2]}).assign(image_id=["a", "b", "c", "d"], reason="")
    for rate, flagged in (
        (None, [True, True, True, True]),
        (0.12, [True, False, True, False]),  # twice 1 / 20, above 0.12 / 4 and not above 0.12 * 2 / 4
        (0.08, [False, False, False, False]),
    ):
        parameters = group("inference", false_discovery_rate=rate)
        scores, summary, _ = nodes.judge_pictures(terms, detector, parameters)
        assert scores["p_value"].tolist() == pytest.approx([0.05, 0.8, 0.05, 0.9])
        assert scores["is_flagged"].tolist() == flagged
        assert (scores["verdict"] == "anomalous").tolist() == flagged
        assert (summary["flagged"], summary["false_discovery_rate"]) == (sum(flagged), rate)


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.12, ""),  # flags two
        (0.2, ""),  # each for itself
        (
            0.08,
            "with false_discovery_rate: 0.08 and 19 calibration pictures at least 3 of these 4 are flagged together or "
            "none, since no p-value is below 0.05",
        ),
        (
            0.05,
            "with false_discovery_rate: 0.05 and 19 calibration pictures at least 4 of these 4 are flagged together",
        ),
        (0.04, "nothing can be flagged with false_discovery_rate: 0.04: the smallest p-value there is, with 19 calib"),
        (None, ""),
    ],
)
def test_a_false_discovery_rate_that_so_few_calibration_pictures_cannot_serve_is_told(rate, said, caplog):
    detector, _ = scenes.detector(False)
    terms = pd.DataFrame({"map_residual": [9.0, 0.5, 9.0, 0.2]}).assign(image_id=["a", "b", "c", "d"], reason="")
    nodes.judge_pictures(terms, detector, group("inference", false_discovery_rate=rate, drift_alarm=1e-9))
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


def test_a_picture_of_one_brightness_is_not_judged_where_light_is_levelled_away(tmp_path):
    """The map measures what sticks out, and out of nothing nothing does: it would pass as the best of all."""
    detector, _ = scenes.detector(False)
    rng = np.random.default_rng(0)
    shown = [
        rng.integers(0, 256, (16, 16), np.uint8),
        *(np.full((16, 16), level, np.uint8) for level in (120, 0, 90, 255)),
    ]
    shown[1][8:10, 8:10] = 20  # a small defect on a smooth surface
    for contrast, judged in ((Levelling(4.0, 60.0), 2), (None, 5)):
        geometry = json.dumps(Geometry((16, 16), 1, local_contrast=contrast).to_json())
        judge = replace(detector, detector=replace(detector.detector, geometry=geometry))
        source = pictures(lambda row: shown[row], 5)
        _, summary, listed = nodes.judge_pictures(
            measure(source, judge, group("inference", workers=1), tmp_path), judge, group("inference")
        )
        assert summary["pictures"] == judged
        assert (listed["verdict"] == "not judged").sum() == 5 - judged
        assert listed["reason"][judged:].str.startswith("found one brightness throughout").all()


@pytest.mark.parametrize("rate", [None, 0.1])
def test_where_calibration_images_are_of_groups_nothing_is_promised_for_others_and_that_is_said(rate):
    detector, _ = scenes.detector(False)
    judged = detector.detector
    grouped = replace(detector, detector=replace(judged, calibration=replace(judged.calibration, n_groups=6)))
    terms = pd.DataFrame({"image_id": ["a.png", "b.png"], "map_residual": [9.0, 0.0], "reason": ""})
    for judge, groups in ((detector, None), (grouped, 6)):
        _, summary, _ = nodes.judge_pictures(terms, judge, group("inference", false_discovery_rate=rate))
        assert summary["calibration_groups"] == groups
        told = " ".join(re.sub("[│┌─┬┐└┴┘]", " ", verdict_summary(summary, {})).split())
        assert ("; no promise for groups other than the 6 of the calibration set" in told) == bool(groups)


def test_an_overlay_colours_what_is_above_the_threshold_and_leaves_the_rest():
    residual_map = np.zeros((10, 20), np.float32)
    residual_map[:, 10:] = 4.0
    drawn = np.asarray(overlay(np.full((10, 20), 100, np.uint8), residual_map, threshold=2.0))
    assert (drawn[:, :9] == 100).all()
    assert np.ptp(drawn[:, 11:].astype(int), axis=2).min() > 50


def test_an_overlay_of_a_padded_picture_lies_where_the_picture_is(project, monkeypatch):
    """The map of a perfect detector: bright where the picture is, wherever padding has moved it to."""
    picture = np.full((20, 80), 90, np.uint8)
    picture[2:6, 10:20] = 250
    judge = detector_of(project)
    geometry = json.dumps(Geometry((28, 28), 1, "pad").to_json())
    judge = replace(judge, detector=replace(judge.detector, geometry=geometry, pixel_threshold=2.0))
    monkeypatch.setattr(AnomalyDetector, "maps", lambda self, images, tiles: iter((images[:, 0] > 150) * 9.0))
    scores = pd.DataFrame({"image_id": ["000000.png"], "score": 9.0, "is_flagged": True})
    drawn = nodes.draw_overlays(pictures(lambda row: picture, 1), scores, judge, group("inference"))
    file = io.BytesIO(drawn["000000.png"]())
    coloured = np.ptp(np.asarray(Image.open(file)).astype(int), axis=2) > 50
    rows, columns = np.nonzero(coloured)
    assert abs(rows.mean() - 3.5) < 2
    assert abs(columns.mean() - 14.5) < 2
    assert coloured.mean() < 0.1
