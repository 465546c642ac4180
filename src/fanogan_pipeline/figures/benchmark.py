"""Methods side by side, class by class."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fanogan_pipeline.figures import style

NAMES = {
    "pca": "PCA",
    "vae": "VAE",
    "one_class_svm": "one-class SVM",
    "nearest_neighbours": "5 nearest neighbours",
    "relative_neighbours": "3 nearest, relative",
}
LOWEST = 0.8  # AUROC at the pale end of the scale; below it all are as pale


def method_name(method: str) -> str:
    """A method as a reader would write it: `f_anogan_izi` -> f-AnoGAN izi."""
    return NAMES.get(method, method.replace("_", " ").replace("f anogan", "f-AnoGAN"))


def benchmark_aurocs(table: pd.DataFrame) -> Figure:
    """AUROC of each whole method (rows, best mean first) for each normal class (columns), and the mean.

    Args:
        table: columns `normal_class, method, auroc`; several seeds are averaged.
    """
    style.need_columns(
        table, ["normal_class", "method", "auroc"], "benchmark_table", "run the benchmark pipeline again"
    )
    methods = table[~table["method"].astype(str).str.contains(":")]
    wide = methods.astype({"method": str, "normal_class": str}).pivot_table("auroc", "method", "normal_class")
    wide["mean"] = wide.mean(axis=1)
    wide = wide.sort_values("mean", ascending=False)
    width, height = 3.2 + 0.75 * wide.shape[1], 1.6 + 0.42 * len(wide)
    figure = style.new_figure(width, height, "AUROC with each class normal in turn")
    axis = figure.subplots()
    axis.imshow(wide.clip(lower=LOWEST), cmap="Blues", vmin=LOWEST, vmax=1.15, aspect="auto")
    for (row, column), value in np.ndenumerate(wide.to_numpy()):
        best = value == wide.iloc[:, column].max()
        axis.text(
            column, row, f"{value:.3f}", ha="center", va="center", fontsize=9, weight="bold" if best else "normal"
        )
    axis.set_xticks(range(wide.shape[1]), [style.short(name) for name in wide], fontsize=9)
    axis.set_yticks(range(len(wide)), [method_name(name) for name in wide.index], fontsize=9)
    axis.set_xlabel("normal class (bold: best of its column)", fontsize=9)
    axis.axvline(wide.shape[1] - 1.5, color="white", linewidth=3)
    axis.tick_params(length=0)
    return figure
