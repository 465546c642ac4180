"""Which residual terms a score is made of, chosen per data set by a rule that sees normal images only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from fanogan_pipeline.detection.made_up import made_up_anomalies
from fanogan_pipeline.detection.neighbours import Neighbours
from fanogan_pipeline.detection.residuals import Restorer, residual_terms
from fanogan_pipeline.detection.scoring import MIXES, fit_mix
from fanogan_pipeline.detection.statistics import fit_statistics
from fanogan_pipeline.errors import InputError

MOST_IMAGES = 300  # normal images on either side of the comparison: the choice needs no more

# images to fit on, images to measure -> residual terms of the latter
Measure = Callable[[np.ndarray, list[np.ndarray]], list[pd.DataFrame]]


def choose_mix(images: np.ndarray, measure: Measure, seed: int) -> pd.DataFrame:
    """Score made-up anomalies against normal images with each mix of terms; the best on average is chosen.

    The selection set is halved: statistics and rules are fitted on one half, and the other half's
    images are compared with made-up anomalies of their own. No label and no test image is seen.

    Args:
        images: uint8 [N, C, H, W] of the selection set.
        measure: fits statistics on its first argument and gives the residual terms of the sets in its second.
        seed: of the halves and the made-up anomalies.

    Returns:
        A row a mix: `mix`, an AUROC for each kind of made-up anomaly, their mean `made_up_auroc`,
        and `chosen`.

    Raises:
        InputError: fewer than four images.
    """
    if len(images) < 4:
        raise InputError(
            f"selection_set: found {len(images)} images, expected at least 4 to choose a score with; "
            "raise data_prep.selection_fraction or set scoring.score: standardised"
        )
    order = np.random.default_rng(seed).permutation(len(images))
    fitted_on, compared = np.array_split(images[order], 2)
    compared = compared[:MOST_IMAGES]
    made_up = made_up_anomalies(compared, seed)
    terms = measure(fitted_on, [fitted_on, compared, *made_up.values()])
    rows = []
    for mix in MIXES:
        rule = fit_mix(mix, terms[0])
        normal = rule.score(terms[1])
        aurocs = [_auroc(normal, rule.score(changed)) for changed in terms[2:]]
        rows.append({"mix": mix, **dict(zip(made_up, aurocs, strict=True)), "made_up_auroc": float(np.mean(aurocs))})
    table = pd.DataFrame(rows)
    return table.assign(chosen=table.index == table["made_up_auroc"].idxmax())


def chosen_mix(table: pd.DataFrame) -> str:
    """The kind of score that a table of `choose_mix` or `as_given` names."""
    return str(table.loc[table["chosen"], "mix"].iloc[0])


def measure_with(restorer: Restorer, neighbours: tuple[Neighbours, ...], batch_size: int) -> Measure:
    """How `choose_mix` measures images with these networks."""

    def measure(fitted_on: np.ndarray, sets: list[np.ndarray]) -> list[pd.DataFrame]:
        fitted = fit_statistics(fitted_on, restorer, neighbours, batch_size)
        return [residual_terms(images, restorer, fitted, batch_size) for images in sets]

    return measure


def as_given(score: str) -> pd.DataFrame:
    """The table of `choose_mix` where nothing is left to choose."""
    return pd.DataFrame({"mix": [score], "made_up_auroc": [float("nan")], "chosen": [True]})


def _auroc(normal: np.ndarray, changed: np.ndarray) -> float:
    truth = np.arange(len(normal) + len(changed)) >= len(normal)
    return float(roc_auc_score(truth, np.concatenate([normal, changed])))
