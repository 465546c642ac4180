"""The loop both phases share: steps, curves, resumable states, health, a polite end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor, nn

from fanogan_pipeline.parameters import TrainingParameters
from fanogan_pipeline.training import health
from fanogan_pipeline.training.interrupt import polite_interrupt
from fanogan_pipeline.training.progress import Progress
from fanogan_pipeline.training.state import StateSlot, pack, unpack

logger = logging.getLogger(__name__)

Observer = Callable[[int, dict[str, float]], None]  # step, mean of each term since the last call


class Phase(Protocol):
    """What the loop needs of a phase.

    Attributes:
        name: as in messages and state keys.
        modules: everything with weights or running statistics.
        optimisers: by name.
        noise: the one source of randomness besides the order of the data.
        images_a_step: real images seen in a step, for the rate.
    """

    name: str
    modules: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]
    noise: torch.Generator
    images_a_step: int

    def step(self, number: int) -> dict[str, Tensor]:
        """Do step `number` (from 0); returns detached scalar terms."""
        ...

    def complaint(self, values: dict[str, float]) -> str:
        """What has gone wrong beyond numbers that are not finite, or ""."""
        ...


def run_phase(
    phase: Phase,
    steps: int,
    parameters: TrainingParameters,
    slot: StateSlot | None = None,
    observe: Observer | None = None,
) -> pd.DataFrame:
    """Train to the end, from the state kept in the slot where there is one.

    Returns:
        The curves: a row per logged step, column `step` and the mean of each term since the row before.

    Raises:
        TrainingError: what `training.on_failure: stop` stops for; the last good state is kept.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, with the state saved.
    """
    step, history = _begin(phase, parameters, slot)
    progress = Progress(phase.name, steps, step, phase.images_a_step)
    sums: dict[str, Tensor] = {}
    since, saved_at = 0, time.monotonic()
    with polite_interrupt() as interrupted:
        while step < steps:
            terms = phase.step(step)
            sums = {name: sums[name] + value for name, value in terms.items()} if sums else terms
            step, since = step + 1, since + 1
            if step % parameters.log_every == 0 or step == steps:
                values = {name: float(value) / since for name, value in sums.items()}
                sums, since = {}, 0
                complaint = health.finite_complaint(values, phase.modules) or phase.complaint(values)
                health.act(complaint, phase.name, step, parameters.on_failure)
                history.append({"step": step, **values})
                progress.show(step, values)
                if observe:
                    observe(step, values)
                # only here, where the state has just been found healthy and no half-summed curve is lost
                due = time.monotonic() - saved_at >= parameters.save_every_seconds
                if slot and (due or interrupted() or step == steps):
                    slot.save(pack(phase.modules, phase.optimisers, phase.noise, step, history))
                    saved_at = time.monotonic()
                if interrupted() and step < steps:
                    progress.close()
                    logger.warning("%s: stopped at step %d; the same command goes on from there", phase.name, step)
                    raise KeyboardInterrupt
    progress.close()
    return pd.DataFrame(history)


def _begin(phase: Phase, parameters: TrainingParameters, slot: StateSlot | None) -> tuple[int, list[dict[str, float]]]:
    """Step and curves to go on from; says where from."""
    if slot is None:
        return 0, []
    if parameters.fresh_start:
        slot.discard()
    state = slot.load()
    if state is None:
        if slot.others():
            logger.info(
                "%s: starting afresh; an unfinished training kept here had other parameters or data", phase.name
            )
        return 0, []
    step, history = unpack(state, phase.modules, phase.optimisers, phase.noise)
    logger.info("%s: going on from step %d", phase.name, step)
    return step, history
