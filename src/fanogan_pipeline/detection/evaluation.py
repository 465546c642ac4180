"""How good the verdicts are on a labelled test set, with honest intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, stats
from sklearn.metrics import average_precision_score

from fanogan_pipeline.detection.scoring import Calibration


def auroc_with_interval(
    scores: np.ndarray, is_anomaly: np.ndarray, confidence: float = 0.95
) -> tuple[float, float, float]:
    """AUROC A and its confidence interval: the t at which (t - A)^2 = q^2 V(t), q Student's quantile.

    V is that of Hanley and McNeil 1982 (Radiology 143:29), under which scores of both kinds follow exponential laws,
    solved in t (Newcombe 2006, Statistics in Medicine 25:559). It stays above zero where few images are ranked without
    a fault. One kind's part of it is the larger; the rarer kind has that here, for nobody knows whose scores spread
    more. What such laws have not, some anomalies below most normal images, shows in DeLong's estimate (DeLong et al.
    1988), which takes V's place where it is larger. Of the rarer kind only so many images tell of either, so q has one
    degree of freedom less. Under no law is the variance above t (1 - t) over the images of the rarer kind (Birnbaum
    and Klose 1957); with the normal law's quantile that bound is Wilson's interval of a share.

    Args:
        scores: [N], higher is more anomalous.
        is_anomaly: bool [N].
        confidence: of the interval.

    Returns:
        AUROC, lower end, upper end; NaN where one kind is missing.
    """
    m, n = int(is_anomaly.sum()), int((~is_anomaly).sum())
    if m == 0 or n == 0:
        return float("nan"), float("nan"), float("nan")
    beats, loses = placements(scores, is_anomaly)
    auroc = float(beats.mean())
    inside = min(max(auroc, 1e-12), 1 - 1e-12)
    found = sum(part.var(ddof=1) / len(part) for part in (beats, loses) if len(part) > 1) / (inside * (1 - inside))
    rarer, other = sorted((m, n))
    most = stats.norm.ppf((1 + confidence) / 2) ** 2 / rarer
    factor = stats.t.ppf((1 + confidence) / 2, max(1, rarer - 1)) ** 2

    def apart(t: float) -> float:
        less, more = sorted(((1 - t) / (2 - t), t / (1 + t)))
        model = (1 + (other - 1) * more + (rarer - 1) * less) / (m * n)
        return (t - auroc) ** 2 - t * (1 - t) * min(most, factor * max(model, found))

    return auroc, float(optimize.brentq(apart, 0, inside)), float(optimize.brentq(apart, inside, 1))


def placements(scores: np.ndarray, is_anomaly: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each anomaly the share of normal images below it, for each normal image the share of anomalies above it.

    The mean of either is the AUROC; a tie counts half (DeLong et al. 1988, by ranks: Sun and Xu 2014).

    Args:
        scores: [N].
        is_anomaly: bool [N], both kinds present.

    Returns:
        float64 [anomalies], float64 [normal images].
    """
    positive, negative = scores[is_anomaly], scores[~is_anomaly]
    ranks_all = stats.rankdata(np.concatenate([positive, negative]))
    beats = (ranks_all[: len(positive)] - stats.rankdata(positive)) / len(negative)
    loses = 1 - (ranks_all[len(positive) :] - stats.rankdata(negative)) / len(positive)
    return beats, loses


def rate_with_interval(
    hits: int, total: int, confidence: float = 0.95
) -> tuple[float | None, float | None, float | None]:
    """Share and its exact (Clopper-Pearson) interval; None where there is nothing to count."""
    if total == 0:
        return None, None, None
    interval = stats.binomtest(hits, total).proportion_ci(confidence, method="exact")
    return hits / total, float(interval.low), float(interval.high)


def evaluate(scores: pd.DataFrame, calibration: Calibration, confidence: float = 0.95) -> dict[str, float | int | None]:
    """The numbers of `metrics`: ranking, verdicts at the threshold, and at mean + 3 sigma beside it.

    Args:
        scores: the test score table.
        calibration: its thresholds.
        confidence: of all intervals.
    """
    truth = scores["is_anomaly"].to_numpy(dtype=bool)
    values = scores["score"].to_numpy(np.float64)
    auroc, low, high = auroc_with_interval(values, truth, confidence)
    both = bool(truth.any() and not truth.all())
    metrics: dict[str, float | int | None] = {
        "auroc": auroc if both else None,
        "auroc_ci_low": low if both else None,
        "auroc_ci_high": high if both else None,
        "average_precision": float(average_precision_score(truth, values)) if both else None,
        "prevalence": float(truth.mean()),
        "threshold": calibration.threshold,
        "promised_false_alarm_rate": calibration.promised_false_alarm_rate,
    }
    flagged = scores["is_flagged"].to_numpy(dtype=bool)
    metrics |= _rates("", flagged, truth, confidence)
    metrics["three_sigma_threshold"] = calibration.three_sigma_threshold
    metrics |= _rates("three_sigma_", values > calibration.three_sigma_threshold, truth, confidence)
    metrics |= {"n_normal": int((~truth).sum()), "n_anomalous": int(truth.sum()), "n_calibration": calibration.n}
    metrics["n_calibration_groups"] = calibration.n_groups
    return metrics


def _rates(prefix: str, flagged: np.ndarray, truth: np.ndarray, confidence: float) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for name, side in (("false_alarm_rate", ~truth), ("recall", truth)):
        rate, low, high = rate_with_interval(int(flagged[side].sum()), int(side.sum()), confidence)
        values |= {f"{prefix}{name}": rate, f"{prefix}{name}_ci_low": low, f"{prefix}{name}_ci_high": high}
    return values


def per_class(scores: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """For each class how much of it was flagged, with the exact interval.

    Returns:
        Columns `label, is_anomaly, images, flagged, share, ci_low, ci_high, median_score, auroc`
        (`auroc` of that class against all normal images; NaN for normal classes and where there are no such images).
    """
    normal = scores.loc[~scores["is_anomaly"], "score"].to_numpy()
    rows = []
    for (label, is_anomaly), group in scores.groupby(["label", "is_anomaly"], sort=True):
        share, low, high = rate_with_interval(int(group["is_flagged"].sum()), len(group), confidence)
        against = float("nan")
        if is_anomaly and len(normal):
            joined = np.concatenate([normal, group["score"].to_numpy()])
            against, _, _ = auroc_with_interval(joined, np.arange(len(joined)) >= len(normal), confidence)
        rows.append(
            {
                "label": label,
                "is_anomaly": bool(is_anomaly),
                "images": len(group),
                "flagged": int(group["is_flagged"].sum()),
                "share": share,
                "ci_low": low,
                "ci_high": high,
                "median_score": float(group["score"].median()),
                "auroc": against,
            }
        )
    return pd.DataFrame(rows)
