"""The manifest that every run leaves: what it was, what it read and wrote, and the command that repeats it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, cast

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel

from fanogan_pipeline import provenance
from fanogan_pipeline.datasets.atomic import AtomicMixin, one_line
from fanogan_pipeline.refusals import plain_line

logger = logging.getLogger(__name__)
NAME = "run_manifest"


class ManifestHooks:
    """Settles at the start which version of each input the run reads, and writes the manifest at its end.

    A run that fails leaves one too if it has written anything; a run that was refused before leaves nothing.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        self._context = context

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any]) -> None:
        self._parameters = {name: plain(value) for name, value in parameters["parameters"].items()}

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._code = provenance.code_digest()  # of now: what is edited while the run goes on was not what ran
        self._catalog = catalog
        self._ran: list[str] = []
        self._loaded: dict[str, str | None] = {}  # inputs without versions and their sums
        inputs = sorted(name for name in pipeline.inputs() if name in catalog and not is_parameter(name))
        if run_params["only_missing_outputs"]:  # the outputs that are kept are read instead
            inputs += sorted(name for name in pipeline.all_outputs() if _is_kept(name, catalog))
        # All at one moment, and before anything is computed: no other run's end can mix versions into this one.
        self._read = {name: provenance.version_read(catalog[name]) for name in inputs}

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        self._sum_up(dataset_name)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        self._sum_up(dataset_name)  # the example's pictures are there only now

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        self._ran.append(node.name)

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._write(run_params, pipeline, catalog, None)

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        try:
            self._write(run_params, pipeline, catalog, error)
        except Exception as second:  # the error that stopped the run is the one to show
            logger.warning("%s: not written: %s", NAME, plain_line(second) or second)

    def _write(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol, error: Exception | None
    ) -> None:
        written = written_versions(pipeline, catalog)
        if NAME not in catalog or (error is not None and not written):
            return
        versions = {name: version for name, version in self._read.items() if version}
        if run_params["only_missing_outputs"] and self._ran:  # said of another day's outputs it would mean other nodes
            run_params = {**run_params, "node_names": self._ran}
        options = provenance.run_options(run_params, self._stated(), versions)
        place = PurePosixPath(catalog[NAME]._get_versioned_path(catalog[NAME].resolve_save_version()))
        if place.is_relative_to(project := self._context.project_path.as_posix()):
            place = place.relative_to(project)
        manifest = {
            "command": provenance.command(options, str(place)),
            "is_complete": error is None,
            "error": None if error is None else plain_line(error) or one_line(error),
            "run": provenance.as_config(options),
            "environment": run_params["env"] or self._loader().default_run_env,
            "pipelines": run_params["pipeline_names"] or ["__default__"],
            "seed": self._parameters.get("seed"),
            "parameters": self._parameters,
            "started": self._started.isoformat(),
            "seconds": round(time.monotonic() - self._clock, 1),
            "code": self._code,
            "git": provenance.git_state(self._context.project_path),
            **provenance.machine(),
            "packages": provenance.packages(),
            "read": _sums(versions, catalog) | {name: _fact(None, total) for name, total in self._loaded.items()},
            "written": _sums(written, catalog),
        }
        catalog.save(NAME, manifest)

    def _sum_up(self, name: str) -> None:
        """Note the sum of an input without versions at its first load: what changes later has not been read whole."""
        if name in self._loaded or self._read.get(name, "") is not None:
            return
        dataset = self._catalog[name]
        if provenance.has_sum(dataset) and dataset.exists():
            self._loaded.setdefault(name, provenance.sha256(dataset, None))

    def _loader(self) -> OmegaConfigLoader:
        return cast(OmegaConfigLoader, self._context.config_loader)

    def _stated(self) -> dict[str, Any]:
        """Parameters of this run that another run with the tracked configuration would not have by itself."""
        loader = self._loader()
        tracked = type(loader)(
            conf_source=loader.conf_source,
            env=loader.base_env if self._context.env in (None, loader.default_run_env) else self._context.env,
            base_env=loader.base_env,
            default_run_env=loader.base_env,
            merge_strategy=loader.merge_strategy,
        )
        return provenance.differences(loader["parameters"], tracked["parameters"])


def written_versions(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, str]:
    """Name -> version of the persisted outputs that this run has saved."""
    found: dict[str, str] = {}
    for name in sorted(pipeline.all_outputs() & set(catalog.keys())):
        dataset = catalog[name]
        version = dataset.resolve_save_version() if isinstance(dataset, AtomicMixin) else None
        if version and dataset._is_complete(version):
            found[name] = version
    return found


def _is_kept(name: str, catalog: CatalogProtocol) -> bool:
    """Whether a run of what is missing leaves an output as it is."""
    return name in catalog and isinstance(catalog[name], AtomicMixin) and catalog[name].exists()


def _sums(versions: Mapping[str, str], catalog: CatalogProtocol) -> dict[str, dict[str, str | None]]:
    return {name: _fact(version, provenance.sha256(catalog[name], version)) for name, version in versions.items()}


def _fact(version: str | None, total: str | None) -> dict[str, str | None]:
    return {"version": version, "sha256": total}


def plain(value: Any) -> Any:
    """A parameter as JSON can hold it."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def is_parameter(name: str) -> bool:
    return name == "parameters" or name.startswith("params:")
