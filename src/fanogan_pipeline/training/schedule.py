"""Learning rates over a phase, a function of the step alone, so that a resumed run goes on at the very rate."""

from __future__ import annotations

WARM_UP_STEPS = 50  # an adaptive optimiser's first estimates rest on few gradients
LAST_SHARE = 0.02  # of the full rate, that a decay ends at, a step behind the last


def rate_factor(step: int, steps: int, decay: float, warm_up: int = 0) -> float:
    """The share of the full rate at `step` of `steps`: linearly up, level, linearly down.

    Args:
        step: from 0.
        steps: of the whole phase.
        decay: share of the phase, at its end, over which the rate falls to `LAST_SHARE`; 0: never.
        warm_up: steps over which it rises at the start.
    """
    rise = (step + 1) / (warm_up + 1)
    fall = LAST_SHARE + (1 - LAST_SHARE) * (1 - step / steps) / decay if decay else 1.0
    return min(1.0, rise, fall)
