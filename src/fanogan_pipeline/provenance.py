"""Which files a run read and wrote: their versions and sums."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, CachedDataset
from kedro.io.core import get_filepath_str

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
