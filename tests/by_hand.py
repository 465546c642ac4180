"""Eight verdicts, few enough that every number and curve of them can be counted by hand."""

from __future__ import annotations

import pandas as pd

THRESHOLD = 4.5


def eight_verdicts() -> pd.DataFrame:
    """Five normal images and three anomalous ones, judged at the threshold: two false alarms, one anomaly missed."""
    score = [3.0, 9.0, 1.0, 6.0, 5.0, 8.0, 2.0, 4.0]
    anomalous = [False, False, False, True, False, True, False, True]
    table = pd.DataFrame({"score": score, "is_anomaly": anomalous})
    return table.assign(
        label=["8" if truth else "1" for truth in anomalous],
        is_flagged=table["score"] > THRESHOLD,
    )
