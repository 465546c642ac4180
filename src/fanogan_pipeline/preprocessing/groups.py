"""Groups, such as all pictures of a patient, stay on one side of the split: rows are drawn whole groups at a time."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from fanogan_pipeline.errors import plural

logger = logging.getLogger(__name__)


def grouped_with(table: pd.DataFrame, chosen: pd.Series) -> pd.Series:
    """Whether a row belongs to a group of which any row is chosen, bool."""
    return (table["group"] != "") & table["group"].isin(table.loc[chosen, "group"])


def draw_share(name: str, table: pd.DataFrame, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """As `draw_groups`, about this fraction of the rows; a word where that does not come out."""
    wanted = round(fraction * len(table))
    drawn = draw_groups(table, wanted, rng)
    warn_of_share(name, len(drawn), wanted)
    return drawn


def draw_groups(table: pd.DataFrame, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Index labels of about `wanted` rows, whole groups at a time.

    In random order; one that would bring more too many than are still missing is passed over, so that a large
    group does not fill a small side. Where that leaves nothing, the smallest is drawn.
    """
    group, rows = table["group"].to_numpy(str), table.index.to_numpy().astype(str)
    whose = np.where(group != "", np.char.add("group ", group), rows)  # a group's name may look like a row number
    _, number = np.unique(whose, return_inverse=True)
    sizes = np.bincount(number)
    order = rng.permutation(len(sizes))
    drawn, missing = [], wanted
    for group in order:
        if missing <= 0:
            break
        if sizes[group] <= 2 * missing:
            drawn.append(group)
            missing -= sizes[group]
    if not drawn and wanted > 0 and len(order):
        drawn = [order[np.argmin(sizes[order])]]
    return table.index.to_numpy()[np.isin(number, drawn)]


def warn_of_share(name: str, found: int, wanted: int) -> None:
    """A word where a side has less than half or more than one and a half times what it should."""
    if abs(found - wanted) > wanted / 2:
        logger.warning(
            "data_prep: %s for the %s split, where its fraction asks for %d: groups stay whole",
            *(plural(found, "normal image"), name, wanted),
        )
