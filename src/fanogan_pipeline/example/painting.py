"""What painters of surfaces and defects give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Painted = tuple[np.ndarray, np.ndarray]  # brightness [H, W] in [0, 1], mask bool [H, W]
Painter = Callable[[tuple[int, int], np.random.Generator], Painted]
