"""AUROC of many methods on the same images: DeLong's comparison of two, and resampled means over whole tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from fanogan_pipeline.detection.evaluation import placements


def paired_difference(one: np.ndarray, other: np.ndarray, is_anomaly: np.ndarray) -> tuple[float, float]:
    """AUROC of one method less that of another on the same images, and its two-sided p-value (DeLong et al. 1988).

    Args:
        one, other: scores [N].
        is_anomaly: bool [N], at least two of each kind.
    """
    beats_one, loses_one = placements(one, is_anomaly)
    beats_other, loses_other = placements(other, is_anomaly)
    beats, loses = beats_one - beats_other, loses_one - loses_other
    variance = beats.var(ddof=1) / len(beats) + loses.var(ddof=1) / len(loses)
    difference = float(beats.mean())
    if variance == 0:
        return difference, 1.0 if difference == 0 else 0.0
    return difference, two_sided(difference / float(np.sqrt(variance)))


def two_sided(z: float) -> float:
    """p-value of a standard normal statistic."""
    return float(2 * stats.norm.sf(abs(z)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values [M] corrected for being M at once (Holm 1979)."""
    order = np.argsort(p_values)
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(raised, 1)
    return corrected


@dataclass(frozen=True)
class Ranked:
    """Scores sorted once, so that the AUROC of any resample costs a few sums.

    Attributes:
        images: number of each scored image among all images of the data, int [N], ascending by score.
        is_anomaly: bool [N], in this order.
        ties: start of each run of equal scores, int [runs].
    """

    images: np.ndarray
    is_anomaly: np.ndarray
    ties: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, is_anomaly: np.ndarray, images: np.ndarray) -> Ranked:
        order = np.argsort(scores, kind="stable")
        values = scores[order]
        return cls(images[order], is_anomaly[order], np.flatnonzero(np.r_[True, values[1:] != values[:-1]]))

    def auroc(self, weights: np.ndarray) -> float:
        """AUROC in which each image of the data counts `weights` [images] times; NaN where one kind is missing."""
        here = weights[self.images]
        bad, good = (np.add.reduceat(here * kind, self.ties) for kind in (self.is_anomaly, ~self.is_anomaly))
        pairs = bad.sum() * good.sum()
        below = np.cumsum(good) - good / 2  # a tie counts half
        return float((bad * below).sum() / pairs) if pairs else float("nan")


def resampled_weights(strata: np.ndarray, count: int, seed: int) -> np.ndarray:
    """How often each image stands in each of `count` bootstrap samples, drawn within its stratum, int [count, N]."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((count, len(strata)), np.int32)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), count)
    return weights
