"""How the scores of the test set spread: class by class, and of normal and anomalous images."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fanogan_pipeline.figures import style

HISTOGRAM_BINS = 60


def score_boxplot(
    scores: pd.DataFrame, threshold: float, three_sigma_threshold: float, normal_classes: Collection[str]
) -> Figure:
    """A box of scores for each class, the normal ones first and highlighted, both thresholds drawn in.

    Classes follow by median score, the hardest to tell from normal first. At the right stands how
    much of each class was flagged.

    Args:
        scores: a row per image, columns `label`, `score`, `is_flagged`.
        threshold: images above it are flagged.
        three_sigma_threshold: mean + 3 standard deviations of the calibration scores.
        normal_classes: labels of the normal classes.
    """
    style.need_columns(scores, ["label", "score", "is_flagged"], *style.TEST_SCORES)
    normal = {str(label) for label in normal_classes}
    groups = {str(label): group for label, group in scores.groupby("label", sort=True)}
    medians = {label: group["score"].median() for label, group in groups.items()}
    order = sorted(groups, key=lambda label: (label not in normal, medians[label]))
    figure = style.new_figure(8.5, max(3.0, 1.7 + 0.36 * len(order)), "Anomaly score of each class in the test set")
    axis = style.tidy(figure.subplots())
    drawn = axis.boxplot(
        [groups[label]["score"].to_numpy() for label in order],
        orientation="horizontal",
        whis=(1, 99),
        widths=0.62,
        patch_artist=True,
        medianprops={"color": style.BLACK, "linewidth": 1.6},
        flierprops={"marker": ".", "markersize": 2.5, "markeredgecolor": style.GREY, "alpha": 0.5},
    )
    for box, label in zip(drawn["boxes"], order, strict=True):
        box.set_facecolor(style.SKY if label in normal else "#F2F2F2")
        box.set_hatch("" if label in normal else style.HATCH)
        box.set_edgecolor(style.BLUE if label in normal else style.GREY)
    axis.set_yticks(range(1, len(order) + 1), [f"{style.short(label)} ({len(groups[label]):,})" for label in order])
    for text, label in zip(axis.get_yticklabels(), order, strict=True):
        text.set_fontweight("bold" if label in normal else "normal")
    axis.invert_yaxis()
    axis.grid(False, axis="y")
    values, is_normal = scores["score"].to_numpy(np.float64), scores["label"].astype(str).isin(normal).to_numpy()
    _score_axis(axis, values, values[is_normal], [threshold, three_sigma_threshold])
    _draw_thresholds(axis, threshold, three_sigma_threshold)
    flagged = axis.secondary_yaxis("right")
    flagged.set_yticks(
        range(1, len(order) + 1), [style.percent(groups[label]["is_flagged"].mean()) for label in order], fontsize=9
    )
    flagged.tick_params(length=0)
    flagged.spines["right"].set_visible(False)
    flagged.set_ylabel("flagged", fontsize=9)
    axis.set_ylabel("class (images)", fontsize=9)
    named = [box for box, label in zip(drawn["boxes"], order, strict=True) if label in normal][:1]
    others = [box for box, label in zip(drawn["boxes"], order, strict=True) if label not in normal][:1]
    lines, words = axis.get_legend_handles_labels()
    words = ["normal class"] * len(named) + ["other class"] * len(others) + words
    figure.legend([*named, *others, *lines], words, loc="outside lower center", ncols=2, fontsize=9)
    words_on_boxes = "Box: middle half and median; whiskers: all within the 1st to 99th percentile."
    if not (named and others):
        words_on_boxes += f" The test set holds no {'normal' if others else 'anomalous'} class."
    axis.set_title(words_on_boxes, fontsize=9, loc="left")
    return figure


def score_histogram(test_scores: pd.DataFrame, calibration_scores: pd.DataFrame, threshold: float) -> Figure:
    """How the scores spread: normal test images with the calibration images above, anomalous below.

    Args:
        test_scores: columns `score`, `is_anomaly`.
        calibration_scores: column `score`; normal images kept apart.
        threshold: images above it are flagged.
    """
    style.need_columns(test_scores, ["score", "is_anomaly"], *style.TEST_SCORES)
    truth = test_scores["is_anomaly"].to_numpy(bool)
    values = test_scores["score"].to_numpy(np.float64)
    calibration = calibration_scores["score"].to_numpy(np.float64)
    figure = style.new_figure(8.5, 5.2, "Scores of normal and anomalous images")
    upper, lower = figure.subplots(2, sharex=True)
    everything = np.concatenate([values, calibration])
    core = calibration if len(calibration) else values[~truth]
    edges = _bin_edges(everything, core)
    for axis, part, name, look in (
        (upper, values[~truth], "normal test images", {"color": style.SKY}),
        (lower, values[truth], "anomalous test images", {"color": style.ORANGE, "hatch": style.HATCH}),
    ):
        style.tidy(axis)
        _draw_histogram(axis, part, edges, f"{name} ({len(part):,})", **look, edgecolor="white", linewidth=0.4)
        if not len(part):
            words = f"The test set holds no {name.replace(' test', '')}."
            axis.set_title(words, fontsize=10)
        axis.set_ylabel("share of images in bin (%)", fontsize=9)
    label = f"calibration images, normal ({len(calibration):,})"
    _draw_histogram(upper, calibration, edges, label, histtype="step", color=style.BLACK, linestyle="--", linewidth=1.3)
    for axis in (upper, lower):
        _draw_thresholds(axis, threshold)
        axis.legend(fontsize=9, loc="best")
    _score_axis(lower, everything, core, [threshold])
    return figure


def _score_axis(axis: Axes, values: np.ndarray, core: np.ndarray, marks: Sequence[float]) -> None:
    """Scale, range and words of the axis of scores, so that values and marks (the thresholds) are on it."""
    width = style.stretch(values, core)
    shown = np.concatenate([values, marks])
    if width is not None:
        axis.set_xscale("asinh", linear_width=width)
        ends = np.arcsinh(np.array([shown.min(), shown.max()]) / width)  # margins as wide as they look
        axis.set_xlim(width * np.sinh(ends + np.array([-0.03, 0.03]) * np.ptp(ends)))
    unit = "" if width is None else "; logarithmic away from zero"
    axis.set_xlabel(f"anomaly score (no unit{unit}); higher is more anomalous", fontsize=9)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_thresholds(axis: Axes, threshold: float, three_sigma: float | None = None) -> None:
    axis.axvline(threshold, color=style.VERMILION, linewidth=1.8, label=f"threshold {style.number(threshold)}")
    if three_sigma is not None:
        label = f"mean + 3 sigma {style.number(three_sigma)}"
        axis.axvline(three_sigma, color=style.BLACK, linewidth=1.4, linestyle="--", label=label)


def _draw_histogram(axis: Axes, values: np.ndarray, edges: np.ndarray, label: str, **look) -> None:
    if len(values):
        axis.hist(values, edges.tolist(), weights=np.full(len(values), 100 / len(values)), label=label, **look)


def _bin_edges(values: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Bins of equal width on the axis as drawn."""
    largest = np.abs(values).max()
    if np.ptp(values) <= 1e-9 * largest:  # one number but for rounding, which has no room for bins
        room = max(0.5, 1e-3 * largest)
        return np.linspace(values.min() - room, values.max() + room, HISTOGRAM_BINS + 1)
    width = style.stretch(values, core)
    if width is None:
        return np.histogram_bin_edges(values, HISTOGRAM_BINS)
    low, high = np.arcsinh(np.array([values.min(), values.max()]) / width)
    edges = width * np.sinh(np.linspace(low, high, HISTOGRAM_BINS + 1))
    edges[0], edges[-1] = values.min(), values.max()  # rounding must not leave the outermost out
    return edges
