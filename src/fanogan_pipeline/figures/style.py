"""What all figures share: colours, sizes, and a few ways to lay things out.

Colours are those of Okabe and Ito (2008), told apart by the colour-blind; wherever two kinds of
thing meet in one axes they also differ in hatching, dashes or place, so that grey print will do.
Figures are built without pyplot, so that no backend is chosen and no state is left behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from fanogan_pipeline.errors import InputError

BLUE, VERMILION, ORANGE, SKY, BLACK, GREY = "#0072B2", "#D55E00", "#E69F00", "#56B4E9", "#000000", "#666666"
HATCH = "////"  # marks what is anomalous
DPI = 150  # of a figure as it is saved; the report shows it at its own size in inches
LONGEST_LABEL = 24  # characters of a class name on an axis
LONGEST_CAPTION = 18  # of a line below a picture
TEST_SCORES = ("test_scores", "run the scoring pipeline again")  # as `need_columns` names and mends them


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty figure of a size in inches, laid out by constraints, under a title in plain words."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    figure.suptitle(title, fontsize=12, fontweight="bold")
    return figure


def tidy(axis: Axes) -> Axes:
    """The axes without its upper and right border, over a faint grid."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(True, color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=9)
    return axis


def say(axis: Axes, text: str) -> None:
    """An axes that holds a sentence in place of a drawing: what is missing, and why."""
    axis.set_axis_off()
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, fontsize=10, wrap=True)


def number(value: float, digits: int = 3) -> str:
    """So many significant digits, without an exponent between 0.001 and 100,000."""
    if not np.isfinite(value):
        return "not finite"
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))}f}" if value else "0"


def percent(share: float) -> str:
    """A share as a percentage, with more digits near 0 and 1, which it is never rounded to."""
    if 0 < share < 5e-5:
        return "below 0.01 %"
    if 1 - 5e-5 <= share < 1:
        return "above 99.99 %"
    digits = 1 if 0.01 <= share <= 0.99 or share in (0.0, 1.0) else 2
    return f"{100 * share:.{digits}f} %"


def share(numbers: Mapping[str, Any], name: str) -> str:
    """One of the numbers as a percentage, or that it was not measured."""
    value = numbers.get(name)
    return "not measured" if value is None else percent(value)


def near_one(value: float) -> str:
    """Four decimals, never rounded up to a perfect 1."""
    return "above 0.9999" if 0.99995 <= value < 1 else f"{value:.4f}"


def need_columns(table: pd.DataFrame, columns: Sequence[str], name: str, mend: str) -> None:
    """Raises InputError where a table lacks a column; says the table's name and what to do."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{name}: found columns {list(table.columns)}, expected {missing[0]} among them; {mend}")


def short(text: str, longest: int = LONGEST_LABEL) -> str:
    """A name of a class or file cut in the middle, for both ends tell names apart; its dollars begin no formula."""
    text = text or "(no label)"
    if len(text) > longest:
        text = f"{text[: longest // 3]}…{text[1 + longest // 3 - longest :]}"
    return text.replace("$", r"\$")


def channels_last(images: np.ndarray) -> np.ndarray:
    """[N, C, H, W] to RGB [N, H, W, 3]."""
    return np.repeat(images, 3 // images.shape[1], axis=1).transpose(0, 2, 3, 1)


def cell_width(height: float, width: float) -> float:
    """Width of a picture's place in a strip: at least half its height, so that captions of tall ones stay apart."""
    return max(1.08 * width, 0.5 * height)


def row_height(images: np.ndarray, columns: int, room: float = 10) -> float:
    """Height in inches of a strip of so many of the images [N, C, H, W] that is `room` inches wide, at most 2.4."""
    height, width = images.shape[2:]
    return min(room / max(1, columns) * height / cell_width(height, width), 2.4)


def image_strip(
    axis: Axes, pictures: np.ndarray, title: str, captions: Sequence[str] = (), columns: int | None = None, **show
) -> list:
    """Pictures side by side in one axes, a caption under each.

    Args:
        axis: where to draw.
        pictures: [N, H, W] for a colour map, RGB [N, H, W, 3] otherwise; N at least 1.
        title: over the strip, on the left.
        captions: a line for each picture, or none.
        columns: room to leave, in pictures, so that strips of different lengths share one scale.
        show: handed to `imshow`.

    Returns:
        The N image artists.
    """
    height, width = pictures.shape[1:3]
    cell = cell_width(height, width)
    artists = []
    for k, picture in enumerate(pictures):
        left = k * cell
        artists.append(axis.imshow(picture, extent=(left, left + width, height, 0), **show))
    for k, caption in enumerate(captions):
        middle = k * cell + width / 2
        axis.annotate(caption, (middle, height), (0, -3), textcoords="offset points", ha="center", va="top", fontsize=8)
    axis.set_xlim(0, (columns or len(pictures)) * cell - (cell - width))
    axis.set_ylim(height, 0)
    axis.set_axis_off()
    axis.set_title(title, loc="left", fontsize=10)
    return artists


def stretch(values: np.ndarray, core: np.ndarray) -> float | None:
    """The half-width of the linear part of an asinh axis, or None where a linear axis will do.

    Args:
        values: all that the axis must show.
        core: those that must stay legible (the normal scores); all values where there are none.
    """
    core = core if len(core) else values
    low, high = np.quantile(core, [0.05, 0.95])
    width = float(high - low)
    reach = float(np.max(np.abs(values - np.median(core))))
    return width if width > 0 and reach > 25 * width else None
