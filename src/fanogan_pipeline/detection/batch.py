"""A batch of new pictures as a whole: how many of those flagged are false, and whether the batch has drifted."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

NOT_JUDGED = "not judged"
DIGITS = 6  # significant ones in a list that people read
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of one
ROUNDING = 1e-9  # conformal p-values are fractions that meet a bound exactly, and rounding must not decide


def benjamini_hochberg(p_values: np.ndarray, rate: float) -> np.ndarray:
    """Which pictures to flag so that among those flagged at most `rate` are false alarms, on average.

    The largest k with p_(k) <= k rate / n, and every picture up to the k-th smallest p-value (Benjamini
    and Hochberg 1995). Conformal p-values of one calibration set are dependent in a way that keeps the
    promise (Bates et al. 2023, theorem 2).

    Args:
        p_values: [N].
        rate: in (0, 1).

    Returns:
        bool [N].
    """
    return stats.false_discovery_control(p_values) <= rate * (1 + ROUNDING)


def least_flagged(pictures: int, calibration: int, rate: float) -> int:
    """How many of so many pictures `benjamini_hochberg` flags at the least where it flags any; more than there are
    where it cannot: no p-value is below 1 / (calibration pictures + 1)."""
    return math.ceil(pictures / (rate * (1 + ROUNDING) * (calibration + 1)))


def drift_p_value(scores: np.ndarray, calibration_scores: np.ndarray) -> float:
    """Probability of score laws at least this far apart by chance: Kolmogorov and Smirnov's two-sample test."""
    return float(stats.ks_2samp(scores, calibration_scores).pvalue)


def verdict_list(scores: pd.DataFrame, skipped: list[dict[str, str]]) -> pd.DataFrame:
    """A row a picture: the most anomalous first, what could not be judged last.

    Args:
        scores: `image_id`, `verdict`, `p_value`, `score` of every picture judged.
        skipped: `image_id` and `reason` of every other.

    Returns:
        `image_id`, `verdict` (anomalous, normal, not judged), `p_value`, `score`, `reason`; numbers to `DIGITS`. A name
        that a spreadsheet would take for a formula starts with ./, which names the same file.
    """
    judged = scores.sort_values("score", ascending=False, kind="stable")[["image_id", "verdict", "p_value", "score"]]
    others = pd.DataFrame(skipped, columns=["image_id", "reason"]).assign(verdict=NOT_JUDGED)
    listed = pd.concat([judged, others] if skipped else [judged.assign(reason="")], ignore_index=True)
    listed[["p_value", "score"]] = listed[["p_value", "score"]].map(lambda value: float(f"{value:.{DIGITS}g}"))
    is_formula = listed["image_id"].str.startswith(FORMULA)
    listed["image_id"] = listed["image_id"].where(~is_formula, "./" + listed["image_id"])
    return listed.fillna({"reason": ""})
