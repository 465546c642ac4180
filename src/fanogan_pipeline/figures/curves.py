"""Curves of training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fanogan_pipeline.figures import style

SMOOTHED_FROM = 100  # rows from which a running mean is drawn over the raw curve

WGAN_PANELS = {
    "term_real": ("Term real", "mean D(x)"),
    "term_fake": ("Term fake", "mean D(G(z))"),
    "loss_critic": ("Loss D (critic)", "loss"),
    "loss_generator": ("Loss G (generator)", "loss"),
}
ENCODER_PANELS = {
    "term_izi": ("Term izi: image → latent → image", "distance x to G(E(x))"),
    "term_ziz": ("Term ziz: latent → image → latent", "distance z to E(G(z))"),
    "term_features": ("Term features: the critic's view of izi", "distance f(x) to f(G(E(x)))"),
    "loss_encoder": ("Loss E (encoder)", "loss"),
}


def wgan_curves(history: pd.DataFrame) -> Figure:
    """Phase 1 over its steps: term real, term fake, loss D, loss G.

    And the distance term real - term fake, which a penalty hides in loss D; where a gradient penalty was trained with,
    it gets a panel too.

    Args:
        history: a row per logged step, columns `step`, `term_real`, `term_fake`, `loss_critic`,
            `loss_generator` and perhaps `gradient_penalty`.

    Raises:
        InputError: a column is missing.
    """
    style.need_columns(history, ["step", *WGAN_PANELS], "wgan_history", "run the wgan pipeline again")
    curves = {name: (*words, history[name]) for name, words in WGAN_PANELS.items()}
    if "gradient_penalty" in history and history["gradient_penalty"].fillna(0).ne(0).any():
        curves["gradient_penalty"] = ("Gradient penalty", "mean (‖∇D‖ − 1)²", history["gradient_penalty"])
    distance = history["term_real"] - history["term_fake"]
    curves["distance"] = ("Estimated distance of real and generated", "term real − term fake", distance)
    return _panels(history["step"], curves, "Phase 1: the WGAN's training", "step (generator updates)")


def encoder_curves(history: pd.DataFrame) -> Figure:
    """Phase 2 over its steps: term izi, term ziz, loss E, and the feature term where there is one.

    Args:
        history: a row per logged step, columns `step`, `term_izi`, `term_ziz`, `loss_encoder` and
            perhaps `term_features`; NaN throughout where the objective has no such term, which
            the panel then says.

    Raises:
        InputError: a column is missing.
    """
    needed = ["step", "term_izi", "term_ziz", "loss_encoder"]
    style.need_columns(history, needed, "encoder_history", "run the encoder pipeline again")
    curves = {
        name: (*words, history[name])
        for name, words in ENCODER_PANELS.items()
        if name in history and (name != "term_features" or history[name].notna().any())
    }
    return _panels(history["step"], curves, "Phase 2: the encoder's training", "step (encoder updates)")


def _panels(steps: pd.Series, curves: dict[str, tuple[str, str, pd.Series]], title: str, xlabel: str) -> Figure:
    columns = 3 if len(curves) in (3, 5, 6) else 2
    rows = math.ceil(len(curves) / columns)
    figure = style.new_figure(4.2 * columns, 2.9 * rows + 0.4, title)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (panel, unit, values) in zip(axes, curves.values(), strict=False):
        axis.set_title(panel, fontsize=10)
        if values.notna().any():
            _curve(axis, steps.to_numpy(), values)
            axis.set_xlabel(xlabel, fontsize=9)
            axis.set_ylabel(unit, fontsize=9)
        else:
            style.say(axis, "No step was logged." if values.empty else "Not part of this objective.")
    for axis in axes[len(curves) :]:
        axis.set_axis_off()
    if len(steps) >= SMOOTHED_FROM:
        drawn = next((axis for axis in axes if axis.lines), axes[0])  # the first panel may not be of this objective
        figure.legend(*drawn.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _curve(axis: Axes, steps: np.ndarray, values: pd.Series) -> None:
    style.tidy(axis).xaxis.set_major_locator(MaxNLocator(5, integer=True))
    smooth = len(values) >= SMOOTHED_FROM
    marker = "o" if len(values) <= 2 else None
    raw: dict[str, Any] = {"color": style.SKY, "linewidth": 0.7} if smooth else {"color": style.BLUE, "linewidth": 1.4}
    axis.plot(steps, values.to_numpy(), marker=marker, label="each logged step", **raw)
    if smooth:
        window = max(5, len(values) // 40)
        mean = values.rolling(window, center=True, min_periods=1).mean().to_numpy()
        axis.plot(steps, mean, color=style.BLACK, linewidth=1.6, label="running mean")
    finite = values[np.isfinite(values)]
    typical = float(finite.abs().median()) if len(finite) else 0.0
    if typical > 0 and finite.abs().max() > 30 * typical:  # an early or late blow-up would flatten all the rest
        if (finite > 0).all():
            axis.set_yscale("log")
        else:
            axis.set_yscale("symlog", linthresh=typical)
