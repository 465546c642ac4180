"""The loop both phases share: steps, curves, resumable states, health, a polite end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor, nn

from fanogan_pipeline.errors import plural
from fanogan_pipeline.parameters import TrainingParameters
from fanogan_pipeline.training import health
from fanogan_pipeline.training.curves import Curves
from fanogan_pipeline.training.distributed import Group
from fanogan_pipeline.training.interrupt import Stopping, polite_interrupt
from fanogan_pipeline.training.optimisers import Optimiser
from fanogan_pipeline.training.progress import Progress
from fanogan_pipeline.training.state import StateSlot, misfit_of, pack, unpack

logger = logging.getLogger(__name__)

Observer = Callable[[int, dict[str, float]], None]  # step, mean of each term since the last call


class Phase(Protocol):
    """What the loop needs of a phase.

    Attributes:
        name: as in messages and state keys.
        modules: everything with weights or running statistics.
        optimisers: by name.
        noise: the one source of randomness besides the order of the data and what is changed in it.
        images_a_step: images seen in a step, real ones where the objective has any; for the rate.
        group: the processes that train it.
    """

    name: str
    modules: dict[str, nn.Module]
    optimisers: dict[str, Optimiser]
    noise: torch.Generator
    images_a_step: int
    group: Group

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
        KeyboardInterrupt: after Ctrl-C or SIGTERM, with the state saved where there is a slot for it.
        RuntimeError: as `Group.align`.
    """
    step, curves = _begin(phase, parameters, slot)
    group = phase.group
    group.align(step, phase.modules.values())
    for row in curves.rows:
        if observe:
            observe(int(row["step"]), {name: value for name, value in row.items() if name != "step"})
    progress = Progress(phase.name, steps, step, phase.images_a_step)
    saved_at = time.monotonic()
    kept = slot.let_go_on_error() if slot else nullcontext()
    with kept, closing(progress), polite_interrupt(insist=group.size == 1) as interrupted:
        is_stopping = Stopping(group, interrupted, step, parameters.log_every)
        while step < steps:
            curves.add(group.mean(phase.step(step)))
            step += 1
            if step % parameters.log_every == 0 or step == steps:
                values = curves.close_row(step)
                complaint = health.finite_complaint(values, phase.modules) or phase.complaint(values)
                health.act(complaint, phase.name, step, parameters.on_failure)
                progress.show(step, values)
                if observe:
                    observe(step, values)
            stopping = step < steps and is_stopping(step)
            due = stopping or step == steps or _is_due(parameters, step, saved_at)
            is_handed_on = step == steps and group.size > 1  # all that several processes leave is their last state
            if slot and group.rank == 0 and due:
                _save(phase, parameters, slot, step, curves, is_handed_on)
                saved_at = time.monotonic()
            if stopping:
                progress.close()
                hint = ", which is kept to go on from" if slot else ""
                logger.warning("%s: stopped at step %d%s", phase.name, step, hint)
                raise KeyboardInterrupt
        if group.size == 1 and interrupted():  # in the very last step: whatever comes next is not to begin
            raise KeyboardInterrupt
    return pd.DataFrame(curves.rows)


def _is_due(parameters: TrainingParameters, step: int, saved_at: float) -> bool:
    by_count = parameters.save_every_steps > 0 and step % parameters.save_every_steps == 0
    return by_count or time.monotonic() - saved_at >= parameters.save_every_seconds


def _save(
    phase: Phase, parameters: TrainingParameters, slot: StateSlot, step: int, curves: Curves, whatever: bool
) -> None:
    """Keep the state, unless something in it is not finite: then the last good one stays, or not, `whatever` it is."""
    complaint = health.finite_complaint(curves.open_row(), phase.modules)
    health.act(complaint, phase.name, step, parameters.on_failure)
    if whatever or not complaint:
        slot.save(pack(phase.modules, phase.optimisers, phase.noise, step, curves))


def _begin(phase: Phase, parameters: TrainingParameters, slot: StateSlot | None) -> tuple[int, Curves]:
    """Step and curves to go on from; says where from."""
    if slot is None:
        return 0, Curves()
    if parameters.fresh_start:
        slot.discard()
    slot.sweep(parameters.keep_unfinished)
    state = slot.load()
    if state is not None and (misfit := misfit_of(state, phase.modules)):
        logger.warning("%s: starting afresh; the state kept here does not fit: %s", phase.name, misfit)
        state = None
    if state is None:
        if others := len(slot.others()):
            found = plural(others, "unfinished training")
            logger.info("%s: starting afresh; %s kept here had other parameters, data or code", phase.name, found)
        return 0, Curves()
    step, curves = unpack(state, phase.modules, phase.optimisers, phase.noise)
    logger.info("%s: going on from step %d", phase.name, step)
    return step, curves
