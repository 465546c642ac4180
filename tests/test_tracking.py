"""Runs in MLflow: what is logged, where, and what happens without it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, Version
from kedro.pipeline import Node, Pipeline
from tests.in_process import copy_of
from tests.project import ROOT

from fanogan_pipeline.datasets import FigureDataset, FigureFolderDataset, JSONDataset, ParquetDataset
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.parameters import WganParameters
from fanogan_pipeline.tracking import TrackingHooks

HISTORY = pd.DataFrame({"step": [4, 8, 12], "loss_critic": [3.0, 2.0, 1.0], "gradient_penalty": [np.nan, 0.5, 0.25]})
NAMES = ("wgan_history", "metrics", "roc_curve", "run_manifest")
VERSION = "2026-01-01T00.00.00.000Z"


def parameters(mlflow: bool, uri: str = "unused") -> dict[str, Any]:
    import yaml

    wgan = yaml.safe_load((ROOT / "conf/base/parameters_wgan.yml").read_text())["wgan"]
    tracking = {"mlflow": mlflow, "uri": uri, "experiment": "tests"}
    return {"parameters": {"seed": 3, "wgan": WganParameters.model_validate(wgan), "tracking": tracking}}


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    return catalog_in(str(tmp_path))


def catalog_in(folder: str) -> DataCatalog:
    kinds = (ParquetDataset, JSONDataset, FigureDataset, JSONDataset)
    files = ("wgan_history.parquet", "metrics.json", "roc_curve.png", "run_manifest.json")
    return DataCatalog(
        {
            name: kind(filepath=f"{folder}/{file}", version=Version(None, VERSION))
            for name, kind, file in zip(NAMES, kinds, files, strict=True)
        }
    )


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline([Node(lambda seed: None, "params:seed", list(NAMES[:3]), name="everything")])


def save(catalog: DataCatalog) -> None:
    catalog.save("wgan_history", HISTORY)
    catalog.save("metrics", {"auroc": 0.75, "pixel_auroc": None, "n_normal": 40})
    catalog.save("roc_curve", matplotlib.figure.Figure())


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    monkeypatch.chdir(tmp_path)
    yield module
    module.end_run()


def run(
    catalog: DataCatalog,
    pipeline: Pipeline,
    uri: str,
    error: bool = False,
    meanwhile: Callable[[], Any] = lambda: None,
    **changes: Any,
) -> None:
    hooks = TrackingHooks()
    given = parameters(mlflow=True, uri=uri)["parameters"] | changes
    hooks.after_catalog_created({"parameters": given}, VERSION)
    hooks.before_pipeline_run({"pipeline_names": ["wgan"]})
    save(catalog)
    meanwhile()
    if error:
        hooks.on_pipeline_error(pipeline, catalog)
    else:
        catalog.save("run_manifest", {"command": "kedro run"})
        hooks.after_pipeline_run(pipeline, catalog)


def only_run(mlflow: Any, uri: str) -> tuple[Any, Any]:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("tests")
    (found,) = client.search_runs([experiment.experiment_id])
    return client, found


def test_a_run_is_logged_whole_and_a_failed_one_as_failed(
    mlflow: Any, catalog: DataCatalog, pipeline: Pipeline, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/runs.db"
    run(catalog, pipeline, uri)
    client, found = only_run(mlflow, uri)
    assert (found.info.run_name, found.info.status) == (VERSION, "FINISHED")
    assert found.data.params["wgan.steps"] == str(parameters(True)["parameters"]["wgan"].steps)
    assert found.data.params["seed"] == "3"
    assert not any(name.startswith("tracking") for name in found.data.params)
    assert found.data.metrics["auroc"] == 0.75
    assert found.data.metrics["n_normal"] == 40
    assert "pixel_auroc" not in found.data.metrics
    curve = client.get_metric_history(found.info.run_id, "wgan/loss_critic")
    assert [(point.step, point.value) for point in curve] == [(4, 3.0), (8, 2.0), (12, 1.0)]
    gaps = client.get_metric_history(found.info.run_id, "wgan/gradient_penalty")
    assert [point.step for point in gaps] == [8, 12]
    artifacts = {entry.path for entry in client.list_artifacts(found.info.run_id)}
    assert artifacts == {"figures", "run_manifest.json"}
    (tmp_path / "fetched").mkdir()
    place = client.download_artifacts(found.info.run_id, "run_manifest.json", str(tmp_path / "fetched"))
    assert json.loads(Path(place).read_text()) == {"command": "kedro run"}
    assert mlflow.active_run() is None

    client.delete_run(found.info.run_id)
    for name in NAMES:
        path = catalog[name]._get_versioned_path(VERSION)
        Path(path).unlink()
        Path(path).parent.rmdir()
    run(catalog, pipeline, uri, error=True)
    client, failed = only_run(mlflow, uri)
    assert failed.info.status == "FAILED"
    assert failed.data.metrics["auroc"] == 0.75


def test_a_run_that_is_open_is_joined_and_left_open(
    mlflow: Any, catalog: DataCatalog, pipeline: Pipeline, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/others.db")
    mlflow.set_experiment("others")
    with mlflow.start_run() as opened:
        run(catalog, pipeline, f"sqlite:///{tmp_path}/unused.db")
        assert mlflow.active_run().info.run_id == opened.info.run_id
    assert mlflow.get_run(opened.info.run_id).data.metrics["auroc"] == 0.75
    assert not (tmp_path / "unused.db").exists()


def test_a_second_run_with_other_parameters_needs_a_run_of_its_own_within_the_one_that_is_open(
    mlflow: Any, pipeline: Pipeline, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/others.db")
    mlflow.set_experiment("others")
    with mlflow.start_run(run_name="sweep") as opened:
        run(catalog_in(f"{tmp_path}/first"), pipeline, "unused")
        with pytest.raises(InputError, match=r"found the MLflow run 'sweep' open.*seed.*start_run\(nested=True\)$"):
            run(catalog_in(f"{tmp_path}/second"), pipeline, "unused", seed=4)
        assert mlflow.active_run().info.run_id == opened.info.run_id
        with mlflow.start_run(nested=True) as nested:
            run(catalog_in(f"{tmp_path}/third"), pipeline, "unused", seed=4)
    assert mlflow.get_run(nested.info.run_id).data.params["seed"] == "4"


def test_a_store_that_breaks_down_at_the_end_costs_one_line_and_no_run(
    mlflow: Any, catalog: DataCatalog, pipeline: Pipeline, tmp_path: Path, caplog: Any
) -> None:
    database = tmp_path / "runs.db"
    run(catalog, pipeline, f"sqlite:///{database}", meanwhile=lambda: database.write_bytes(b"no database" * 20_000))
    assert mlflow.active_run() is None
    (said,) = [record for record in caplog.records if record.name == "fanogan_pipeline.tracking"]
    assert "is not whole (" in said.getMessage()
    assert "all of it lies in the catalog" in said.getMessage()


def test_a_run_whose_parameters_are_not_taken_is_refused_and_left_failed(
    mlflow: Any, catalog: DataCatalog, pipeline: Pipeline, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/runs.db"
    with pytest.raises(InputError, match=r"where MLflow cannot open a run of 'tests' .*what[?]"):
        run(catalog, pipeline, uri, **{"what?": 1})
    assert mlflow.active_run() is None
    assert only_run(mlflow, uri)[1].info.status == "FAILED"


def test_figures_on_a_store_are_logged_too(mlflow: Any, pipeline: Pipeline, tmp_path: Path) -> None:
    catalog = catalog_in("memory://tracking")
    catalog["sheets"] = FigureFolderDataset(filepath="memory://tracking/sheets", version=Version(None, VERSION))
    sheets = Pipeline([Node(lambda seed: None, "params:seed", "sheets", name="sheets")])
    catalog.save("sheets", {"one.png": matplotlib.figure.Figure()})
    uri = f"sqlite:///{tmp_path}/runs.db"
    run(catalog, pipeline + sheets, uri)
    client, found = only_run(mlflow, uri)
    logged = {entry.path for entry in client.list_artifacts(found.info.run_id, "figures")}
    assert logged == {"figures/roc_curve.png", "figures/sheets"}
    assert [entry.path for entry in client.list_artifacts(found.info.run_id, "figures/sheets")] == [
        "figures/sheets/one.png"
    ]


def test_wherever_the_process_stands_a_relative_store_lies_in_the_project(
    mlflow: Any, smoke_project: Path, tmp_path: Path
) -> None:
    project = copy_of(smoke_project, tmp_path / "project")
    (tmp_path / "notebooks").mkdir()
    os.chdir(tmp_path / "notebooks")
    bootstrap_project(project)
    tracking = {"mlflow": True, "uri": "sqlite:///runs.db", "experiment": "tests"}
    with KedroSession.create(project, env="smoke", runtime_params={"tracking": tracking}) as session:
        session.run(node_names=["reporting.catch_by_class"])
    _, found = only_run(mlflow, f"sqlite:///{project}/runs.db")
    assert [path.name for path in project.glob(f"mlruns/{found.info.run_id}/artifacts/*")] == ["run_manifest.json"]
    assert not list((tmp_path / "notebooks").iterdir())


@pytest.mark.parametrize("uri", ["mlruns", "nowhere://server", "nowhere://me:pass@server"])
def test_a_store_that_mlflow_does_not_take_is_refused_in_one_line(mlflow: Any, uri: str) -> None:
    hooks = TrackingHooks()
    hooks.after_catalog_created(parameters(mlflow=True, uri=uri), VERSION)
    shown = re.escape(uri.replace("me:pass@", "***@"))
    words = f"^tracking.uri: found '{shown}', where MLflow cannot open .*, or tracking.mlf"
    with pytest.raises(InputError, match=words) as refused:
        hooks.before_pipeline_run({"pipeline_names": None})
    assert "me:pass" not in str(refused.value)


def test_off_until_configured(catalog: DataCatalog, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)  # importing it would fail
    hooks = TrackingHooks()
    hooks.after_catalog_created(parameters(mlflow=False), VERSION)
    hooks.before_pipeline_run({"pipeline_names": None})
    save(catalog)
    hooks.after_pipeline_run(pipeline, catalog)


def test_without_mlflow_one_line_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"mlflow is not installed; run: pip install 'fanogan_pipeline\[mlflow\]'"):
        TrackingHooks().after_catalog_created(parameters(mlflow=True), VERSION)
