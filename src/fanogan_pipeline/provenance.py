"""The facts that make a run repeatable: code, packages, machine, sums of files, and the command itself."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, cast

import joblib
from kedro.io import AbstractDataset, AbstractVersionedDataset, CachedDataset
from kedro.io.core import get_filepath_str
from kedro.pipeline import Pipeline
from kedro.utils import is_kedro_project
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.datasets.state_store import StateStoreDataset
from fanogan_pipeline.datasets.tensorboard import TensorBoardDataset
from fanogan_pipeline.errors import PlainError
from fanogan_pipeline.in_order import in_order

logger = logging.getLogger(__name__)

MANY = 1000  # files, whose reading is told
WRITTEN_INTO = (StateStoreDataset, TensorBoardDataset)  # folders that runs write into and read no result from
_READERS = 8  # files read at a time: a network's delays add up otherwise
_BATCH = 2048  # files handed out at a time
# Kedro's names of what narrows a run down, and the options that say it.
_FILTERS = {
    "tags": "tags",
    "node_names": "nodes",
    "from_nodes": "from-nodes",
    "to_nodes": "to-nodes",
    "from_inputs": "from-inputs",
    "to_outputs": "to-outputs",
    "namespaces": "namespaces",
}


def git_state(folder: Path) -> dict[str, Any] | None:
    """`commit` (hex) and `is_clean` of the repository around a folder; None without git or a commit."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    answers = []
    for question in (["rev-parse", "HEAD"], ["status", "--porcelain"]):
        try:
            done = subprocess.run(
                ["git", *question], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        answers.append(done.stdout.strip())
    return {"commit": answers[0], "is_clean": not answers[1]}


def packages() -> dict[str, str]:
    """Name -> version of everything installed."""
    texts = (item.metadata for item in metadata.distributions())  # each read once, for that takes a while
    found = {text["Name"]: text["Version"] for text in texts}
    return dict(sorted((name, version) for name, version in found.items() if name))


def machine() -> dict[str, Any]:
    """What besides the parameters a result's last bits depend on."""
    return {"python": platform.python_version(), "platform": platform.platform(), "cores": joblib.cpu_count()}


def device(wanted: str) -> dict[str, Any]:
    """What computes where the parameter `device` says so: `device`, and of a GPU `cuda` and `cudnn`, the versions.

    Nothing in a process that has not needed PyTorch, whose import takes a second.
    """
    if "torch" not in sys.modules:
        return {}
    import torch

    if wanted == "cpu" or not torch.cuda.is_available():
        return {"device": "cpu"}
    libraries = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return {"device": torch.cuda.get_device_name(), **libraries}


def uncached(dataset: Any) -> Any:
    """The dataset behind Kedro's cache, or itself."""
    return dataset._dataset if isinstance(dataset, CachedDataset) else dataset


def has_sum(dataset: AbstractDataset) -> bool:
    """Whether a sum can be had: not of what lives in memory, of a folder that runs only write into, or of a dataset of
    another package that does not tell its files by `contents`."""
    dataset = uncached(dataset)
    return isinstance(dataset, AtomicFileDataset) or hasattr(dataset, "contents")


def sha256(dataset: Any, version: str | None) -> str | None:
    """SHA-256 (hex) of what a dataset holds, or None where it has none or not all can be read; None equals no other.

    Of a result in one file, over its bytes; of one in a folder, over the names and sums of its files; of raw
    pictures, over those of the files that are loaded, whatever lies beside them, and over how they are read.
    """
    dataset = uncached(dataset)
    if not has_sum(dataset):
        return None
    try:
        if not isinstance(dataset, AtomicFileDataset):
            files, how = dataset.contents()
            if len(files) >= MANY:
                logger.info("%s: reading %s files for their sum", dataset._describe()["filepath"], f"{len(files):,}")
            return _total(files, how)
        place = dataset._get_versioned_path(version) if version else dataset._filepath
        return _result_sum(dataset._fs, get_filepath_str(place, dataset._protocol))
    except (OSError, PlainError):
        return None


def _result_sum(fs: Any, place: str) -> str:
    if not fs.isdir(place):
        return _file_sum(fs, place)
    names = {path: str(PurePosixPath("/", path).relative_to(PurePosixPath("/", place))) for path in fs.find(place)}
    return _total({name: (fs, path) for path, name in names.items()})


def _total(files: Mapping[str, tuple[Any, str]], facts: Mapping[str, Any] | None = None) -> str:
    """SHA-256 (hex) over names and sums of files, each given by its file system (fsspec) and path, and over facts."""
    sha, names = hashlib.sha256(), sorted(files)
    sums = in_order(lambda name: _file_sum(*files[name]), names, _READERS, _BATCH)
    for name, one in zip(names, sums, strict=True):
        sha.update(f"{one}  {name}\n".encode())
    sha.update(json.dumps(facts, sort_keys=True).encode() if facts else b"")
    return sha.hexdigest()


def _file_sum(fs: Any, path: str) -> str:
    with fs.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version_read(dataset: AbstractDataset) -> str | None:
    """The version a load gives now. Raises Kedro's `VersionNotFoundError` where there is none."""
    dataset = uncached(dataset)
    if isinstance(dataset, WRITTEN_INTO) or not isinstance(dataset, AbstractVersionedDataset):
        return None
    return dataset.resolve_load_version()


def as_called(run_params: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    """What a run was called with; filters given as iterators, which Kedro has used up, as the nodes they left."""
    spent = [name for name in _FILTERS if isinstance(run_params.get(name), Iterator)]
    nodes = {"node_names": [node.name for node in pipeline.nodes]} if spent else {}
    names = sorted(run_params["pipeline_names"] or [])  # which come in another order from every process
    return {**run_params, **dict.fromkeys(spent), **nodes, "pipeline_names": names}


def run_options(
    run_params: dict[str, Any], stated: dict[str, Any], versions: dict[str, str], conf_source: str = ""
) -> dict[str, Any]:
    """What has to be said to `kedro run` to have a run again.

    Args:
        run_params: of Kedro's hooks.
        stated: parameters (dotted name -> value) that the configuration alone does not give.
        versions: dataset -> version that was read.
        conf_source: where the configuration lies; "" where Kedro finds it by itself.
    """
    options: dict[str, Any] = {"conf-source": conf_source, "env": run_params["env"]}
    options["pipelines"] = ",".join(run_params["pipeline_names"] or [])
    options |= {option: ",".join(run_params.get(name) or []) for name, option in _FILTERS.items()}
    runner = re.sub(r"^<?(kedro\.runner\.\w+\.)?| object at .*", "", str(run_params.get("runner")))
    options["runner"] = "" if runner in ("None", "SequentialRunner") else runner  # None: of a run started from Python
    options["params"] = stated
    options["load-versions"] = ",".join(f"{name}:{version}" for name, version in sorted(versions.items()))
    options["only-missing-outputs"] = run_params.get("only_missing_outputs", False)
    return {name: value for name, value in options.items() if value}


def command(options: dict[str, Any], manifest: str, start: Sequence[str] = ("kedro", "run")) -> str:
    """The one line that repeats a run; it names the manifest itself where an option cannot say a value.

    Args:
        options: of `run_options`.
        manifest: path of the manifest, which holds the options too.
        start: the words before the options.
    """
    words = [*start]
    for name, value in options.items():
        if name == "params":
            text = ",".join(f"{key}={_text(one)}" for key, one in value.items())
            if _as_read(text) != nested(value):
                return shlex.join([*start, "--config", manifest])
            value = text
        words += [f"--{name}"] if value is True else [f"--{name}", value]
    return shlex.join(words)


def run_words(project: Path) -> list[str]:
    """The words of a run: away from the source only the package's own command knows it."""
    return ["kedro", "run"] if is_kedro_project(project) else [Path(__file__).parent.name]


def as_config(options: dict[str, Any]) -> dict[str, Any]:
    """The options as `--config` reads them from a file, where they stand under the name of the command."""
    names = {option: name for name, option in _FILTERS.items()}
    names |= {option: option.replace("-", "_") for option in ("conf-source", "load-versions", "only-missing-outputs")}
    config = {names.get(option, option): value for option, value in options.items() if option != "params"}
    return config | ({"params": nested(options["params"])} if options.get("params") else {})


def differences(values: dict[str, Any], base: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value of every parameter that the base does not have the same."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            found |= differences(value, base[name], f"{prefix}{name}.")
        elif name not in base or base[name] != value:
            found[f"{prefix}{name}"] = value
    return found


def nested(parameters: dict[str, Any]) -> dict[str, Any]:
    """Groups within groups, of parameters by their dotted names."""
    whole: dict[str, Any] = {}
    for name, value in parameters.items():
        *groups, last = name.split(".")
        place = whole
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return whole


def _text(value: Any) -> str:
    """A value as `--params` reads it (YAML), where that can be said at all."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _as_read(text: str) -> dict[str, Any] | None:
    """What Kedro makes of the text of `--params`: cut at every comma, outer blanks gone, YAML; None where it cannot."""
    try:
        found = OmegaConf.to_container(OmegaConf.from_dotlist([pair.strip() for pair in text.split(",")]))
    except (YAMLError, OmegaConfBaseException):
        return None
    return cast(dict[str, Any], found)
