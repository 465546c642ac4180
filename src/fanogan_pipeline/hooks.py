"""What happens around a run: checks before it, manifest, states swept and a summary after it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset, CatalogProtocol, MemoryDataset
from kedro.io.core import is_parameter
from kedro.pipeline import Node, Pipeline
from kedro.validation.exceptions import DataValidationError
from pydantic import ValidationError

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.errors import InputError, MismatchError
from fanogan_pipeline.freshness import FreshnessHooks
from fanogan_pipeline.manifest import ManifestHooks, saved_at
from fanogan_pipeline.parameters import GLOBALS, GROUPS, Globals, Group, complaint, did_you_mean
from fanogan_pipeline.tracking import TrackingHooks

logger = logging.getLogger(__name__)
PHASES = ("wgan", "encoder")
VERDICTS = {"new_verdicts": "verdicts", "new_heatmaps": "overlays"}  # what people look at, and its name for them
SMALL = 64 << 20  # bytes
# Work that can be gone on with, and all that its node stores, in whatever order.
RESULTS = {
    **{phase: {f"{phase}_model", f"{phase}_history"} for phase in PHASES},
    "inference": {"new_scores", "new_summary", "new_verdicts"},
}


class ParameterHooks:
    """Every parameter is checked before anything else happens, whichever pipeline runs."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        known = [*GROUPS, *GLOBALS]
        parameters = context.config_loader["parameters"]
        for name, value in parameters.items():
            if name not in known:
                raise InputError(f"parameters: unknown key '{name}'; {did_you_mean(name, known)}")
            if name in GROUPS:
                _check(name, GROUPS[name], value)
        _check("", Globals, {name: value for name, value in parameters.items() if name in GLOBALS})


def _check(name: str, model: type[Group], values: Any) -> None:
    try:
        model.model_validate(values)
    except ValidationError as error:
        raise InputError(complaint(name, error)) from error


class ForesightHooks:
    """What would stop a run late stops it before anything is computed or saved.

    Checked at the start: that what is not kept is made first, versions asked for, the content of small inputs, the
    device; and as soon as the number of images is known, whether they suffice to train, to choose a score and for the
    wished false-alarm rate.
    """

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any], load_versions: dict[str, str] | None) -> None:
        self._parameters, self._load_versions = parameters["parameters"], load_versions or {}

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        whole = sum((pipelines[name] for name in run_params["pipeline_names"] or ["__default__"]), Pipeline([]))
        self._trained = [name for name in PHASES if f"{name}_model" in pipeline.all_outputs()]
        self._is_calibrated = "detector" in pipeline.all_outputs()
        _check_runner(str(run_params.get("runner")), bool(self._trained))
        _check_start(pipeline, whole, catalog)
        for name in self._load_versions:
            if isinstance(dataset := catalog[name], AtomicFileDataset):
                dataset.resolve_load_version()
        for name in pipeline.inputs():
            if name in catalog and _is_small(catalog[name]):
                _try_out(name, catalog)
        if "params:device" in pipeline.inputs() and self._parameters["device"] == "cuda":
            from fanogan_pipeline.training.devices import choose_device

            choose_device("cuda")

    @hook_impl
    def after_node_run(self, outputs: dict[str, Any]) -> None:
        if "train_set" not in outputs or not self._trained:
            return
        from fanogan_pipeline.training.data import check_batch_size

        for name in self._trained:
            check_batch_size(f"{name}.batch_size", self._parameters[name].batch_size, len(outputs["train_set"]))
        if self._is_calibrated:
            from fanogan_pipeline.detection import choice, scoring

            wanted = self._parameters["scoring"]
            if wanted.score == "chosen":
                choice.check_count(len(outputs["selection_set"].first_rows))
            scoring.warn_of_few(len(outputs["calibration_set"].first_rows), wanted.false_alarm_rate)


def _check_runner(runner: str, trains: bool) -> None:
    expected = "SequentialRunner" if trains else "SequentialRunner or ThreadRunner"
    if "ParallelRunner" in runner:
        raise InputError(
            f"--runner: found ParallelRunner, expected {expected}: nodes hand each other models "
            "in memory, and a run keeps one manifest; training.processes and compute.engine spread work over processes"
        )
    if "ThreadRunner" in runner and trains:
        raise InputError(
            f"--runner: found ThreadRunner, expected {expected}: Ctrl-C reaches the main thread alone, where training "
            "stops with its state saved; run without --runner (training's nodes wait for one another anyway)"
        )


