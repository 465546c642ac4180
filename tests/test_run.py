"""The whole job, as a stranger would run it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.project import ROOT, kedro, newest

from fanogan_pipeline.datasets import staging
from fanogan_pipeline.datasets.safetensors_format import from_bytes


@pytest.fixture
def project(smoke_project: Path, tmp_path: Path) -> Path:
    """A copy of the project after the smoke run, to do with as a test likes."""
    return Path(shutil.copytree(smoke_project, tmp_path / "project", symlinks=True))


def header(project: Path, model: str) -> dict:
    path = newest(project, f"{model}.safetensors")
    return from_bytes(path.read_bytes(), str(path)).header


def test_every_dataset_of_the_default_pipelines_stands_in_a_version(smoke_project):
    catalog = yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text())
    made = {path.parts[-3] for path in smoke_project.glob("data/0[5-8]*/*/*/*")}
    for name in ("train_set", "wgan_model", "encoder_model", "detector", "test_scores", "metrics", "report"):
        assert Path(catalog[name]["filepath"]).name in made
    assert len(list(smoke_project.glob("data/08_reporting/*.png/*/*.png"))) >= 11


def test_the_run_says_how_it_went_and_warns_of_nothing(smoke_project):
    log = (smoke_project / "run.log").read_text()
    for word in ("AUROC", "threshold", "false alarms promised", "false alarms measured", "recall", "report: "):
        assert word in log
    for phase in ("wgan: step 12 of 12", "encoder: step 12 of 12"):
        assert phase in log
    assert re.search(r"images/s, \d+ s left", log)
    assert "Warning" not in log
    assert "WARNING" not in log
    assert "Traceback" not in log


def test_the_report_is_one_file_that_needs_nothing_else(smoke_project):
    page = newest(smoke_project, "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 11
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    metrics = json.loads(newest(smoke_project, "metrics.json").read_text())
    assert f"{metrics['n_anomalous']:,}" in page
    assert "wgan.latent_dim" in page


def test_scores_and_metrics_belong_together(smoke_project):
    scores = pd.read_parquet(newest(smoke_project, "test_scores.parquet"))
    metrics = json.loads(newest(smoke_project, "metrics.json").read_text())
    detector = json.loads(newest(smoke_project, "detector.json").read_text())
    assert metrics["threshold"] == detector["threshold"]
    assert (scores["is_flagged"] == (scores["score"] > detector["threshold"])).all()
    assert metrics["recall"] == pytest.approx(scores.loc[scores["is_anomaly"], "is_flagged"].mean())
    calibration = pd.read_parquet(newest(smoke_project, "calibration_scores.parquet"))
    assert sorted(calibration["score"]) == pytest.approx(detector["calibration_scores"])
    assert calibration["p_value"].min() == 1 / len(calibration)  # the highest score of them all, counted once
    assert not calibration["is_anomaly"].any()
    assert not set(calibration["image_id"]) & set(scores["image_id"])


def test_the_encoder_pipeline_alone_trains_on_the_newest_wgan_and_local_overrides_merge(project):
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/smoke/parameters_mine.yml").unlink(missing_ok=True)
    values = yaml.safe_load((project / "conf/smoke/parameters.yml").read_text())
    (project / "conf/local/parameters.yml").write_text(
        yaml.safe_dump(values | {"encoder": {"steps": 5, "batch_size": 8, "corruption": {"noise": 0.25}}})
    )
    before = header(project, "encoder_model")
    done = kedro(project, "run", "--pipeline", "encoder")  # the older form, in the user's own environment
    after = header(project, "encoder_model")
    assert "deprecat" not in (done.stdout + done.stderr).lower()
    assert after["wgan_digest"] == before["wgan_digest"]
    assert after["parameters"]["steps"] == 5
    assert after["parameters"]["corruption"]["noise"] == 0.25
    assert after["parameters"]["corruption"]["blank"] == before["parameters"]["corruption"]["blank"]
    assert len(list(project.glob("data/06_models/wgan_model.safetensors/*"))) == 1


def test_nothing_that_is_half_done_is_left_behind(smoke_project):
    states = smoke_project / "data/06_models/.training_states"
    assert not [path for path in states.glob("*") if path.is_file() and not path.name.startswith(".")]
    assert not list(smoke_project.glob(f"data/**/{staging.PREFIX}*"))


def test_the_first_line_of_a_mistake_is_the_last(smoke_project):
    before = sorted(smoke_project.glob("data/0[5-8]*/*/*"))
    done = kedro(smoke_project, "run", "--env", "smoke", "--params", "wgan.stepz=3", expect=1)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("Error: wgan: unknown parameter 'stepz'; did you mean 'steps'?")
    assert "Traceback" not in done.stdout + done.stderr
    assert sorted(smoke_project.glob("data/0[5-8]*/*/*")) == before
