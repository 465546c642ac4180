"""What the methods of a cell share: parameters, the split, what each one says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from fanogan_pipeline.parameters import (
    BenchmarkParameters,
    DataPrepParameters,
    EncoderParameters,
    Group,
    Precision,
    ScoringParameters,
    TrainingParameters,
    WganParameters,
)


class Settings(Group):
    """The parameter groups that a cell depends on, the device and the precision."""

    data_prep: DataPrepParameters
    wgan: WganParameters
    encoder: EncoderParameters
    scoring: ScoringParameters
    training: TrainingParameters
    benchmark: BenchmarkParameters
    device: Literal["cpu", "cuda"]
    precision: Precision


@dataclass(frozen=True)
class Split:
    """One class normal: images uint8 [N, C, H, W] of each side, and what is known of those that are scored.

    Attributes:
        train, selection: images.
        scored: calibration images, then those of the test set.
        known: a row per scored image: `part`, `image_id`, `label`, `is_anomaly`.
        selection_group: of each selection image, "" where it stands alone, str [N]; None where all do.
    """

    train: np.ndarray
    selection: np.ndarray
    scored: np.ndarray
    known: pd.DataFrame
    selection_group: np.ndarray | None = None


@dataclass
class Scored:
    """What one method says.

    Attributes:
        scores: of calibration and test images, float64 [N].
        fit_seconds, score_seconds: of one CPU thread, on a GPU of the clock.
        detail: what it chose, if anything.
    """

    scores: np.ndarray
    fit_seconds: float
    score_seconds: float
    detail: str = ""


def clock(device: str) -> Callable[[], float]:
    """Seconds of this process's CPU time, which other work on the machine does not stretch; on a GPU the clock's."""
    return time.process_time if device == "cpu" else time.perf_counter
