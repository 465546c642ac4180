"""Which device, how many threads, and memory that is kept."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
from functools import cache

import joblib
import torch

from fanogan_pipeline.errors import InputError, plural

logger = logging.getLogger(__name__)
CPU_BUILD = f"{torch.__version__}, which is for the CPU alone (pytorch.org/get-started)"
# glibc's numbers of what `keep_memory` sets, and to what, bytes
MALLOC = {"mmap_threshold": (-3, 32 << 20), "trim_threshold": (-1, 1 << 30), "top_pad": (-2, 64 << 20)}


def choose_device(name: str) -> torch.device:
    """The device of `auto` (a GPU where there is one), `cpu` or `cuda`.

    Raises:
        InputError: `cuda` on a machine without one, or with a PyTorch that cannot use it.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        use = "use 'cpu', or 'auto' where no other machine computes"
        other = "" if torch.version.cuda or torch.version.hip else f", or a build of PyTorch other than {CPU_BUILD}"
        raise InputError(f"device: found 'cuda', but PyTorch sees no GPU on {platform.node()}; {use}{other}")
    if name == "auto":
        _say(available)
    return _exact(torch.device("cuda" if available and name != "cpu" else "cpu"))


@cache
def _say(is_gpu: bool) -> None:
    """Once a process, what `auto` has come to: with a wrong build of PyTorch a GPU lies idle without a word."""
    where = torch.cuda.get_device_name() if is_gpu else f"the CPU ({plural(torch.get_num_threads(), 'thread')})"
    logger.info("device: auto, which is %s", where)


def of_process(kind: str, local_rank: int) -> torch.device:
    """The device of one process of several on this machine: a GPU each, or the CPU.

    Raises:
        InputError: more processes than GPUs.
    """
    if kind == "cpu":
        return torch.device("cpu")
    gpus = torch.cuda.device_count()
    if local_rank >= gpus:
        raise InputError(
            f"training.processes: found more than the GPUs of {platform.node()} ({gpus}), expected one for each "
            "process; lower it or use auto"
        )
    torch.cuda.set_device(local_rank)
    return _exact(torch.device("cuda", local_rank))


def _exact(device: torch.device) -> torch.device:
    """The device, with convolutions and matrix products in full float32 and convolutions summed in the same order every
    time: by default cuDNN takes them in TF32's 10 bits, and cuBLAS products in NVIDIA's containers, which is neither
    what `precision: float32` says nor what a detector's scores elsewhere would agree with."""
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.deterministic = True
    return device


def settle_in(threads: int) -> int:
    """Make this process ready to compute: its CPU threads, and memory that is kept from one batch to the next.

    Args:
        threads: as `training.threads`; 0: as OMP_NUM_THREADS says, else every core that this process may use, by the
            system's list and a container's share.

    Returns:
        The number of threads.
    """
    keep_memory()
    count = threads_asked_for(threads) or joblib.cpu_count()
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    return count


def threads_asked_for(threads: int) -> int:
    """`training.threads`, or where that is 0 what OMP_NUM_THREADS says; 0 where nobody has said anything."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return threads or (int(wished) if wished.isdigit() else 0)


def keep_memory() -> None:
    """Have the C library keep what tensors leave, as glibc's `mallopt` can.

    Left alone it gives large tensors' pages back at once, and asks for them, zeroed, at the next batch: a sixth of a
    step of the WGAN. In a worker of Dask, which starts with MALLOC_TRIM_THRESHOLD_=65536, more than half of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for number, size in MALLOC.values():
            mallopt(number, size)
