"""Which device and how many threads."""

from __future__ import annotations

import os

import torch

from fanogan_pipeline.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device of `auto` (a GPU where there is one), `cpu` or `cuda`.

    Raises:
        InputError: `cuda` on a machine without one.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device: found 'cuda', but PyTorch sees no GPU here; use 'auto' or 'cpu'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def set_threads(threads: int) -> int:
    """Use that many CPU threads, returned; 0: as OMP_NUM_THREADS says, else every core this process may run on."""
    wished = os.environ.get("OMP_NUM_THREADS", "")
    count = threads or (int(wished) if wished.isdigit() and int(wished) else len(os.sched_getaffinity(0)))
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    return count
