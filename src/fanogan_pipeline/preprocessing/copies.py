"""The same picture more than once: what stays of it, and what is said of the rest."""

from __future__ import annotations

import logging

import pandas as pd

from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.preprocessing.splits import expect_enough

logger = logging.getLogger(__name__)


def settle_duplicates(split: pd.DataFrame, policy: str) -> pd.DataFrame:
    """No image stands on two sides of the split.

    Args:
        split: columns `image_id`, `split`, `is_anomaly`, `draws_test`, `sha256`.
        policy: "refuse" or "drop". Where chance draws the normal test images, one copy of each normal image stays,
            whatever its side: were test to keep all of its copies, none would be left in calibration, and such images
            were flagged more often than is promised. Else every copy outside the set that is fixed furthest from
            the training images goes: test before calibration before selection before train.

    Returns:
        The rows that stay.

    Raises:
        InputError: a duplicate across the splits, with policy "refuse".
    """
    priority = split["split"].map({"test": 0, "calibration": 1, "selection": 2, "train": 3})
    stays_in = priority.groupby(split["sha256"]).transform("min")
    stray = priority > stays_in
    if stray.any() and policy == "refuse":
        first = split[stray].iloc[0]
        other = split[(split["sha256"] == first["sha256"]) & (split["split"] != first["split"])].iloc[0]
        raise InputError(
            f"raw_images: found {plural(int(stray.sum()), 'image')} on two sides of the split, such as "
            f"'{first['image_id']}' ({first['split']}) and '{other['image_id']}' ({other['split']}); remove the copies "
            "or set data_prep.duplicates: drop"
        )
    if policy == "drop" and split["draws_test"].all():
        first = split.sort_values(["is_anomaly", "image_id"], ascending=[False, True])  # no side has a say
        stray = (first["sha256"].duplicated() & ~first["is_anomaly"]).reindex(split.index)
    return split[~stray]


def expect_enough_left(split: pd.DataFrame, kept: pd.DataFrame) -> None:
    """Refuse a side that `settle_duplicates`, which made `kept` of `split`, has left too few images (InputError)."""
    if dropped := len(split) - len(kept):
        which = "copies of other images were dropped" if dropped > 1 else "copy of another image was dropped"
        expect_enough(kept, f"{dropped:,} {which}; add images that differ")


def warn_of_copies(split: pd.DataFrame, kept: pd.DataFrame) -> None:
    """A word on pictures that are labelled both ways, and on other copies that were dropped, with an example of each.

    Args:
        split: as for `settle_duplicates`.
        kept: what that has made of it.
    """
    is_both = split.groupby("sha256")["is_anomaly"].transform("nunique") > 1
    if is_both.any():
        pictures = split[is_both].groupby(["sha256", "is_anomaly"], sort=False)["image_id"].first().unstack()
        logger.warning(
            "data_prep: found %s labelled normal in one place and anomalous in another, such as '%s' and '%s': "
            "correct one",
            *(plural(len(pictures), "picture"), pictures[False].iloc[0], pictures[True].iloc[0]),
        )
    dropped = split[~is_both & ~split.index.isin(kept.index)]
    if dropped.empty:
        return
    copies = f"{len(dropped):,} {'copy' if len(dropped) == 1 else 'copies'} of"
    said = f"{copies} normal images dropped, one of each stays"
    if not split["draws_test"].all():
        said = (
            f"{copies} images on another side of the split dropped; the promised false-alarm rate does not cover "
            "pictures that have such copies"
        )
    first = dropped.iloc[0]
    stays = kept.loc[kept["sha256"] == first["sha256"], "image_id"].iloc[0]
    logger.warning("data_prep: %s, such as '%s' of '%s'", said, first["image_id"], stays)
