"""Training with several processes at once, from inside one process that alone speaks for the project."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fanogan_pipeline import errors
from fanogan_pipeline.compute import job_files, worker
from fanogan_pipeline.compute.files import work_folder
from fanogan_pipeline.errors import InputError, TrainingError, one_line, plural
from fanogan_pipeline.parameters import WganParameters
from fanogan_pipeline.training.job import TrainingJob
from fanogan_pipeline.training.state import StateSlot

logger = logging.getLogger(__name__)

# A store of its own for every start: in a shared one, processes that start again read the addresses of the dead.
FRESH_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"


def train_first(job: TrainingJob, images: np.ndarray, entry: Callable[[str], None] = worker.work) -> TrainingJob:
    """Let several processes train the job up to its last state, where `training.processes` asks for them.

    Args:
        job: the phase; its slot receives the states, in a folder.
        images: uint8 [N, C, H, W].
        entry: what each process runs, on the folder of the job.

    Returns:
        The job to train on: one process that goes on from the state kept in the slot has nothing
        left to do but to read it.

    Raises:
        InputError: a number of processes that does not divide the batch; no space for what they need.
        TrainingError: processes that do not start or die again and again; training gone wrong.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, with the state saved.
    """
    processes = processes_here(job)
    if processes * job.training.machines == 1:
        return job
    slot = job.slot
    assert slot is not None
    way_on = "the same command with --only-missing-outputs"
    if job.training.fresh_start:
        slot.discard()
        way_on += " and without training.fresh_start"
    job = replace(job, training=job.training.model_copy(update={"fresh_start": False}))
    if not _is_done(slot, job.parameters.steps):
        with work_folder(slot.store.folder) as folder, slot.let_go_on_error():
            job_files.write(job, folder, images)
            _launch(job, processes, folder, entry, way_on)
        if not _is_done(slot, job.parameters.steps):
            raise TrainingError(f"{job.phase}: all processes have ended and none has left a finished state")
    return job


def processes_here(job: TrainingJob) -> int:
    """Processes on this machine: as asked for, or with `auto` one a GPU, as many of them as divide the batch.

    But a single one where its steps are recorded, which several processes' are not: launching kernel by kernel is what
    small networks spend most of a GPU's time on.
    """
    machines, asked = job.training.machines, job.training.processes
    batches = {f"{job.phase}.batch_size": job.parameters.batch_size}
    p = job.parameters
    if isinstance(p, WganParameters) and p.objective == "wgan_gp" and 0 < p.penalty_images < p.batch_size:
        batches["wgan.penalty_images"] = p.penalty_images
    if asked == "auto":
        is_recorded = job.training.cuda_graph and machines == 1
        gpus = torch.cuda.device_count() if job.device == "cuda" and not is_recorded else 1
        fitting = [n for n in range(max(gpus, 1), 0, -1) if not any(b % (n * machines) for b in batches.values())]
        if fitting:
            return fitting[0]
        asked = 1  # and refused below, for on several machines not even one a machine cuts the batches evenly
    for name, size in batches.items():
        if size % (asked * machines):
            if machines == 1:
                raise InputError(
                    f"training.processes: found {asked}, expected a number that divides {name} ({size}); change one of "
                    "the two"
                )
            raise InputError(
                f"training.processes: found {job.training.processes} on each of {machines} machines, expected a number "
                f"that, {machines} times, divides {name} ({size}); change it, training.machines or {name}"
            )
    return asked


def _is_done(slot: StateSlot, steps: int) -> bool:
    state = slot.load()
    return state is not None and state.header["step"] == steps


def _launch(job: TrainingJob, processes: int, folder: Path, entry: Callable[[str], None], way_on: str) -> None:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    training, run = job.training, uuid.uuid4().hex[:12]
    together = processes * training.machines
    config = LaunchConfig(
        min_nodes=training.machines,
        max_nodes=training.machines,
        nproc_per_node=processes,
        run_id=run,
        rdzv_backend="c10d",
        rdzv_endpoint=training.rendezvous or "localhost:0",
        rdzv_configs={"join_timeout": 3600, "timeout": 3600},
        local_addr=None if training.rendezvous else "localhost",
        max_restarts=training.restarts,
        start_method="forkserver",
        logs_specs=DefaultLogsSpecs(str(folder / "logs"), {rank: Std.ALL for rank in range(1, processes)} or Std.NONE),
    )
    logger.info("%s: %d processes train side by side", job.phase, together)
    if training.machines > 1:
        logger.info(
            "waiting for %d of %d machines, each with: %s=1 torchrun --nnodes %d --nproc-per-node %d --max-restarts %d "
            "--rdzv-backend c10d --rdzv-id %s --rdzv-endpoint %s -m fanogan_pipeline.compute.worker %s",
            *(training.machines - 1, training.machines, FRESH_STORE, training.machines, processes, training.restarts),
            *(run, training.rendezvous, shlex.quote(str(folder.resolve()))),
        )
    try:
        with _as_it_was():
            os.environ[FRESH_STORE] = "1"
            elastic_launch(config, entry)(str(folder))
    except SignalException as error:
        raise KeyboardInterrupt from error
    except ChildFailedError as error:
        _raise_outcome(folder)
        rank, failure = error.get_first_failure()
        again = f", and again after {plural(training.restarts, 'restart')}" if training.restarts else ""
        raise TrainingError(
            f"{job.phase}: process {rank} of {together} {_reason(failure)}{again}; the last state is kept, {way_on} "
            "goes on from there"
        ) from error
    except (RuntimeError, OSError, RendezvousError) as error:  # an address of another machine, a port in use
        reason = one_line(error.__cause__ or error)
        what = "training.rendezvous and the memory left" if training.rendezvous else "the memory left"
        raise TrainingError(f"{job.phase}: {together} processes cannot start ({reason}); check {what}") from error
    _raise_outcome(folder)


def _raise_outcome(folder: Path) -> None:
    """Raise what the processes wrote down, if they did."""
    if (folder / worker.OUTCOME).exists():
        outcome = json.loads((folder / worker.OUTCOME).read_text())
        if outcome["kind"] == "KeyboardInterrupt":
            raise KeyboardInterrupt
        raise getattr(errors, outcome["kind"])(outcome["message"])


def _reason(failure: Any) -> str:
    """What ended a process: its exception or its exit code."""
    told = failure.error_file_data.get("message") if failure.error_file_data else None
    text = told.get("message") if isinstance(told, dict) else told
    return f"failed ({' '.join(str(text).split())[:200]})" if text else f"died (exit code {failure.exitcode})"


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Keeps the launcher's own words to itself, and undoes what it does to signals and environment."""
    names = ("torch.distributed.elastic", "torch.distributed.launcher", "torch.multiprocessing")
    silence, talkers = logging.NullHandler(), [logging.getLogger(name) for name in names]
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT) if main else ()
    handlers, environment = {number: signal.getsignal(number) for number in numbers}, dict(os.environ)
    for talker in talkers:  # what loggers below them say, at levels of their own, ends here too
        talker.addHandler(silence)
        talker.propagate = False
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for talker in talkers:
            talker.removeHandler(silence)
            talker.propagate = True
        os.environ.clear()
        os.environ.update(environment)
