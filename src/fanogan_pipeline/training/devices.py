"""Which device and how many threads."""

from __future__ import annotations

import os
from typing import TypeVar

import torch
from torch import nn

from fanogan_pipeline.errors import InputError

Network = TypeVar("Network", bound=nn.Module)


def choose_device(name: str) -> torch.device:
    """The device of `auto` (a GPU where there is one), `cpu` or `cuda`.

    Raises:
        InputError: `cuda` on a machine without one.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device: found 'cuda', but PyTorch sees no GPU here; use 'auto' or 'cpu'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


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
            f"training.processes: process {local_rank} finds no GPU of its own among {gpus}; use auto or fewer"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def placed(module: Network, device: torch.device) -> Network:
    """The module on a device, channels last, which convolutions on it are fastest with."""
    return module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def set_threads(threads: int, processes: int = 1) -> int:
    """Use that many CPU threads, returned; 0: as OMP_NUM_THREADS says, else a fair share of every core there is.

    Args:
        threads: as `training.threads`.
        processes: that share the cores.
    """
    wished = os.environ.get("OMP_NUM_THREADS", "")
    cores = max(1, len(os.sched_getaffinity(0)) // processes)
    count = threads or (int(wished) if wished.isdigit() and int(wished) else cores)
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    return count
