"""What happens around a run: checks before it, manifest, states swept and a summary after it."""

from __future__ import annotations

import multiprocessing
import re
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Node
from pydantic import ValidationError

from fanogan_pipeline.datasets.staging import remove_unless_held
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.errors import InputError, MismatchError
from fanogan_pipeline.foresight import PHASES, ForesightHooks
from fanogan_pipeline.freshness import FreshnessHooks
from fanogan_pipeline.log import show
from fanogan_pipeline.manifest import ManifestHooks, typed_parameters
from fanogan_pipeline.parameters import GLOBALS, GROUPS, Globals, Group, complaint, did_you_mean
from fanogan_pipeline.provenance import version_read
from fanogan_pipeline.saved import saved_at
from fanogan_pipeline.tracking import TrackingHooks

VERDICTS = {"new_verdicts": "verdicts", "new_heatmaps": "overlays"}  # what people look at, and its name for them
# Work that can be gone on with, and all that its nodes store, in whatever order.
RESULTS = {
    **{phase: {f"{phase}_model", f"{phase}_history"} for phase in PHASES},
    "inference": {"new_scores", "new_summary", *VERDICTS},
}


class OneRunHooks:
    """One run at a time in a process: states of training that are held, torch's settings and the hooks of a run are the
    whole process's. A refused run leaves the one that goes on as it is. A run's own processes start none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: threading.Thread | None = None  # that began a run

    @hook_impl(wrapper=True)  # before all others
    def before_pipeline_run(self) -> Generator[None, Any, Any]:
        if getattr(multiprocessing.current_process(), "_inheriting", False):  # as Python tells it itself
            raise InputError(
                "a process that a run has started imports the script that started the run, and would run it again; put "
                "what starts a run under if __name__ == '__main__':"
            )
        me = threading.current_thread()
        with self._lock:
            if self._last not in (None, me) and _is_at_a_run(self._last):
                raise InputError(
                    "this process is at another run, expected one at a time; start this one when that one has ended, "
                    "or in a process of its own"
                )
            self._last = me
        return (yield)


def _is_at_a_run(thread: threading.Thread) -> bool:
    """Whether it is inside a session of Kedro's, which tells no hook that Ctrl-C has ended a run."""
    frame = sys._current_frames().get(thread.ident or 0) if thread.is_alive() else None
    while frame and not frame.f_globals.get("__name__", "").startswith("kedro.framework.session."):
        frame = frame.f_back
    return frame is not None


class ParameterHooks:
    """Every parameter is checked before anything else happens, whichever pipeline runs."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        known = [*GROUPS, *GLOBALS]
        loader = context.config_loader
        assert isinstance(loader, OmegaConfigLoader)
        parameters = loader["parameters"]
        for name, value in parameters.items():
            if name.startswith("_"):  # of Kedro's templates, whose values others take
                continue
            if name not in known and not (name in (loader.runtime_params or {}) and _is_taken(name, loader)):
                own = "; a group of your own: docs/contributing.md" if isinstance(value, dict) else ""
                raise InputError(f"parameters: unknown key '{name}'; {did_you_mean(name, known)}{own}")
            if name in GROUPS:
                _check(name, GROUPS[name], value)
        _check("", Globals, {name: value for name, value in parameters.items() if name in GLOBALS})


def _is_taken(name: str, loader: OmegaConfigLoader) -> bool:
    """Whether the configuration of this run takes a key of `--params` by `${runtime_params:name}`."""
    taken, comment = re.compile(rf"runtime_params:\s*{re.escape(name)}\b".encode()), re.compile(rb"(?m)(^|\s)#.*")
    files = loader._fs  # a folder, an archive or an object store; Kedro shows it no other way
    environments = {loader.base_env, loader.env or loader.default_run_env}
    paths = [path for env in environments for path in files.find(loader._get_conf_env_path(env))]
    texts = (files.cat_file(path) for path in paths if path.endswith((".yml", ".yaml", ".json")))
    return any(taken.search(comment.sub(b"", text)) for text in texts)


def _check(name: str, model: type[Group], values: Any) -> None:
    try:
        model.model_validate(values)
    except ValidationError as error:
        raise InputError(complaint(name, error)) from error


class VersionHooks:
    """A refusal of files that do not belong together names the version of each."""

    @hook_impl
    def on_node_error(self, error: Exception, node: Node, catalog: CatalogProtocol) -> None:
        if isinstance(error, MismatchError):
            read = {name: version_read(catalog[name]) for name in node.inputs if name in catalog}
            error.add_note(f"read here: {', '.join(f'{name} {version}' for name, version in read.items() if version)}")


class StateHooks:
    """What unfinished work had kept goes once all that its nodes make is safely stored."""

    @hook_impl
    def before_pipeline_run(self, catalog: CatalogProtocol) -> None:
        self._catalog, self._stored = catalog, set[str]()
        self._parts: dict[str, str] = {}  # namespace -> the folder of its inference
        self._let_go()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        self._stored.add(dataset_name)
        namespace, dot, name = dataset_name.rpartition(".")
        if name == "new_terms" and "parts" in data.attrs:
            self._parts[namespace] = data.attrs["parts"]
        for work, results in RESULTS.items():
            if name in results and {f"{namespace}{dot}{one}" for one in results} <= self._stored:
                self._tidy(work, namespace)

    def _tidy(self, work: str, namespace: str) -> None:
        if work in PHASES and (states := self._states()):
            for key in states.held(f"{work}-"):  # of this training alone: one that was stopped is held no longer
                states.discard(key)
        if work == "inference" and namespace in self._parts:
            remove_unless_held(Path(self._parts[namespace]))  # another run may be at the same pictures

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
    def before_pipeline_run(self) -> None:
        self._saved: dict[str, Any] = {}  # of this run: a notebook lives on after one that failed

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        if dataset_name in ("metrics", "report", "new_summary", *VERDICTS):
            self._saved[dataset_name] = data

    @hook_impl(trylast=True)  # what fails here fails nothing else
    def after_pipeline_run(self, catalog: CatalogProtocol) -> None:
        if not self._saved:
            return
        from fanogan_pipeline.figures import summary_table, verdict_summary

        if metrics := self._saved.pop("metrics", None):
            report = saved_at(catalog["report"]) if "report" in self._saved else None
            confidence = typed_parameters(catalog)["reporting"].confidence
            show(summary_table(metrics, report, confidence))
        if summary := self._saved.pop("new_summary", None):
            places = {kind: saved_at(catalog[name]) for name, kind in VERDICTS.items() if name in self._saved}
            paths = {kind: place for kind, place in places.items() if place}
            show(verdict_summary(summary, paths))


MANIFEST_HOOKS = ManifestHooks()
HOOKS = (
    OneRunHooks(),
    ParameterHooks(),
    FreshnessHooks(),
    MANIFEST_HOOKS,
    ForesightHooks(),
    VersionHooks(),
    StateHooks(),
    TrackingHooks(),
    SummaryHooks(),
)
