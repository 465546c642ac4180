"""Kedro's own commands do here what a Kedro user expects."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import ParallelRunner, SequentialRunner
from tests.in_process import copy_of, run_here
from tests.project import copy_project, in_python, kedro, newest

from fanogan_pipeline import pipeline_registry
from fanogan_pipeline.datasets import StateStoreDataset
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.hooks import MANIFEST_HOOKS, StateHooks, SummaryHooks
from fanogan_pipeline.networks import Checkpoint


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
    hooks = SummaryHooks()
    hooks.before_pipeline_run()
    hooks.after_dataset_saved("metrics", {"auroc": 0.5})
    hooks.before_pipeline_run()
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


def test_a_pipeline_of_ones_own_may_write_metrics_without_a_word_of_parameters(
    smoke_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    metrics = json.loads(newest(project, "metrics.json").read_text())
    own = {"own": Pipeline([Node(lambda scores: metrics, "test_scores", "metrics")])}
    monkeypatch.setattr(pipeline_registry, "register_pipelines", lambda: own)
    done = run_here(project, "--env", "smoke", "--pipelines", "own")
    assert done.status == 0, done.output
    assert "AUROC" in done.output


def test_states_go_once_all_of_their_training_is_stored_under_a_namespace_too(tmp_path: Path) -> None:
    states, hooks = StateStoreDataset(filepath=str(tmp_path)), StateHooks()
    hooks.before_pipeline_run(DataCatalog({"training_states": states}))
    for namespace in ("", "first.", "second."):
        states.load().save("wgan-0", Checkpoint({}, {}))
        hooks.after_dataset_saved(f"{namespace}wgan_model", None)
        assert states.load().keys() == ["wgan-0"]
        hooks.after_dataset_saved(f"{namespace}wgan_history", None)
        assert states.load().keys() == []


def test_keys_that_kedros_templates_use_are_no_unknown_parameters(smoke_project: Path, tmp_path: Path) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    few = "_few: &few {max_train: 50, max_test: 20}\ndata_prep: {<<: *few}"
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/local/parameters.yml").write_text(few)
    done = run_here(project, "--pipelines", "data_prep")
    assert done.status == 0, done.output


class Waiting(SequentialRunner):
    """Begins its nodes when it is told to."""

    def __init__(self, stopped_by: type[BaseException] | None = None) -> None:
        super().__init__()
        self.is_at_work, self.may_go_on, self._stopped_by = threading.Event(), threading.Event(), stopped_by

    def _run(self, *arguments: Any, **named: Any) -> None:
        self.is_at_work.set()
        assert self.may_go_on.wait(60)
        if self._stopped_by:
            raise self._stopped_by
        super()._run(*arguments, **named)


def run_in_python(project: Path, confidence: float, **wanted: Any) -> None:
    with KedroSession.create(project, env="smoke", runtime_params={"reporting": {"confidence": confidence}}) as session:
        session.run(node_names=["reporting.measure_quality"], **wanted)


def test_a_second_run_in_a_process_is_refused_and_leaves_the_first_alone(smoke_project: Path, tmp_path: Path) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    bootstrap_project(project)
    with ThreadPoolExecutor(1) as pool:
        for stopped_by in (None, ZeroDivisionError, SystemExit):  # Kedro tells no hook of the last, as of Ctrl-C
            runner = Waiting(stopped_by)
            first = pool.submit(run_in_python, project, 0.9, runner=runner)
            assert runner.is_at_work.wait(60)
            with pytest.raises(InputError, match="this process is at another run"):
                run_in_python(project, 0.5)
            assert MANIFEST_HOOKS._parameters["reporting"]["confidence"] == 0.9
            assert first.running()
            runner.may_go_on.set()
            assert isinstance(first.exception(60), stopped_by or type(None))
            run_in_python(project, 0.5)  # the thread lives on, and is at no run
        with pytest.raises(InputError, match="ParallelRunner"):
            pool.submit(run_in_python, project, 0.9, runner=ParallelRunner()).result(60)
        run_in_python(project, 0.5)
    manifests = sorted(project.glob("data/08_reporting/run_manifest.json/*/*"))[-5:]
    found = [json.loads(path.read_text()) for path in manifests]
    assert [one["parameters"]["reporting"]["confidence"] for one in found] == [0.9, 0.5, 0.5, 0.5, 0.5]
    assert all(one["is_complete"] and set(one["written"]) == {"metrics"} for one in found)


WITHOUT_A_GUARD = """
import multiprocessing
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
with KedroSession.create(Path.cwd(), env="smoke") as session:
    session.run(pipeline_names=["data_prep"])
child = multiprocessing.get_context("spawn").Process(target=print)
child.start()
child.join()
"""


def test_a_script_that_a_process_of_its_run_imports_runs_once_and_is_told_what_it_lacks(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    (project / "script.py").write_text(WITHOUT_A_GUARD)
    done = in_python(project, "script.py")
    assert "put what starts a run under if __name__ == '__main__':" in done.stderr
    assert len(list(project.glob("data/05_model_input/train_set.npz/*"))) == 1
