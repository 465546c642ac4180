"""The words on how well residual maps find the pixels of the masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fanogan_pipeline.errors import plural
from fanogan_pipeline.figures.style import near_one, number

PIXEL_MEASURES = {  # number of `metrics`: its name, what it means
    "pixel_auroc": (
        "pixel AUROC",
        "Chance that a random pixel inside a mask has a higher residual than a random normal pixel. 0.5 is guessing. "
        "Normal pixels are so many that even a high value leaves room for many false ones, and large defects "
        "outweigh small ones.",
    ),
    "aupro": (
        "AUPRO",
        "Mean share of each connected defect that is found, over thresholds that mark up to 30% of the normal pixels. "
        "A small defect counts as much as a large one. 1 is perfect, guessing reaches 0.15.",
    ),
    "dice": (
        "Dice at the calibrated threshold",
        "Overlap of what is marked with the masks, twice the common pixels over the pixels of both: what a user gets, "
        "with the threshold from the calibration set. 1 is perfect, 0 no overlap.",
    ),
    "dice_best": (
        "best Dice",
        "The same at the threshold that suits these very masks best, which nobody knows beforehand: an upper bound. "
        "Far above the line before it, the maps are good and the threshold is not.",
    ),
}


def pixel_note(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The section on how well residual maps find the masks' pixels; None where there are no masks."""
    if metrics.get("pixel_auroc") is None:
        return None
    rows = [
        {"number": name, "value": near_one(metrics[key]), "what it means": meaning}
        for key, (name, meaning) in PIXEL_MEASURES.items()
    ]
    text = (
        f"Residual maps of the test pictures against their masks, which hold {plural(metrics['n_regions'], 'defect')}. "
        f"A pixel is marked where its residual is above {number(metrics['pixel_threshold'])}, which the calibration "
        f"set has set so that at most the promised share of normal pictures has any pixel marked."
    )
    return {"title": "Where: residual maps against the masks", "text": text, "table": rows}