def _check_start(pipeline: Pipeline, whole: Pipeline, catalog: CatalogProtocol) -> None:
    """A part of the whole that begins where something is needed that lives only during a run."""
    missing = {name for name in pipeline.inputs() if _is_passing(name, catalog) and not catalog[name].exists()}
    makers = {name: node for node in whole.nodes for name in node.outputs}
    found, starts = sorted(missing), set()
    while missing & set(makers):
        node = makers[(missing & set(makers)).pop()]
        missing -= set(node.outputs)
        before = {name for name in node.inputs if _is_passing(name, catalog) and not catalog[name].exists()}
        missing |= before
        starts |= set() if before else {node.name}
    if starts:
        raise InputError(
            f"this part of the pipeline needs {', '.join(found)}, which a run makes and does not keep; "
            f"start it further up: --from-nodes {','.join(sorted(starts))}"
        )


def _is_passing(name: str, catalog: CatalogProtocol) -> bool:
    return name in catalog and isinstance(catalog[name], MemoryDataset) and not is_parameter(name)


def _try_out(name: str, catalog: CatalogProtocol) -> None:
    try:
        catalog.load(name)
    except DataValidationError as error:
        (error.__cause__ or error).add_note(f"it is in version {catalog[name].resolve_load_version()}")
        raise


def _is_small(dataset: AbstractDataset) -> bool:
    """Whether reading it once more costs nothing worth a thought."""
    if not isinstance(dataset, AtomicFileDataset) or dataset._protocol != "file":
        return False
    path = Path(dataset._get_load_path())
    return path.is_file() and path.stat().st_size <= SMALL


class VersionHooks:
    """A refusal of files that do not belong together names the version of each."""

    @hook_impl
    def on_node_error(self, error: Exception, node: Node, catalog: CatalogProtocol) -> None:
        if isinstance(error, MismatchError):
            stored = {name: catalog[name] for name in node.inputs if name in catalog}
            versions = [
                f"{name} {dataset.resolve_load_version()}"
                for name, dataset in stored.items()
                if isinstance(dataset, AtomicFileDataset)
            ]
            error.add_note(f"read here: {', '.join(versions)}")


class StateHooks:
    """What unfinished work had kept goes once all that its node makes is safely stored."""

    @hook_impl
    def before_pipeline_run(self, catalog: CatalogProtocol) -> None:
        self._catalog, self._parts = catalog, ""
        self._stored: set[str] = set()
        self._let_go()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        if dataset_name == "new_scores":
            self._parts = data.attrs.get("parts", "")
        self._stored.add(dataset_name)
        for work, results in RESULTS.items():
            if dataset_name in results and results <= self._stored:
                self._tidy(work)

    def _tidy(self, work: str) -> None:
        if work in PHASES and (states := self._states()):
            for key in states.held(f"{work}-"):  # of this training alone: one that was stopped is held no longer
                states.discard(key)
        if work == "inference" and self._parts:
            from fanogan_pipeline.datasets.staging import remove_unless_held

            remove_unless_held(Path(self._parts))  # another run may be at the same pictures

    @hook_impl
    def on_pipeline_error(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        """A notebook lives on after a run that was stopped, and any process may go on from the states of that one."""
        if states := self._states():
            for key in states.held():
                states.release(key)

    def _states(self) -> StateStore | None:
        return self._catalog["training_states"].load() if "training_states" in self._catalog else None


class SummaryHooks:
    """The short table at the end."""

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any]) -> None:
        self._reporting = parameters["parameters"]["reporting"]
        self._saved: dict[str, Any] = {}  # of this run: a notebook lives on after one that failed

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        if dataset_name in ("metrics", "report", "new_summary", *VERDICTS):
            self._saved[dataset_name] = data

    @hook_impl
    def after_pipeline_run(self, catalog: CatalogProtocol) -> None:
        if not self._saved:
            return
        from fanogan_pipeline.figures import summary_table, verdict_summary

        if metrics := self._saved.pop("metrics", None):
            report = saved_at(catalog["report"]) if "report" in self._saved else None
            print(summary_table(metrics, report, self._reporting.confidence))
        if summary := self._saved.pop("new_summary", None):
            places = {kind: saved_at(catalog[name]) for name, kind in VERDICTS.items() if name in self._saved}
            paths = {kind: place for kind, place in places.items() if place}
            print(verdict_summary(summary, paths))


MANIFEST_HOOKS = ManifestHooks()
HOOKS = (
    ParameterHooks(),
    FreshnessHooks(),
    MANIFEST_HOOKS,
    ForesightHooks(),
    VersionHooks(),
    StateHooks(),
    TrackingHooks(),
    SummaryHooks(),
)
