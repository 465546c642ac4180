"""Runs in MLflow: a hook that is off until `tracking.mlflow` says otherwise."""

from __future__ import annotations

import importlib.util
import logging
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.io.core import get_filepath_str
from kedro.pipeline import Pipeline

from fanogan_pipeline.datasets.versions import COMPLETE
from fanogan_pipeline.errors import InputError, one_line
from fanogan_pipeline.manifest import NAME as MANIFEST
from fanogan_pipeline.parameters import TrackingParameters, dotted, masked, plain
from fanogan_pipeline.saved import written_versions

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import ActiveRun, MlflowClient

logger = logging.getLogger(__name__)

CURVES = ("wgan_history", "encoder_history")
METRICS = ("metrics", "pixel_quality")
FILES = {"FigureDataset": "figures", "FigureFolderDataset": "figures", "ReportDataset": "report"}
LONGEST_VALUE = 6000  # characters of a parameter that every MLflow store takes
SQLITE = "sqlite:///"


class TrackingHooks:
    """Parameters, curves, metrics, figures and report of each run, and the manifest of one that has not failed.

    A run that another plugin has opened (kedro-mlflow) is joined and left open; otherwise one is opened and closed.
    """

    def __init__(self) -> None:
        self._run_id = ""
        self._project = Path()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        self._project = context.project_path

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any], save_version: str | None) -> None:
        self._parameters = plain(parameters["parameters"])
        self._settings = TrackingParameters.model_validate(self._parameters["tracking"])
        self._version = save_version
        if self._settings.mlflow and importlib.util.find_spec("mlflow") is None:
            raise InputError(
                "tracking.mlflow: found true, but mlflow is not installed; "
                "run: pip install 'fanogan_pipeline[mlflow]', or set it to false"
            )

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        if not self._settings.mlflow:
            return
        import mlflow

        logged = {name: value for name, value in self._parameters.items() if name != "tracking"}
        flat = dotted({**masked(logged), "pipelines": sorted(run_params["pipeline_names"] or ["__default__"])})
        values = {name: str(value)[:LONGEST_VALUE] for name, value in flat.items()}
        run = mlflow.active_run()
        self._is_ours = run is None
        if run is None:
            self._run_id = _start(self._settings, self._project, self._version, values)
        else:
            self._run_id = _join(run, values)

    @hook_impl(trylast=True)  # after the manifest has been written
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._finish(pipeline, catalog, "FINISHED")

    @hook_impl(trylast=True)
    def on_pipeline_error(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._finish(pipeline, catalog, "FAILED")

    def _finish(self, pipeline: Pipeline, catalog: CatalogProtocol, status: str) -> None:
        if not self._run_id:
            return
        import mlflow

        run_id, self._run_id = self._run_id, ""
        try:
            with ExitStack() as at_the_end:
                if self._is_ours:
                    at_the_end.callback(mlflow.end_run, status)
                client = mlflow.MlflowClient()
                for name, version in written_versions(pipeline, catalog).items():
                    _log_dataset(client, run_id, name, catalog[name], version)
                if MANIFEST in catalog and status == "FINISHED":
                    client.log_dict(run_id, catalog.load(MANIFEST), f"{MANIFEST}.json")
        except Exception as error:  # what stores' own libraries raise (SQLAlchemy, boto) is of no one kind
            logger.warning(
                "MLflow run %s is not whole (%s); all of it lies in the catalog; see whether what tracking.uri names "
                "can be reached and has room",
                *(run_id, masked(one_line(error))),
            )


def _join(run: ActiveRun, values: dict[str, str]) -> str:
    """The id of a run that is open, with these parameters. Raises InputError where it cannot take them."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.log_params(values)
    except (MlflowException, OSError) as error:
        raise InputError(
            f"tracking.mlflow: found the MLflow run '{run.info.run_name}' open, which does not take the parameters of "
            f"this one ({masked(one_line(error))}); expected one that holds no others: open an MLflow run for each "
            "session, within another by mlflow.start_run(nested=True)"
        ) from error
    return str(run.info.run_id)


def _start(settings: TrackingParameters, project: Path, name: str | None, values: dict[str, str]) -> str:
    """The id of a run that MLflow has opened, with these parameters. Raises InputError where it cannot."""
    import mlflow
    from mlflow.exceptions import MlflowException

    uri, artifacts = settings.uri, None
    if uri.startswith(SQLITE):  # MLflow's own places depend on where the process stands
        database = project.absolute() / uri.removeprefix(SQLITE)
        uri, artifacts = f"{SQLITE}{database}", (database.parent / "mlruns").as_uri()
    try:
        mlflow.set_tracking_uri(uri)
        if mlflow.get_experiment_by_name(settings.experiment) is None:
            mlflow.create_experiment(settings.experiment, artifact_location=artifacts)
        mlflow.set_experiment(settings.experiment)
        run_id = mlflow.start_run(run_name=name).info.run_id
        mlflow.log_params(values)
        return str(run_id)
    except (MlflowException, OSError) as error:
        with suppress(MlflowException, OSError):
            mlflow.end_run("FAILED")  # none is open yet, or the one without all of its parameters
        raise InputError(
            f"tracking.uri: found '{masked(settings.uri)}', where MLflow cannot open a run of '{settings.experiment}' "
            f"({masked(one_line(error))}); expected a database or a server, or tracking.mlflow: false"
        ) from error


def _log_dataset(client: MlflowClient, run_id: str, name: str, dataset: Any, version: str) -> None:
    """What MLflow can show of a dataset that this run has saved; nothing of the others."""
    if name in CURVES:
        _log_curves(client, run_id, name.removesuffix("_history"), dataset.load())
    elif name in METRICS:
        for metric, value in dataset.load().items():
            if isinstance(value, int | float) and math.isfinite(value):
                client.log_metric(run_id, metric, value)
    elif folder := FILES.get(type(dataset).__name__):
        with _local(dataset, version) as path:
            client.log_artifact(run_id, path, folder)


@contextmanager
def _local(dataset: Any, version: str) -> Iterator[str]:
    """Where MLflow can read a saved file or folder: in its place, or as a copy of what lies on no local disk."""
    path = get_filepath_str(dataset._get_versioned_path(version), dataset._protocol)
    if dataset._protocol == "file":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="fanogan-") as folder:
        copy = Path(folder) / dataset._filepath.name
        dataset._fs.get(path, str(copy), recursive=True)
        if copy.is_dir():
            (copy / COMPLETE).unlink(missing_ok=True)
        yield str(copy)


def _log_curves(client: MlflowClient, run_id: str, phase: str, history: pd.DataFrame) -> None:
    """A metric for each column, a point for each row that has a number."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    points = [
        Metric(f"{phase}/{column}", float(value), now, int(step))
        for column in history.columns.drop("step")
        for step, value in zip(history["step"], history[column], strict=True)
        if math.isfinite(value)
    ]
    client.log_batch(run_id, metrics=points)
