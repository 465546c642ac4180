"""What would stop a run late is looked for before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset, CatalogProtocol, MemoryDataset
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.validation.exceptions import DataValidationError

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.manifest import typed_parameters
from fanogan_pipeline.provenance import uncached, version_read

with lazily():
    from fanogan_pipeline import images
    from fanogan_pipeline.datasets import image_set
    from fanogan_pipeline.detection import choice, scoring
    from fanogan_pipeline.networks import models, reference
    from fanogan_pipeline.training import data, devices

PHASES = ("wgan", "encoder")
SOURCES = ("raw_images", "new_images")
SMALL = 64 << 20  # bytes


class ForesightHooks:
    """What would stop a run late stops it before anything is computed or saved.

    Checked at the start: that what is not kept is made first, that networks fit the images, versions asked for, the
    content of small inputs, that data sets are of one split, the device; and as soon as the number of images is known,
    whether they suffice to train, to choose a score and for the wished false-alarm rate.
    """

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._parameters = typed_parameters(catalog)
        whole = sum((pipelines[name] for name in run_params["pipeline_names"] or ["__default__"]), Pipeline([]))
        self._trained = [name for name in PHASES if f"{name}_model" in pipeline.all_outputs()]
        self._is_calibrated = "detector" in pipeline.all_outputs()
        _check_runner(str(run_params.get("runner")), bool(self._trained))
        _check_start(pipeline, whole, catalog)
        if pipeline.all_outputs() >= {"train_set", "wgan_model"}:
            _check_size(self._parameters)
        for name in run_params["load_versions"] or {}:
            if getattr(uncached(catalog[name]), "_version", None) is None:
                raise InputError(f"--load-versions: found '{name}', which has no versions; leave it out")
            version_read(catalog[name])  # refuses one that is not there
        for name in pipeline.inputs():
            if name in catalog and _is_small(catalog[name]):
                _try_out(name, catalog)
        _check_sets(pipeline.inputs(), catalog)
        if "params:device" in pipeline.inputs() and self._parameters["device"] == "cuda":
            devices.choose_device("cuda")

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        if dataset_name in SOURCES and not isinstance(data, images.ImageSource):  # of an entry without base's validator
            raise InputError(
                f"{dataset_name}: found {type(data).__name__}, expected an ImageSource; give its entry in the catalog "
                "type: fanogan_pipeline.datasets.ImageFolderDataset, or write one: docs/contributing.md"
            )

    @hook_impl
    def after_node_run(self, outputs: dict[str, Any]) -> None:
        if not self._trained:
            return
        if "train_set" in outputs:
            for name in self._trained:
                size = self._parameters[name].batch_size
                data.check_batch_size(f"{name}.batch_size", size, len(outputs["train_set"]))
        if self._is_calibrated and outputs.keys() & {"selection_set", "calibration_set"}:
            wanted = self._parameters["scoring"]
            if "selection_set" in outputs and wanted.score == "chosen":
                choice.check_count(len(outputs["selection_set"].first_rows))
            if "calibration_set" in outputs:
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
    makers = {name: node for node in whole.nodes for name in node.outputs}
    missing = _passing(pipeline.inputs(), catalog)
    found, starts = sorted(missing), set()
    while made := missing & makers.keys():
        node = makers[made.pop()]
        before = _passing(node.inputs, catalog)
        missing = missing - set(node.outputs) | before
        starts |= set() if before else {node.name}
    if starts:
        raise InputError(
            f"this part of the pipeline needs {', '.join(found)}, which a run makes and does not keep; "
            f"start it further up: --from-nodes {','.join(sorted(starts))}"
        )


def _passing(names: Iterable[str], catalog: CatalogProtocol) -> set[str]:
    """Of these datasets those that live only during a run and are not there."""
    here = {name: catalog[name] for name in names if name in catalog and not is_parameter(name)}
    return {name for name, dataset in here.items() if isinstance(dataset, MemoryDataset) and not dataset.exists()}


def _check_size(parameters: dict[str, Any]) -> None:
    """Images that are prepared for networks that cannot be built for them."""
    if parameters["wgan"].architecture == "reference":
        reference.quarter(parameters["data_prep"].image_size)


def _try_out(name: str, catalog: CatalogProtocol) -> None:
    try:
        catalog.load(name)
    except DataValidationError as error:
        (error.__cause__ or error).add_note(f"it is in version {catalog[name].resolve_load_version()}")
        raise


def _check_sets(inputs: set[str], catalog: CatalogProtocol) -> None:
    """Stored data sets of different splits, as a stopped run of data_prep leaves them; whoever trains needs the
    selection set next."""
    names = sorted(inputs | {"selection_set"} if "train_set" in inputs else inputs, reverse=True)
    sets = {name: catalog[name] for name in names if name in catalog}
    digests = {
        f"{name} {dataset.resolve_load_version()}": dataset.split_digest()
        for name, dataset in sets.items()
        if isinstance(dataset, image_set.ImageSetDataset) and dataset.exists()
    }
    if len(set(digests.values())) > 1:
        models.expect_one_split(digests)


def _is_small(dataset: AbstractDataset) -> bool:
    """Whether reading it once more costs nothing worth a thought."""
    if not isinstance(dataset, AtomicFileDataset) or dataset._protocol != "file":
        return False
    path = Path(dataset._get_load_path())
    return path.is_file() and path.stat().st_size <= SMALL
