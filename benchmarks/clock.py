"""Time on a device: a GPU is handed work and goes on with it alone, so the clock is read when it has finished."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def now(device: torch.device) -> float:
    """Seconds on the clock, once the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def speed_of(do: Callable[[], object], seconds: float, device: torch.device) -> float:
    """How often a second `do` gets done on the device, over about so many seconds."""
    began, done = now(device), 0
    while done == 0 or time.perf_counter() - began < seconds:
        do()
        done += 1
    return done / (now(device) - began)
