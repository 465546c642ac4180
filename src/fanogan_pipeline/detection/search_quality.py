"""What a search for z buys: quality against time, for steps from E(x) and for AnoGAN's from a random z."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.evaluation import auroc_with_interval
from fanogan_pipeline.detection.picture_maps import Pooling, fit_picture_statistics, picture_terms
from fanogan_pipeline.detection.pictures import picture_table, sample, take_pictures
from fanogan_pipeline.detection.refinement import Refinement
from fanogan_pipeline.detection.scoring import fit_rule
from fanogan_pipeline.images import ImageSet

COLUMNS = {
    "method": "str",
    "steps": "int64",
    "auroc": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "seconds": "float64",
    "images": "int64",
}


def not_measured() -> pd.DataFrame:
    """The table of `quality_against_time` without a row."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})


def quality_against_time(
    steps: Mapping[str, Iterable[int]],
    judge: AnomalyDetector,
    kind: str,
    selection: ImageSet,
    test: ImageSet,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """AUROC and time of the detector's score with each way to find z, everything else as it is.

    Every way gets residual statistics and a rule of its own, fitted on the same normal images of the
    selection set; the neighbours that distances are taken from stay the detector's.

    Args:
        steps: `Refinement.method` -> numbers of gradient steps to try.
        judge: whose networks, step size, batch size, pooling and kappa are used.
        kind: of the score, as for `fit_rule`.
        selection: normal pictures to fit on.
        test: pictures to score, of both kinds; without, the AUROC is NaN.
        confidence: of the interval.

    Returns:
        A row a way: `method`, `steps`, `auroc`, `ci_low`, `ci_high`, `seconds` (to score all of `test`, on this
        machine) and `images` (pictures in `test`).
    """
    truth = picture_table(test)["is_anomaly"].to_numpy(bool)
    rows = []
    for method, counts in steps.items():
        for count in counts:
            way = Refinement(method, count, judge.restorer.refinement.rate)
            scores, seconds = _scores(way, judge, kind, selection, test)
            rows.append((method, count, *auroc_with_interval(scores, truth, confidence), seconds, len(truth)))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def some_pictures(image_set: ImageSet, count: int, seed: int) -> ImageSet:
    """At most `count` pictures of a set, half of them anomalous where there are enough of both kinds."""
    chosen = sample(picture_table(image_set)["is_anomaly"].to_numpy(bool), count, seed, anomalous=0.5)
    return take_pictures(image_set, chosen)


def _scores(
    way: Refinement, judge: AnomalyDetector, kind: str, selection: ImageSet, test: ImageSet
) -> tuple[np.ndarray, float]:
    settings = judge.detector.settings
    size, pooling = int(settings["batch_size"]), Pooling.from_settings(settings)
    restorer = replace(judge.restorer, refinement=way).remembering()
    fitted = fit_picture_statistics(selection, restorer, judge.statistics.training_set, size, pooling.smoothing)

    def terms(some: ImageSet) -> pd.DataFrame:
        return picture_terms(some.images, some.tiles, restorer, fitted, size, pooling, settings["score"] == "map")

    kappa = judge.detector.rule.weight.get("feature_residual", 0.0)  # what the article's score weighs it by
    rule = fit_rule(kind, kappa, terms(selection))
    start = time.perf_counter()
    scores = rule.score(terms(test))
    return scores, time.perf_counter() - start
