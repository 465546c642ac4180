"""What a search for z buys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fanogan_pipeline.figures import style

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "encoder": ("gradient steps from E(x) (f-AnoGAN)", {"color": style.BLUE, "marker": "o"}),
    "iterative": ("gradient steps from a random z (AnoGAN)", {"color": style.ORANGE, "marker": "s", "linestyle": "--"}),
}


def refinement_curve(table: pd.DataFrame, confidence: float) -> Figure:
    """AUROC against the time that a picture takes, for each way to find z; the number of steps beside each point.

    Args:
        table: columns `method`, `steps`, `auroc`, `ci_low`, `ci_high`, `seconds`, `images`; may be empty.
        confidence: of the intervals.
    """
    figure = style.new_figure(7.5, 4.8, "What a search for a better z buys")
    axis = figure.subplots()
    if not np.isfinite(table["auroc"].to_numpy(float)).any():
        style.say(axis, "Not measured: reporting.refinement_sample is 0, or one kind of test picture is missing.")
        return figure
    style.tidy(axis)
    for method, (label, look) in WAYS.items():
        rows = table[(table["method"] == method) & table["auroc"].notna()].sort_values("steps")
        if rows.empty:
            continue
        time = 1000 * rows["seconds"] / rows["images"]
        reach = [rows["auroc"] - rows["ci_low"], rows["ci_high"] - rows["auroc"]]
        axis.errorbar(time, rows["auroc"], yerr=np.abs(reach), capsize=3, label=label, **look)
        for x, y, steps in zip(time, rows["auroc"], rows["steps"], strict=True):
            axis.annotate(str(steps), (x, y), (5, 5), textcoords="offset points", fontsize=9)
    axis.set_xscale("log")
    axis.set_xlabel("time for a picture, ms (log scale)", fontsize=9)
    axis.set_ylabel(f"AUROC with {100 * confidence:g}% interval", fontsize=9)
    axis.legend(loc="best", fontsize=9)
    return figure
