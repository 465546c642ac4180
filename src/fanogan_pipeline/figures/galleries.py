"""Images beside what the detector makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fanogan_pipeline.figures import style

IN_A_ROW = 8  # images a figure shows side by side
VERDICTS = {
    "in_in": "in_in: judged normal, truly normal",
    "in_out": "in_out: judged normal, truly anomalous (missed)",
    "out_in": "out_in: judged anomalous, truly normal (false alarm)",
    "out_out": "out_out: judged anomalous, truly anomalous (caught)",
}


def restoration(images: np.ndarray, restored: np.ndarray, labels: Sequence[str]) -> Figure:
    """Each of the first `IN_A_ROW` images above its restoration G(E(x)) and their difference.

    Args:
        images: uint8 [N, C, H, W]; N at least 1.
        restored: uint8 or float [N, C, H, W], on the scale of the images, 0..255.
        labels: class of each image.
    """
    columns = min(IN_A_ROW, len(images))
    figure = style.new_figure(11, 3 * (style.row_height(images, columns) + 0.35) + 0.7, "Images and their restorations")
    axes = figure.subplots(3, 1)
    difference = (images.astype(np.float64) - restored).mean(axis=1)[:columns]
    limit = max(1.0, float(np.ptp(images[:columns])))  # of what the images themselves span: small is to look small
    pair: dict[str, Any] = {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit}
    captions = [style.short(str(label), style.LONGEST_CAPTION) for label in labels[:columns]]
    seen = style.channels_last(np.clip(np.rint(restored), 0, 255).astype(np.uint8))[:columns]
    style.image_strip(axes[0], style.channels_last(images)[:columns], "image x", captions)
    style.image_strip(axes[1], seen, "restoration G(E(x))")
    last = style.image_strip(axes[2], difference, "difference x − G(E(x))", **pair)
    _colour_bar(figure, last[0], list(axes), "difference (grey levels of 255):\nabove 0, brighter than restored")
    return figure


def decision_gallery(groups: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Images by verdict and truth; each kind is named decided_true. Scores have as many digits as it takes to tell
    the lowest flagged from the highest judged normal.

    Args:
        groups: `in_in`, `in_out`, `out_in`, `out_out` (any of them may lack) -> images uint8
            [n, C, H, W] and their scores [n]; n may be 0.
    """
    columns = min(12, max((len(images) for images, _ in groups.values()), default=0)) or 1
    first = next((images for images, _ in groups.values() if len(images)), np.zeros((1, 1, 1, 1), np.uint8))
    row = style.row_height(first, columns, 11)
    figure = style.new_figure(11, 4 * (row + 0.55) + 0.5, "Verdict and truth: decided_true")
    digits = _telling_apart(groups)
    for axis, (name, title) in zip(figure.subplots(4, 1), VERDICTS.items(), strict=True):
        images, scores = groups.get(name, (first[:0], np.zeros(0)))
        if len(images):
            pictures = style.channels_last(images)[:columns]
            captions = [style.number(float(score), digits) for score in scores[:columns]]
            style.image_strip(axis, pictures, f"{title}; score below each", captions, columns)
        else:
            style.say(axis, "No image of the test set is of this kind.")
            axis.set_title(title, loc="left", fontsize=10)
    return figure


