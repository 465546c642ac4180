"""How well the scores tell normal from anomalous."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics as sk

from fanogan_pipeline.figures import style


def roc_curve(scores: pd.DataFrame) -> Figure:
    """Recall against false-alarm rate at every threshold, and again with rare false alarms spread out.

    Args:
        scores: columns `score`, `is_anomaly`, `is_flagged`.
    """
    style.need_columns(scores, ["score", "is_anomaly", "is_flagged"], *style.TEST_SCORES)
    truth, values = scores["is_anomaly"].to_numpy(bool), scores["score"].to_numpy(np.float64)
    figure = style.new_figure(9.5, 4.9, "Anomalous images caught against false alarms (ROC curve)")
    if _says_one_sided(figure, truth, "a ROC curve"):
        return figure
    false_alarms, recall, _ = sk.roc_curve(truth, values, drop_intermediate=False)
    flagged = scores["is_flagged"].to_numpy(bool)
    point = flagged[~truth].mean(), flagged[truth].mean()
    smallest = 1 / (~truth).sum()
    for axis, title in zip(figure.subplots(1, 2), ("whole range", "rare false alarms spread out"), strict=True):
        style.tidy(axis)
        label = f"this detector, AUROC {style.near_one(sk.roc_auc_score(truth, values))}"
        axis.plot(false_alarms, recall, color=style.BLUE, linewidth=2, label=label)
        chance = np.geomspace(smallest / 2, 1, 200)
        axis.plot(chance, chance, color=style.GREY, linestyle=":", label="guessing, AUROC 0.5")
        _operating_point(axis, *point)
        axis.set_xlabel("false-alarm rate (share of normal images flagged)", fontsize=9)
        axis.set_ylabel("recall (share of anomalous images flagged)", fontsize=9)
        axis.set_title(title, fontsize=10)
        axis.set_ylim(0, 1.02)
    figure.axes[0].set_xlim(0, 1)
    figure.axes[1].set_xscale("log")
    figure.axes[1].set_xlim(smallest / 2, 1)
    figure.axes[0].legend(loc="lower right", fontsize=9)
    if not flagged[~truth].any():
        figure.axes[1].lines[-1].set_data([smallest / 2], [point[1]])  # zero has no place on a log axis
        figure.axes[1].set_title("rare false alarms spread out (left edge: none)", fontsize=10)
    return figure


def precision_recall_curve(scores: pd.DataFrame) -> Figure:
    """Share of flagged images that are anomalous, against recall, with the prevalence as baseline.

    Args:
        scores: columns `score`, `is_anomaly`, `is_flagged`.
    """
    style.need_columns(scores, ["score", "is_anomaly", "is_flagged"], *style.TEST_SCORES)
    truth, values = scores["is_anomaly"].to_numpy(bool), scores["score"].to_numpy(np.float64)
    figure = style.new_figure(6.5, 5.0, "How far a flag can be trusted (precision and recall)")
    if _says_one_sided(figure, truth, "a precision-recall curve"):
        return figure
    axis = style.tidy(figure.subplots())
    precision, recall, _ = sk.precision_recall_curve(truth, values)
    average = sk.average_precision_score(truth, values)
    axis.plot(
        recall,
        precision,
        color=style.BLUE,
        linewidth=2,
        drawstyle="steps-post",  # the area below is the average precision
        label=f"this detector, average precision {style.near_one(average)}",
    )
    prevalence = truth.mean()
    axis.axhline(
        prevalence, color=style.GREY, linestyle=":", label=f"guessing: prevalence {style.percent(prevalence)} anomalous"
    )
    flagged = scores["is_flagged"].to_numpy(bool)
    if flagged.any():
        _operating_point(axis, flagged[truth].mean(), truth[flagged].mean())
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("recall (share of anomalous images flagged)", fontsize=9)
    axis.set_ylabel("precision (share of flagged images that are anomalous)", fontsize=9)
    axis.legend(loc="lower left", fontsize=9)
    return figure


def _says_one_sided(figure: Figure, truth: np.ndarray, what: str) -> bool:
    if truth.any() and not truth.all():
        return False
    lacking = "images" if not len(truth) else "normal images" if truth.all() else "anomalous images"
    style.say(figure.subplots(), f"The test set holds no {lacking}:\n{what} needs normal and anomalous ones.")
    return True


def _operating_point(axis: Axes, x: float, y: float) -> None:
    look: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 9, "markerfacecolor": "white"}
    look |= {"markeredgewidth": 2.2, "markeredgecolor": style.VERMILION}
    axis.plot([x], [y], **look, label="at the threshold", clip_on=False, zorder=5)
