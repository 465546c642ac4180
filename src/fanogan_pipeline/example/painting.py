"""What painters of surfaces and defects give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Painted = tuple[np.ndarray, np.ndarray]  # brightness [H, W], clipped to 0 (black) .. 1 when saved; mask bool [H, W]
Painter = Callable[[tuple[int, int], np.random.Generator], Painted]