def _telling_apart(groups: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> int:
    """Significant digits, 3 to 8."""
    kept, flagged = (
        [float(score) for name, (_, scores) in groups.items() if name.startswith(verdict) for score in scores]
        for verdict in ("in_", "out_")
    )
    if not (kept and flagged):
        return 3
    ends = max(kept), min(flagged)
    return next((digits for digits in range(3, 8) if len({style.number(end, digits) for end in ends}) == 2), 8)


def heatmap_gallery(
    images: np.ndarray,
    restored: np.ndarray,
    maps: np.ndarray,
    masks: np.ndarray | None,
    image_ids: Sequence[str],
    scores: Sequence[float],
    threshold: float,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> Figure:
    """Where images are unlike normal ones: image, restoration, residual map, overlay, and truth where known.

    Args:
        images: uint8 [N, C, H, W].
        restored: uint8 or float [N, C, H, W], on the scale of the images, 0..255.
        maps: float [N, H, W], residual of each pixel, at least 0.
        masks: float [N, H, W], 1 where anomalous, 0 where not, NaN where nobody knows; or None.
        image_ids: of each image.
        scores: of each image.
        threshold: residual from which a pixel is outlined in the overlay.
        sizes: (h, w) of each picture, in the upper left of its image; what is around it is not shown. None: no frame.
    """
    maps = np.asarray(maps, np.float64)
    columns = min(IN_A_ROW, len(images))
    strips = 4 if masks is None else 5
    row = style.row_height(images, columns)
    figure = style.new_figure(11, strips * (row + 0.35) + 0.7, "Where images are unlike normal ones")
    if not columns:
        style.say(figure.subplots(), "There is no residual map to show.")
        return figure
    axes = figure.subplots(strips, 1)
    # by the root: a strong defect's residual is ten times a faint one's, and both are to be seen
    scale = PowerNorm(0.5, 0.0, max(float(maps.max()), threshold) or 1.0)
    captions = [
        f"{style.short(str(image_id), style.LONGEST_CAPTION)}\nscore {style.number(float(score))}"
        for image_id, score in zip(image_ids, scores, strict=True)
    ]
    pictures = style.channels_last(images)[:columns]
    seen = style.channels_last(np.clip(np.rint(restored), 0, 255).astype(np.uint8))[:columns]
    style.image_strip(axes[0], pictures, "image x", captions[:columns])
    style.image_strip(axes[1], seen, "restoration G(z)")
    drawn = style.image_strip(axes[2], maps[:columns], "residual map", cmap="viridis", norm=scale)
    overlay = f"overlay of map and image; outlined: residual above {style.number(threshold)}"
    placed = style.image_strip(axes[3], _blend(pictures, np.asarray(scale(maps[:columns]))), overlay)
    for artist, residual in zip(placed, maps, strict=False):
        if residual.max() > threshold:
            _outline(axes[3], artist.get_extent(), residual, threshold)
    if masks is not None:
        known = "" if np.isfinite(masks[:columns]).all() else "; grey: not known"
        look = matplotlib.colormaps["gray"].with_extremes(bad=style.GREY)
        style.image_strip(axes[4], masks[:columns], f"truth (white: anomalous{known})", cmap=look, vmin=0, vmax=1)
    if sizes:
        for axis in axes:
            for artist, (height, width) in zip(axis.images, sizes, strict=False):
                left, _, _, top = artist.get_extent()
                artist.set_clip_path(Rectangle((left, top), width, height, transform=axis.transData))
    _colour_bar(figure, drawn[0], list(axes), "residual of the pixel (same scale for all, coloured by its root)")
    return figure


def _blend(pictures: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Grey pictures under the map's colours, which cover more the stronger they are: RGB [N, H, W, 3], 0..1."""
    grey = np.repeat(pictures.mean(axis=3, keepdims=True) / 255, 3, axis=3)
    colours = matplotlib.colormaps["viridis"](strength)[..., :3]
    cover = 0.85 * np.clip(strength, 0, 1)[..., None]
    return (1 - cover) * grey + cover * colours


def _outline(axis, extent: Sequence[float], residual: np.ndarray, threshold: float) -> None:
    """Lines around what is above the threshold, along the picture's border where it is above it there."""
    left, right, bottom, top = extent
    rows, columns = residual.shape
    x = left + np.r_[0, np.arange(columns) + 0.5, columns] * (right - left) / columns
    y = top + np.r_[0, np.arange(rows) + 0.5, rows] * (bottom - top) / rows
    for colour, width in (("white", 2.8), (style.VERMILION, 1.2)):  # the white rim shows in grey print too
        axis.contour(x, y, np.pad(residual, 1), [threshold], colors=[colour], linewidths=width)


def _colour_bar(figure: Figure, artist, axes: list, label: str) -> None:
    figure.colorbar(ScalarMappable(artist.norm, artist.get_cmap()), ax=axes, shrink=0.5, pad=0.02).set_label(
        label, fontsize=9
    )
