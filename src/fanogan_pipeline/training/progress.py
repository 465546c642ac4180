"""What a person sees while a phase trains: a bar in a terminal, a line every so often elsewhere."""

from __future__ import annotations

import logging
import sys
import time

from tqdm import tqdm

logger = logging.getLogger(__name__)
LINE_EVERY_SECONDS = 15.0


class Progress:
    """Rate, time left and current losses of a phase.

    Args:
        phase: the name shown.
        steps: number of steps in all.
        start: the step a resumed phase goes on from.
        unit_images: images a step, for the rate.
    """

    def __init__(self, phase: str, steps: int, start: int, unit_images: int) -> None:
        self.phase, self.steps, self.start, self.unit_images = phase, steps, start, unit_images
        self.began = self.last_line = time.monotonic()
        self.bar = (
            tqdm(total=steps, initial=start, desc=phase, unit="step", dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def show(self, step: int, values: dict[str, float]) -> None:
        """`step` steps are done; values are the losses to show."""
        now = time.monotonic()
        rate = self.unit_images * (step - self.start) / max(now - self.began, 1e-9)
        losses = " ".join(f"{name}={value:.4g}" for name, value in values.items())
        if self.bar is not None:
            self.bar.set_postfix_str(f"{rate:,.0f} images/s {losses}", refresh=False)
            self.bar.update(step - self.bar.n)
        elif now - self.last_line >= LINE_EVERY_SECONDS or step == self.steps:
            self.last_line = now
            left = (self.steps - step) * (now - self.began) / max(step - self.start, 1)
            logger.info(
                "%s: step %d of %d, %.0f images/s, %.0f s left, %s", self.phase, step, self.steps, rate, left, losses
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
