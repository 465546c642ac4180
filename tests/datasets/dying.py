"""Processes that are killed while they save, at a point that the test chooses."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("mkdir", "open", "fsync", "rename", "replace", "rmdir", "unlink")


def context() -> Any:
    """Children come from a server that has imported everything once and has no threads."""
    sys.path[:0] = [str(Path(__file__).parent)] if str(Path(__file__).parent) not in sys.path else []
    chosen = multiprocessing.get_context("forkserver")
    # named one by one, since the project's own modules import them only when they are used
    heavy = ["torch", "safetensors.torch", "matplotlib.figure", "pyarrow.parquet", "kedro_datasets.pandas"]
    ours = ["networks", "datasets.checkpoint", "datasets.tables", "datasets.state_store", "datasets.image_set"]
    chosen.set_forkserver_preload([*heavy, *(f"fanogan_pipeline.{name}" for name in ours)])
    return chosen


def exit_code(target: Callable[..., None], *arguments: Any) -> int:
    """Run in a process of its own and wait for its end; -9 where it was killed."""
    process = context().Process(target=target, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(number: int) -> None:
    """Arm this process: it dies just before its `number`th (from 0) step on the file system's list of names."""
    count = 0

    def armed(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            if count == number:
                die()
            count += 1
            return original(*arguments, **options)

        return step

    for name in STEPS:
        setattr(os, name, armed(getattr(os, name)))


def die_in_file() -> None:
    """Arm this process: the system kills it as soon as a file grows beyond a kilobyte."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def save_dying_at_step(form: str, folder: str, version: str, data_number: int, step: int) -> None:
    from stored_forms import dataset, example

    stored, data = dataset(form, folder, version), example(form, data_number)
    die_at_step(step)
    stored.save(data)
    os._exit(0)


def save_dying_in_file(type_name: str, path: str, version: str, number: int) -> None:
    """For any class, ours or Kedro's own."""
    from kedro.io import Version
    from kedro.io.core import load_obj

    die_in_file()
    load_obj(type_name)(filepath=path, version=Version(None, version)).save({"number": number, "values": [0] * 1000})


def save_state_dying(folder: str, key: str, number: int, step: int) -> None:
    from stored_forms import example

    from fanogan_pipeline.datasets.state_store import StateStore

    store, state = StateStore(Path(folder)), example("CheckpointDataset", number)
    die_at_step(step)
    store.save(key, state)
    os._exit(0)


def hold_state(folder: str, key: str, ready: Any, done: Any) -> None:
    """A run that has saved its state and still lives."""
    from stored_forms import example

    from fanogan_pipeline.datasets.state_store import StateStore

    store = StateStore(Path(folder))
    store.save(key, example("CheckpointDataset", 1))
    ready.set()
    done.wait(60)


def save_many(form: str, folder: str, versions: list[str]) -> None:
    """A run after another, each reading its own right after saving."""
    from stored_forms import dataset, example, same

    for version in versions:
        stored, number = dataset(form, folder, version), int(version)
        stored.save(example(form, number))
        assert same(form, stored.load(), example(form, number))


def save_dying_at_put(form: str, folder: str, version: str, number: int, credentials: dict, put: int) -> None:
    """On an object store; dies just before its `put`th (from 0) write to it."""
    from s3fs import S3FileSystem
    from stored_forms import dataset, example

    count = 0

    def armed(original: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            if count == put:
                die()
            count += 1
            return original(*arguments, **options)

        return write

    for name in ("put_file", "pipe_file"):
        setattr(S3FileSystem, name, armed(getattr(S3FileSystem, name)))
    dataset(form, folder, version, credentials=credentials).save(example(form, number))
