"""How many CPU cores there are to compute on."""

from __future__ import annotations

import os


def cores() -> int:
    """CPU cores that this process may run on; all of the machine's where the system (macOS) keeps no such list."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
