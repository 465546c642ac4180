"""Folders of unfinished work: one for the same work, whoever takes it up; of others the last few stay, and those that
a living run holds."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fanogan_pipeline.compute.files import telling, work_file
from fanogan_pipeline.datasets import safetensors_format
from fanogan_pipeline.datasets.staging import but_the_latest, lock_directory, remove_unless_held
from fanogan_pipeline.errors import plural
from fanogan_pipeline.networks import Checkpoint

logger = logging.getLogger(__name__)

MODELS = ("wgan_model", "encoder_model", "residual_statistics")


def digest(facts: Any) -> str:
    """Names work by all that it depends on (anything that JSON can write)."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def held(place: Path, kind: str, facts: Any, most: int = 0) -> Iterator[Path]:
    """The folder of the work that the facts name, held while the caller is at it.

    Args:
        place: a local folder, seen by all workers.
        kind: of work.
        facts: what the work depends on.
        most: folders of the same kind and other facts that stay, the last ones; the rest is removed, unless a living
            run holds it.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    root = place.resolve() / f"{kind}-{digest(facts)}"
    lock = _claim(root)
    try:
        others = [other for other in place.resolve().glob(f"{kind}-*") if other != root]
        for other in but_the_latest(others, most):
            if remove_unless_held(other) and most:
                logger.info("%s: removed, %s kept", other, plural(most, "later one"))
        yield root
    finally:
        os.close(lock)


def _claim(folder: Path) -> int:
    """Make the folder where it is missing and hold it; start over where another run removed it in between."""
    while True:
        with telling(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = lock_directory(folder, fcntl.LOCK_SH)
        if lock is not None:
            return lock


def write_models(folder: Path, models: Mapping[str, Checkpoint]) -> None:
    """The checkpoints of `MODELS`, for workers to read."""
    for name in MODELS:
        with work_file(folder / f"{name}.safetensors") as draft:
            draft.write_bytes(safetensors_format.to_bytes(models[name]))


def read_models(folder: Path) -> tuple[Checkpoint, Checkpoint, Checkpoint]:
    """What `write_models` left, in the order of `MODELS`."""
    wgan, encoder, fitted = (
        safetensors_format.from_bytes((folder / f"{name}.safetensors").read_bytes(), name) for name in MODELS
    )
    return wgan, encoder, fitted
