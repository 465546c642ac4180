"""Kedro's own commands do here what a Kedro user expects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from kedro.io import DataCatalog
from tests.in_process import copy_of, run_here
from tests.parts import group
from tests.project import kedro, newest

from fanogan_pipeline.hooks import SummaryHooks


def test_ipython_gives_the_catalog(smoke_project: Path) -> None:
    done = kedro(smoke_project, "ipython", "--env", "smoke", "-c", "print('FOUND', len(catalog.load('test_set')))")
    assert "FOUND 300" in done.stdout


def test_params_from_nodes_and_load_versions_act_together(smoke_project: Path, tmp_path: Path) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    first = newest(project, "test_scores.parquet").parent.name
    done = run_here(project, "--env", "smoke", "--from-nodes", "reporting.measure_quality", "--to-outputs", "metrics")
    assert done.status == 0, done.output
    done = run_here(
        project,
        *("--env", "smoke", "--pipelines", "reporting", "--to-outputs", "metrics"),
        *("--params", "reporting.confidence=0.5", "--load-versions", f"test_scores:{first}"),
    )
    assert done.status == 0, done.output
    versions = sorted(project.glob("data/08_reporting/metrics.json/*/metrics.json"))
    wide, narrow = (json.loads(path.read_text()) for path in versions[-2:])
    assert wide["auroc"] == narrow["auroc"]
    assert wide["auroc_ci_high"] - wide["auroc_ci_low"] > narrow["auroc_ci_high"] - narrow["auroc_ci_low"]
    manifest = json.loads(newest(project, "run_manifest.json").read_text())
    assert manifest["read"]["test_scores"]["version"] == first


def test_a_part_that_needs_what_is_not_kept_is_told_where_to_start(smoke_project: Path, tmp_path: Path) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    before = len(list(project.glob("data/06_models/detector.json/*")))
    done = run_here(project, "--env", "smoke", "--from-nodes", "scoring.calibrate_detector")
    assert done.status == 1
    assert "needs calibration_terms, restorer, selection_terms, test_terms, which a run makes and does not" in done.line
    assert done.line.endswith("start it further up: --from-nodes scoring.load_restorer")
    start = done.line.rsplit(" ", 1)[1]
    done = run_here(project, "--env", "smoke", "--from-nodes", start, "--to-nodes", "scoring.calibrate_detector")
    assert done.status == 0, done.output
    assert len(list(project.glob("data/06_models/detector.json/*"))) == before + 1


def test_runners_that_share_memory_do_and_the_other_is_refused(smoke_project: Path, tmp_path: Path) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    done = run_here(project, "--env", "smoke", "--pipelines", "data_prep", "--runner", "ThreadRunner")
    assert done.status == 0, done.output
    # nothing passes in memory between the nodes of the second
    for part in (("--pipelines", "data_prep"), ("--nodes", "wgan.draw_generated_samples,wgan.draw_latent_walk")):
        done = run_here(project, "--env", "smoke", *part, "--runner", "ParallelRunner")
        assert done.status == 1
        assert done.line.startswith("Error: --runner: found ParallelRunner, expected SequentialRunner or ThreadRunner")


@pytest.mark.parametrize("phase", ["wgan", "encoder"])
def test_where_models_are_trained_the_runner_that_ctrl_c_does_not_reach_is_refused(phase, smoke_project: Path) -> None:
    done = run_here(smoke_project, "--env", "smoke", "--pipelines", phase, "--runner", "ThreadRunner")
    assert done.status == 1
    assert done.line.startswith("Error: --runner: found ThreadRunner, expected SequentialRunner: ")


def test_metrics_of_a_run_that_failed_are_not_those_of_the_next_in_the_same_process(capsys) -> None:
    hooks, parameters = SummaryHooks(), {"parameters": {"reporting": group("reporting")}}
    hooks.after_catalog_created(parameters)
    hooks.after_dataset_saved("metrics", {"auroc": 0.5})
    hooks.after_catalog_created(parameters)
    hooks.after_pipeline_run(DataCatalog())
    assert capsys.readouterr().out == ""


def test_the_summary_names_the_report_of_this_run_alone(smoke_project: Path, tmp_path: Path) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    entries = {
        "report": {"type": "fanogan_pipeline.datasets.ReportDataset", "filepath": "data/08_reporting/one.html"},
        "run_manifest": {"type": "fanogan_pipeline.datasets.JSONDataset", "filepath": "data/08_reporting/one.json"},
    }
    (project / "conf/smoke/catalog.yml").write_text(yaml.safe_dump(entries))
    nodes = ["--env", "smoke", "--nodes"]
    done = run_here(project, *nodes, "reporting.measure_quality")
    assert done.status == 0, done.output
    assert "AUROC" in done.output
    assert "report: " not in done.output
    done = run_here(project, *nodes, "reporting.measure_quality,reporting.write_report")
    assert done.status == 0, done.output
    assert f"report: {project / 'data/08_reporting/one.html'}\n" in done.output
    assert json.loads((project / "data/08_reporting/one.json").read_text())["is_complete"]
