"""Some of many, where the first of them would be of one class or one picture: sets keep the order of their source."""

from __future__ import annotations

import numpy as np


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of `count` row numbers, ascending and evenly spread from the first to the last, int64 [M]."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)
