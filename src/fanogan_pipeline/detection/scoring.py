"""From residual terms to a score, from a score to a p-value and a verdict."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from fanogan_pipeline.detection.residuals import TERMS
from fanogan_pipeline.detection.training_set import VIEWS
from fanogan_pipeline.errors import InputError, plural

logger = logging.getLogger(__name__)


# What a chosen score may be made of: the share of each family of terms, spread evenly over its members. The first is
# taken unless another is clearly better.
MIXES: dict[str, dict[str, float]] = {
    "neighbours_and_restoration": {"tolerant_residual": 1.0, "neighbour_ratio": 2.0},
    "restoration_and_neighbours": {"tolerant_residual": 1.0, "neighbour_ratio": 0.5},
    "restoration": {"tolerant_residual": 1.0},
    "neighbours": {"neighbour_ratio": 1.0},
    "neighbours_and_features": {"neighbour_ratio": 1.0, "feature_ratio": 1.0},
    "neighbours_features_and_restoration": {"neighbour_ratio": 2.0, "feature_ratio": 1.0, "tolerant_residual": 0.5},
}
# Of the residual map: how unlike normal ones the worst places are, and how far they stand out from their picture.
MAP_MIXES = {"map": {"map_residual": 1.0, "map_contrast": 1.0}}
MEMBERS = ("", *(f"_{view}" for view in VIEWS))  # of a family: its one term, or a term for each of the encoder's views
LOG_FLOOR = 1e-6  # a residual below it counts as it: it is rounding more than anything else


@dataclass(frozen=True)
class ScoreRule:
    """score = sum over terms of weight * (term - centre) / scale, of the terms or of their logarithms.

    The article's A(x) = A_R(x) + kappa * A_D(x) is centre 0, scale 1, weights 1 and kappa; the
    standardised sums take centre and scale from the selection set, so that no kappa is needed
    and calibration images stay exchangeable with new ones.
    """

    weight: dict[str, float]
    centre: dict[str, float]
    scale: dict[str, float]
    logarithmic: bool = False

    def score(self, terms: pd.DataFrame) -> np.ndarray:
        """float64 [N] of residual terms, a row per image."""
        return self.combine({name: terms[name].to_numpy(np.float64) for name in self.weight})

    def combine(self, terms: Mapping[str, Any], log: Callable[[Any], Any] = np.log) -> Any:
        """The score of terms given as arrays or as tensors [N] (with torch's `log`), of which it makes one alike."""
        parts = []
        for name, weight in self.weight.items():
            value = log(terms[name].clip(LOG_FLOOR)) if self.logarithmic else terms[name]
            parts.append(weight * (value - self.centre[name]) / self.scale[name])
        return sum(parts[1:], parts[0])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fit_rule(kind: str, kappa: float, selection_terms: pd.DataFrame) -> ScoreRule:
    """The rule of a given kind.

    Args:
        kind: "standardised", "article", "image" or a name of `MIXES` or of `MAP_MIXES`.
        kappa: weight of the feature residual in the article's score.
        selection_terms: residual terms of the selection set, normal images only.
    """
    if kind in MIXES | MAP_MIXES:
        return fit_mix(kind, selection_terms)
    if kind == "standardised":
        centre, scale = _moments(selection_terms[list(TERMS)])
        return ScoreRule(dict.fromkeys(TERMS, 1.0), centre, scale)
    weight = {"image_residual": 1.0} | ({"feature_residual": kappa} if kind == "article" else {})
    return ScoreRule(weight, dict.fromkeys(weight, 0.0), dict.fromkeys(weight, 1.0))


def fit_mix(mix: str, selection_terms: pd.DataFrame) -> ScoreRule:
    """The rule of a mix: logarithms of its terms, each standardised on the selection set.

    A residual's law has a long right tail; its logarithm is near normal, so that no term rules the sum by its tail.
    """
    shares = (MIXES | MAP_MIXES)[mix]
    families = {family: [family + end for end in MEMBERS if family + end in selection_terms] for family in shares}
    if none := [family for family, terms in families.items() if not terms]:
        raise InputError(
            f"{mix}: found the family '{none[0]}' in this mix, of which no term is measured; expected families of "
            f"{', '.join(selection_terms.columns)}; correct it in MIXES of detection/scoring.py"
        )
    weight = {name: share / len(families[family]) for family, share in shares.items() for name in families[family]}
    centre, scale = _moments(np.log(selection_terms[list(weight)].clip(lower=LOG_FLOOR)))
    return ScoreRule(weight, centre, scale, logarithmic=True)


def _moments(terms: pd.DataFrame) -> tuple[dict[str, float], dict[str, float]]:
    spread = terms.std(ddof=1)
    if not (np.isfinite(spread) & (spread > 0)).all():
        raise InputError(
            f"selection_set: the residual terms' standard deviations are {spread.to_dict()}, expected all above 0; "
            "the models do not tell images apart, train longer"
        )
    return terms.mean().to_dict(), spread.to_dict()


@dataclass(frozen=True)
class Calibration:
    """What the calibration scores promise.

    Attributes:
        threshold: an image is flagged where its score is above it.
        promised_false_alarm_rate: the largest share k / (n + 1) not above the wished one, at least 1 / (n + 1).
        three_sigma_threshold: mean + 3 standard deviations of the calibration scores.
        n: number of calibration images.
        n_groups: number of groups that they are of, or None where each stands alone. Images of one group are alike, so
            that those of another are not exchangeable with them, and nothing is promised of such.
    """

    threshold: float
    promised_false_alarm_rate: float
    three_sigma_threshold: float
    n: int
    n_groups: int | None = None


def calibrate(calibration_scores: np.ndarray, false_alarm_rate: float, n_groups: int | None = None) -> Calibration:
    """The conformal threshold: of new normal images, at most the promised share is flagged on average.

    Holds for any law of the scores as long as calibration and new normal images are exchangeable
    (Vovk et al. 2005; Bates et al. 2023). With too few images for the wished rate the smallest
    rate they can promise, 1 / (n + 1), is used, and said.

    Args:
        calibration_scores: [n], of normal images that nothing else has seen.
        false_alarm_rate: the wished rate, in (0, 1).
        n_groups: see `Calibration`; it changes no threshold, and is said.

    Raises:
        InputError: fewer than two calibration images.
    """
    n = len(calibration_scores)
    if n < 2:
        raise InputError(
            f"calibration_set: found {plural(n, 'image')}, expected at least 2; raise data_prep.calibration_fraction"
        )
    threshold, promised = conformal_threshold(calibration_scores, false_alarm_rate)
    warn_of_few(n, false_alarm_rate)
    if n_groups is not None:
        logger.warning(
            "scoring: the %d calibration images are of %s; the promised false-alarm rate is that of new images "
            "like these, and is no promise for other groups",
            *(n, plural(n_groups, "group")),
        )
    ordered = np.sort(np.asarray(calibration_scores, np.float64))
    return Calibration(
        threshold=threshold,
        promised_false_alarm_rate=promised,
        three_sigma_threshold=float(ordered.mean() + 3 * ordered.std(ddof=1)),
        n=n,
        n_groups=n_groups,
    )


def warn_of_few(n: int, false_alarm_rate: float) -> None:
    """A word where n calibration images are too few to promise the wished rate."""
    if false_alarm_rate * (n + 1) < 1 - 1e-9:
        logger.warning(
            "scoring.false_alarm_rate: %g needs at least %d calibration images, found %d; promising %.3g instead; for "
            "that rate add normal images or raise data_prep.calibration_fraction",
            *(false_alarm_rate, math.ceil(1 / false_alarm_rate - 1e-9) - 1, n, 1 / (n + 1)),
        )


def conformal_threshold(calibration_scores: np.ndarray, false_alarm_rate: float) -> tuple[float, float]:
    """A threshold and the rate it promises: the largest k / (n + 1) not above the wished one, at least 1 / (n + 1)."""
    n = len(calibration_scores)
    allowed = max(1, min(math.floor(false_alarm_rate * (n + 1) + 1e-9), n))
    return float(np.sort(np.asarray(calibration_scores, np.float64))[-allowed]), allowed / (n + 1)


def p_values(scores: np.ndarray, calibration_scores: np.ndarray) -> np.ndarray:
    """(1 + #{calibration scores >= s}) / (n + 1) for each s (Bates et al. 2023, equation 2): float64 [N]."""
    return (1 + _at_least(scores, calibration_scores)) / (len(calibration_scores) + 1)


def own_p_values(calibration_scores: np.ndarray) -> np.ndarray:
    """Of each calibration image, by the n - 1 others: #{calibration scores >= s} / n, itself among them; float64 [n].

    At most the promised false-alarm rate where the score is above the threshold, as those of new images are.
    """
    return _at_least(calibration_scores, calibration_scores) / len(calibration_scores)


def _at_least(scores: np.ndarray, calibration_scores: np.ndarray) -> np.ndarray:
    ordered = np.sort(np.asarray(calibration_scores, np.float64))
    return len(ordered) - np.searchsorted(ordered, scores, side="left")
