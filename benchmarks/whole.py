"""What a GPU is asked besides rates: a whole class, scoring in large batches, the memory of both, and ten classes."""

from __future__ import annotations

import gc
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from tests.parts import digits, group

from benchmarks.cases import Case, job
from benchmarks.clock import now, speed_of
from benchmarks.detectors import detector_of, nodes_of
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.evaluation import evaluate
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.parameters import BenchmarkParameters
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
    """Train both phases to the end, fit the score, score so many of MNIST's test images and evaluate that, one after
    another."""
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
    fit, (images, labels) = "score, chosen and calibrated", (np.array(part[:scored]) for part in digits("t10k"))
    yield stage(fit, lambda: detector_of(case, (made[first], made[second])))
    yield stage(f"scoring and metrics of {len(images):,} images", lambda: _metrics(made[fit], images, labels != 1))


def _metrics(detector: AnomalyDetector, images: np.ndarray, is_anomaly: np.ndarray) -> dict[str, Any]:
    found = detector.judge(detector.terms(images)).assign(is_anomaly=is_anomaly)
    return evaluate(found, detector.detector.calibration)


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


def table_seconds(case: Case, parameters: BenchmarkParameters) -> float:
    """Seconds of all that the benchmark pipeline makes of MNIST's pictures but the figure, its cells side by side."""
    nodes, parts = nodes_of("benchmark"), {"train": digits("train"), "test": digits("t10k")}
    images, labels = (np.concatenate(both) for both in zip(*parts.values(), strict=True))
    table = pd.DataFrame({"image_id": np.arange(len(labels)).astype(str), "label": labels.astype(str), "group": ""})
    table["part"] = np.repeat(list(parts), [len(labels) for _, labels in parts.values()])
    source = ImageSource(table.assign(has_mask=False), images[:, 0].__getitem__)
    data_prep, training, compute = (group(name) for name in ("data_prep", "training", "compute"))
    p = data_prep, case.wgan, case.encoder, case.scoring, training, parameters, compute, case.device.type, "float32"
    with tempfile.TemporaryDirectory() as place:
        began = now(case.device)
        pictures = nodes.prepare_all(source, data_prep, case.scoring)
        scores = nodes.score_cells(pictures, *p, SimpleNamespace(folder=Path(place)))
        nodes.summarise(scores, nodes.tabulate(scores, parameters), parameters, 0)
        nodes.compare(scores)
        return now(case.device) - began


def _forget_peak(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else math.nan
