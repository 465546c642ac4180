"""The manifest that every run leaves: what it was, what it read and wrote, and the command that repeats it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, cast

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import settings
from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Node, Pipeline
from omegaconf.errors import OmegaConfBaseException

from fanogan_pipeline import own_code, provenance, run_command, surroundings
from fanogan_pipeline.datasets.json_file import JSONDataset
from fanogan_pipeline.errors import InputError, one_line
from fanogan_pipeline.parameters import dotted, masked, plain, typed
from fanogan_pipeline.refusals import plain_line
from fanogan_pipeline.saved import is_kept, saved_at, version_saved, written_versions

logger = logging.getLogger(__name__)
NAME = "run_manifest"


class ManifestHooks:
    """Settles at the start which version of each input the run reads, and keeps its manifest up to date.

    It is there from the first output on, so that a run that fails, is interrupted or killed leaves one that tells
    what it had finished; a run that was refused before leaves nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # nodes may save at the same time
        self._made = threading.local()  # another thread may look at the project while a run goes on
        self._written: dict[str, str] = {}  # persisted outputs that the run has saved, and their versions
        self._parameters: dict[str, Any] = {}

    @property
    def has_written(self) -> bool:
        """Whether the run of now has stored anything that another can go on from."""
        return bool(self._written)

    @property
    def starts_afresh(self) -> bool:
        """Whether the run of now was told to forget unfinished trainings."""
        return bool(self._parameters.get("training", {}).get("fresh_start"))

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        self._made.context = context

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._context, self._written = self._made.context, {}
        self._parameters = parameters_of(catalog)
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._run_params, self._catalog = run_command.as_called(run_params, pipeline), catalog
        if manifests := manifest_dataset(catalog):
            manifests.is_kept_up = True
        self._ran: list[str] = []
        self._loaded: dict[str, str | None] = {}  # inputs without versions and their sums
        self._sums: dict[tuple[str, str], str | None] = {}  # of versions, which do not change
        self._pinned = set(run_params["load_versions"] or {}) & pipeline.all_inputs()  # read even where written too
        inputs = sorted(name for name in pipeline.inputs() | self._pinned if name in catalog and not is_parameter(name))
        if run_params["only_missing_outputs"]:  # the outputs that are kept are read instead
            inputs += sorted(name for name in pipeline.all_outputs() if is_kept(name, catalog))
        # All at one moment, and before anything is computed: no other run's end can mix versions into this one.
        self._read = {name: provenance.version_read(catalog[name]) for name in inputs}
        self._stated = masked(self._stated_parameters())
        self._surroundings = {  # of now: what is edited while the run goes on was not what ran
            "code": own_code.code_digest(),
            "git": surroundings.git_state(self._context.project_path),
            **surroundings.machine(),
            "packages": surroundings.packages(),
        }

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        self._sum_up(dataset_name)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        self._sum_up(dataset_name)  # the example's pictures are there only now

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        self._ran.append(node.name)

    @hook_impl(tryfirst=True)  # before the state goes that the output was made from
    def after_dataset_saved(self, dataset_name: str) -> None:
        if version := version_saved(self._catalog[dataset_name]):
            with self._lock:
                self._written[dataset_name] = version
                if NAME in self._catalog:
                    self._catalog[NAME].save(self._manifest(False, None))

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline) -> None:
        self._finish(pipeline, None)

    @hook_impl
    def on_pipeline_error(self, error: Exception, pipeline: Pipeline) -> None:
        try:
            self._finish(pipeline, error)
        except Exception as second:  # the error that stopped the run is the one to show
            logger.warning("%s: not written: %s", NAME, plain_line(second) or second)

    def _finish(self, pipeline: Pipeline, error: Exception | None) -> None:
        self._written = written_versions(pipeline, self._catalog)  # other processes may have saved some
        if NAME in self._catalog and (error is None or self._written):
            line = None if error is None else masked(plain_line(error) or one_line(error))
            self._surroundings["code"] = own_code.code_that_ran()
            self._catalog.save(NAME, self._manifest(error is None, line))

    def _manifest(self, is_complete: bool, error: str | None) -> dict[str, Any]:
        run_params = self._run_params
        versions = {  # of what was kept some may have been made again, beside an output that was missing
            name: version
            for name, version in self._read.items()
            if version and (name in self._pinned or name not in self._written)
        }
        options, start = self._options(versions), run_command.run_words(self._context.project_path)
        return {
            "command": run_command.command(options, self._from_here(saved_at(self._catalog[NAME])), start),
            "is_complete": is_complete,
            "error": error,
            start[-1]: run_command.as_config(options),  # the section that `--config` reads is called as the command is
            "environment": run_params["env"] or self._loader().default_run_env,
            "pipelines": run_params["pipeline_names"] or ["__default__"],
            "seed": self._parameters.get("seed"),
            "parameters": self._parameters,
            "started": self._started.isoformat(),
            "seconds": round(time.monotonic() - self._clock, 1),
            **self._surroundings,
            **surroundings.device(self._parameters.get("device", "auto")),
            "read": self._summed(versions) | {name: _fact(None, total) for name, total in self._loaded.items()},
            "written": self._summed(self._written),
        }

    def _options(self, versions: dict[str, str]) -> dict[str, Any]:
        """What has to be said to `kedro run` to have this run again."""
        run_params = self._run_params
        if run_params["only_missing_outputs"] and (self._ran or self._written):
            # said of another day's outputs the option would mean other nodes
            nodes = self._ran or run_params["node_names"]
            run_params = {**run_params, "only_missing_outputs": False, "node_names": nodes}
        elif run_params["only_missing_outputs"]:  # nothing was to be done, and what was kept has been read by nobody
            versions = {name: version for name, version in versions.items() if name in self._pinned}
        return run_command.run_options(run_params, self._stated, versions, self._conf_source())

    def _conf_source(self) -> str:
        """Where the configuration lies, unless it is where Kedro looks by itself."""
        source, usual = str(self._loader().conf_source), self._context.project_path / settings.CONF_SOURCE
        return "" if source == str(usual) else self._from_here(source)

    def _from_here(self, place: str) -> str:
        """A path as it is said in the project's folder."""
        path, project = PurePosixPath(place), self._context.project_path.as_posix()
        return str(path.relative_to(project)) if path.is_relative_to(project) else place

    def _summed(self, versions: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
        for name, version in versions.items() - self._sums.keys():
            self._sums[name, version] = provenance.sha256(self._catalog[name], version)
        return {name: _fact(version, self._sums[name, version]) for name, version in versions.items()}

    def _sum_up(self, name: str) -> None:
        """Note the sum of an input without versions at its first load: what changes later has not been read whole."""
        if name in self._loaded or self._read.get(name, "") is not None:
            return
        dataset = self._catalog[name]
        if provenance.has_sum(dataset) and dataset.exists():
            self._loaded.setdefault(name, provenance.sha256(dataset, None))

    def _loader(self) -> OmegaConfigLoader:
        return cast(OmegaConfigLoader, self._context.config_loader)

    def _stated_parameters(self) -> dict[str, Any]:
        """What another run with the tracked configuration has to be told to have the parameters of this one."""
        loader = self._loader()
        parameters, stated = loader["parameters"], dotted(loader.runtime_params)
        while True:  # what is stated may change what `${runtime_params:...}` gives elsewhere
            try:
                tracked = self._tracked(stated)
            except OmegaConfBaseException:  # it takes from `globals` what only the user's own files give
                return dotted(parameters) | stated
            found = run_command.differences(parameters, tracked)
            if not found.keys() - stated.keys():
                return stated
            stated = found | stated

    def _tracked(self, stated: dict[str, Any]) -> dict[str, Any]:
        """The parameters of the tracked configuration with others stated over it."""
        loader = self._loader()
        try:
            tracked = type(loader)(
                conf_source=loader.conf_source,
                env=loader.base_env if self._context.env in (None, loader.default_run_env) else self._context.env,
                runtime_params=run_command.nested(stated),
                **settings.CONFIG_LOADER_ARGS | {"default_run_env": loader.base_env},
            )
            return tracked["parameters"]
        finally:
            loader._register_globals_resolver()  # the whole process's, which the last loader made gives


def typed_parameters(catalog: CatalogProtocol) -> dict[str, Any]:
    """A run's parameters, each group as its model."""
    return typed(catalog["parameters"].load())


def parameters_of(catalog: CatalogProtocol) -> dict[str, Any]:
    """A run's parameters as its manifest holds them: each group whole, however little of it was written."""
    return masked(plain(typed_parameters(catalog)))


def manifest_dataset(catalog: CatalogProtocol) -> JSONDataset | None:
    """Where manifests go; None where the catalog has no such entry. Raises InputError for one of another class."""
    manifests = catalog.get(NAME)
    if manifests is not None and not isinstance(manifests, JSONDataset):
        raise InputError(
            f"{NAME}: found a {type(manifests).__name__} in the catalog, expected "
            "fanogan_pipeline.datasets.JSONDataset, which a run can write again as it goes on"
        )
    return manifests


def _fact(version: str | None, total: str | None) -> dict[str, str | None]:
    return {"version": version, "sha256": total}
