"""Which stored results changed parameters, data or code would change: what `--only-missing-outputs` must make again."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from fanogan_pipeline import own_code, provenance, run_command
from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.errors import one_line
from fanogan_pipeline.manifest import NAME as MANIFEST
from fanogan_pipeline.manifest import manifest_dataset, parameters_of
from fanogan_pipeline.parameters import WITHOUT_EFFECT

logger = logging.getLogger(__name__)
IGNORED = {f"{group}.{name}" for group, names in WITHOUT_EFFECT.items() for name in names}


class Freshness:
    """Compares each stored output with the manifest of the run that wrote it.

    Args:
        pipeline: the nodes that make the outputs.
        catalog: where they lie, the manifests, and the parameters of this run.
    """

    def __init__(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._pipeline, self._catalog, self._parameters = pipeline, catalog, parameters_of(catalog)
        self._code = own_code.code_digest()
        self._manifest = cache(self._load_manifest)
        self._sum = cache(self._sum_of)

    def out_of_date(self) -> dict[str, str]:
        """Output -> why it is not what this run would make; outputs that were never stored are not among them."""
        found: dict[str, str] = {}
        needs: dict[str, frozenset[str]] = {}
        for node in self._pipeline.nodes:  # upstream first
            required = self._needs(node, needs)
            for name in node.outputs:
                needs[name] = required
                if name in self._catalog and self._catalog[name].exists() and (why := self._why(name, required, found)):
                    found[name] = why
        return found

    def _needs(self, node: Node, known: dict[str, frozenset[str]]) -> frozenset[str]:
        """What a node's outputs are made from, in-memory steps left out: stored datasets and parameters."""
        own = {name for name in node.inputs if self._is_stored(name) or name not in known}
        return frozenset(own.union(*(known[name] for name in node.inputs if name not in own)))

    def _why(self, name: str, required: frozenset[str], found: dict[str, str]) -> str:
        """The first reason, or ""."""
        if not self._is_stored(name):
            return f"no manifest tells of a {type(self._catalog[name]).__name__}"
        parameters = {one for one in required if is_parameter(one)}
        stored = sorted(required - parameters)
        made = self._manifest(self._catalog[name].resolve_load_version())
        if not made or name not in made["written"]:
            return "no manifest says how it was made"
        if made.get("code") != self._code:
            return "the code has changed"
        if changed := self._changed_parameter(parameters, made["parameters"]):
            return f"{changed} has changed"
        upstream = next((one for one in stored if one in found), None)
        if upstream:
            return f"{upstream} is out of date"
        if unknown := next((one for one in stored if not self._is_known(one)), None):
            return f"nothing tells whether {unknown} is the same"
        recorded = made["written"] | made["read"]  # a pinned version was read, whatever the run wrote
        other = next((one for one in stored if self._differs(one, recorded.get(one))), None)
        return f"{other} is another" if other else ""

    def _changed_parameter(self, names: set[str], before: dict[str, Any]) -> str:
        groups = {name.removeprefix("params:").split(".")[0] for name in names}
        groups = set(self._parameters) if "parameters" in names else groups
        for group in sorted(groups):
            was, now = {group: before.get(group)}, {group: self._parameters.get(group)}
            changed = run_command.differences(now, was) | run_command.differences(was, now)
            if counting := [name for name in changed if name not in IGNORED]:
                return counting[0]
        return ""

    def _differs(self, name: str, recorded: dict[str, str | None] | None) -> bool:
        """Whether an input is not the one that was read then; a folder of logs never is."""
        if not provenance.has_sum(self._catalog[name]):
            return False
        if recorded is None or not self._catalog[name].exists():
            return True
        version = provenance.version_read(self._catalog[name])
        if version is not None and version == recorded["version"]:
            return False
        return self._sum(name) is None or self._sum(name) != recorded["sha256"]

    def _is_known(self, name: str) -> bool:
        """Whether an input has a sum, or is one of the folders that runs write into, which make no difference."""
        dataset = self._catalog[name]
        return provenance.has_sum(dataset) or isinstance(provenance.uncached(dataset), provenance.WRITTEN_INTO)

    def _is_stored(self, name: str) -> bool:
        """Whether a manifest may tell of it: the dataset is one of this project's own."""
        return name in self._catalog and isinstance(self._catalog[name], AtomicFileDataset)

    def _sum_of(self, name: str) -> str | None:
        return provenance.sha256(self._catalog[name], provenance.version_read(self._catalog[name]))

    def _load_manifest(self, version: str | None) -> dict[str, Any] | None:
        manifests = self._catalog[MANIFEST]
        if not version or not manifests._is_complete(version):
            return None
        path = str(manifests._get_versioned_path(version))
        try:
            return manifests._read(path)
        except ValueError as error:
            logger.warning("%s: cannot be read (%s); what was made with it is made again", path, one_line(error))
            return None


class FreshnessHooks:
    """`kedro run --only-missing-outputs` makes again what is missing and what is out of date."""

    @hook_impl(tryfirst=True)  # before the manifest settles which versions are read
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        if not run_params["only_missing_outputs"] or manifest_dataset(catalog) is None:
            return
        for name, why in Freshness(pipeline, catalog).out_of_date().items():
            logger.info("%s is made again: %s", name, why)
            dataset = catalog[name]
            if isinstance(dataset, AtomicFileDataset):
                dataset.is_out_of_date = True
            else:  # of Kedro's or the user's kinds, which know no such mark
                dataset._exists = lambda: False
