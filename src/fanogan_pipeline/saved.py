"""What a run has saved, and where."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractVersionedDataset, CatalogProtocol
from kedro.pipeline import Pipeline

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.provenance import uncached


def saved_at(dataset: Any) -> str:
    """Where a dataset has been saved in this run; "" where that is no file."""
    if not hasattr(dataset, "_get_versioned_path"):
        return ""
    version = dataset.resolve_save_version()
    path = str(dataset._get_versioned_path(version) if version else dataset._filepath)
    return path if dataset._protocol == "file" else str(dataset._fs.unstrip_protocol(path))


def written_versions(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, str]:
    """Name -> version of the persisted outputs that this run has saved."""
    found: dict[str, str] = {}
    for name in sorted(pipeline.all_outputs() & set(catalog.keys())):
        if version := version_saved(catalog[name]):
            found[name] = version
    return found


def version_saved(dataset: Any) -> str | None:
    """The version of a persisted output that this run has saved; None where it has not, or there are no versions."""
    dataset = uncached(dataset)
    version = dataset.resolve_save_version() if isinstance(dataset, AbstractVersionedDataset) else None
    if version is None or isinstance(dataset, AtomicFileDataset):
        return version if version and dataset._is_complete(version) else None
    return version if dataset._exists_function(str(dataset._get_versioned_path(version))) else None


def is_kept(name: str, catalog: CatalogProtocol) -> bool:
    """Whether a run of what is missing leaves an output as it is."""
    return name in catalog and isinstance(catalog[name], AtomicFileDataset) and catalog[name].exists()
