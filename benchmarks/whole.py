"""What a GPU is asked besides rates: a whole training of one class, scoring in large batches, the memory of both."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tests.parts import digits

from benchmarks.cases import Case, job
from benchmarks.clock import now, speed_of
from benchmarks.detectors import detector_of
from fanogan_pipeline.training.job import train_encoder, train_wgan


@dataclass(frozen=True)
class Stage:
    """A part of a whole run: what it is, how long it takes, and the most memory of the GPU that it allocates.

    Attributes:
        what: in words.
        seconds: on the clock.
        peak: GB; NaN where it runs on the CPU.
    """

    what: str
    seconds: float
    peak: float


@dataclass(frozen=True)
class Batch:
    """Scoring so many images at once: images a second, and GB as `Stage.peak`."""

    size: int
    rate: float
    peak: float


def stages(case: Case, scored: int) -> Iterator[Stage]:
    """Train both phases to the end, fit the score and score so many of MNIST's test images, one after another."""
    made: dict[str, Any] = {}

    def stage(what: str, do: Callable[[], Any]) -> Stage:
        _forget_peak(case.device)
        began = now(case.device)
        made[what] = do()
        return Stage(what, now(case.device) - began, _peak(case.device))

    torch.zeros(1, device=case.device)  # a process's first touch of a GPU takes a second
    first, second = f"phase 1, {case.wgan.steps:,} steps", f"phase 2, {case.encoder.steps:,} steps"
    yield stage(first, lambda: train_wgan(job(case, case.wgan), case.images)[0])
    yield stage(second, lambda: train_encoder(job(case, case.encoder, made[first]), case.images)[0])
    fit, images = "score, chosen and calibrated", np.array(digits("t10k")[0][:scored])
    yield stage(fit, lambda: detector_of(case, (made[first], made[second])))
    yield stage(f"scoring of {len(images):,} images", lambda: made[fit].judge(made[fit].terms(images)))


def batches(case: Case, sizes: tuple[int, ...], seconds: float) -> Iterator[Batch]:
    """Scoring with `scoring.batch_size` of these sizes."""
    fitted = detector_of(case)
    for size in sizes:
        settings = {**fitted.detector.settings, "batch_size": size}
        judge = replace(fitted, detector=replace(fitted.detector, settings=settings))
        images = np.resize(case.images.numpy(), (4 * size, *case.images.shape[1:]))
        judge.terms(images[:size])  # libraries choose their kernels for this size
        _forget_peak(case.device)
        rate = len(images) * speed_of(lambda: judge.judge(judge.terms(images)), seconds, case.device)  # noqa: B023
        yield Batch(size, rate, _peak(case.device))


def _forget_peak(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else math.nan
