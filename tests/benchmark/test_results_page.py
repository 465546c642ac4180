"""docs/results.md from stored tables, of an earlier version too."""

from __future__ import annotations

import pandas as pd
import pytest
from benchmarks.table import Results, chosen

from fanogan_pipeline.detection.scoring import MIXES


def results(mixes: list[str]) -> Results:
    """Of one cell in which the first mix was chosen and each is a hundredth better than the one before."""
    auroc = {f"f_anogan: {mix}": 0.9 + place / 100 for place, mix in enumerate(mixes)}
    rows = {"f_anogan": 0.9, **auroc, "f_anogan: image_residual": 0.99, "pca": 0.98}
    table = pd.DataFrame({"method": list(rows), "auroc": list(rows.values()), "normal_class": "1", "seed": 0})
    table["detail"] = table["method"].map({"f_anogan": mixes[0]}).fillna("")
    return Results("base", "MNIST", (), table, pd.DataFrame(), pd.DataFrame(), {})


@pytest.mark.parametrize("count", [len(MIXES), len(MIXES) - 1], ids=["today's", "before a mix was added"])
def test_the_best_in_hindsight_is_the_best_of_the_mixes_that_a_cell_has(count: int) -> None:
    mixes = list(MIXES)[:count]
    best = f"0.9{count - 1}00"
    assert chosen(results(mixes)).splitlines()[-1] == f"| 1 | 0 | {mixes[0]} | 0.9000 | {mixes[-1]} | {best} |"
