"""Where work is spread over: threads of this process, processes of its own, or the workers of a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import joblib

from fanogan_pipeline.errors import ClusterError, InputError, one_line
from fanogan_pipeline.parameters import ComputeParameters

CONNECT_SECONDS = 20

# What Dask watches in its own time, by default up to 100 times a second in every process: 5 % of what workers compute;
# and what its workers log, which is ours alone.
CALM = {
    "distributed": {
        "worker": {"profile": {"enabled": False}, "memory": {"monitor-interval": "1s"}, "preload": [__name__]},
        "nanny": {"pre-spawn-environ": {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "warning"}},
        "admin": {"tick": {"interval": "500ms"}, "system-monitor": {"interval": "2s"}},
    }
}
_OWN: dict[int, Any] = {}  # clusters of this process, by their number of workers


@contextmanager
def cluster_of(parameters: ComputeParameters) -> Iterator[Executor | None]:
    """The cluster's workers as an executor, or None where the engine is local and the caller computes by itself.

    What is submitted travels to other machines: functions of modules, and small things.

    Raises:
        InputError: no Dask here, or no scheduler at the address.
        ClusterError: the scheduler or all workers are lost; what was finished before is kept by whoever asked.
    """
    if parameters.engine == "local":
        yield None
        return
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            "compute.engine: found 'dask', which is not installed; pip install 'fanogan_pipeline[dask]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.WARNING)
    lost = (distributed.KilledWorker, distributed.comm.CommClosedError, CancelledError)
    with _client(distributed, parameters) as client:
        try:
            yield client.get_executor(pure=False)  # what a killed worker was at goes to another by itself
        except lost as error:
            where = parameters.scheduler or "the cluster on this machine"
            raise ClusterError(
                f"compute: {where} was lost ({type(error).__name__}: {one_line(error)}); what is finished is kept, "
                "the same command with --only-missing-outputs goes on from there"
            ) from error


@contextmanager
def _client(distributed: Any, parameters: ComputeParameters) -> Iterator[Any]:
    """A connection to the scheduler at the address, or to a cluster of its own on this machine."""
    if not parameters.scheduler:
        with distributed.Client(_own_cluster(parameters.workers or joblib.cpu_count())) as client:
            yield client
        return
    try:
        client = distributed.Client(parameters.scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(
            f"compute.scheduler: found {parameters.scheduler!r}, where no Dask scheduler answers ({one_line(error)}); "
            "start one with 'dask scheduler', or leave it empty for a cluster on this machine"
        ) from error
    with client:
        yield client


def _own_cluster(count: int) -> Any:
    """A cluster of that many workers on this machine; it lives as long as this process, for nodes to come."""
    import dask
    import distributed

    if count not in _OWN or _OWN[count].status is not distributed.Status.running:
        dask.config.update_defaults(CALM)  # what the user has set otherwise stays
        _OWN[count] = distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        )
    return _OWN[count]


@contextmanager
def threads(count: int) -> Iterator[Executor]:
    """Threads of this process, each of which computes by itself, as a Dask worker of one thread does."""
    import torch

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """Processes of their own, one thread each; they end with this one, however it ends.

    Raises:
        ClusterError: one of them has died; what was finished before is kept by whoever asked.
    """
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _follow_parent) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:  # which ends all the others too
            less = f"lower compute.workers (here {count})" if count > 1 else "give one process more memory"
            raise ClusterError(
                f"compute: a process was killed, perhaps for want of memory; what is finished is kept, {less} and the "
                "same command goes on from there"
            ) from error
        except BaseException:  # what is under way would be waited for
            for process in list((pool._processes or {}).values()):
                process.kill()  # a politer signal would end its piece of work and let it take the next one
            raise


def _follow_parent() -> None:
    """One thread for every library; an end of its own once the parent has died."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    log_as_the_command()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with_parent, daemon=True).start()


def dask_setup(worker: Any) -> None:
    """What Dask does in each worker of this process's own cluster."""
    log_as_the_command()


def log_as_the_command() -> None:
    """A record a line in a pipe, in a process that was started beside the command's own."""
    if "kedro.framework.project" in sys.modules:  # its console came along with the command
        from fanogan_pipeline.log import suit_the_reader

        suit_the_reader()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
