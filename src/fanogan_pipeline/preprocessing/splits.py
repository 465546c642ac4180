"""Which image is on which side: train, selection, calibration, test. Pure tables, no pixels."""

from __future__ import annotations

import hashlib
import logging

import numpy as np
import pandas as pd

from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.parameters import DataPrepParameters, did_you_mean, in_quotes
from fanogan_pipeline.preprocessing.groups import draw_groups, draw_share, grouped_with, warn_of_share

logger = logging.getLogger(__name__)

SPLITS = ("train", "selection", "calibration", "test")


def split_images(table: pd.DataFrame, parameters: DataPrepParameters, normal_label: str, seed: int) -> pd.DataFrame:
    """Assign every image that is used to one split.

    Args:
        table: of an `ImageSource`.
        parameters: which classes are normal, the protocol and its fractions.
        normal_label: what the source itself calls normal, or ""; it counts unless `normal_classes` holds it
            or a class that has pictures outside the source's own test part.
        seed: of the random order.

    Returns:
        The rows that are used, with the columns `split`, `is_anomaly` and `draws_test` (whether chance draws the
        normal test images, one answer for all) added; the index names rows of `table`. Normal images only in train,
        selection and calibration.

    Raises:
        InputError: a class that does not exist, too few images for a split, or groups with the reference protocol.
    """
    normal = normal_classes(table, parameters, normal_label)
    table = table.assign(is_anomaly=~table["label"].isin(normal))
    if parameters.protocol == "reference":
        return _reference(table, parameters.reference_count)
    return _official(table, parameters, seed)


def expect_unchanged(table: pd.DataFrame, rows: np.ndarray, names: pd.Series) -> None:
    """Refuse a source whose rows are not those that a split was made of: every stage of a run lists it anew.

    Args:
        table: of the source as it is listed now.
        rows: row numbers that the split has.
        names: `image_id` that each of them had.

    Raises:
        InputError: pictures have come or gone in between.
    """
    if len(rows) and (rows.max() >= len(table) or (table["image_id"].to_numpy()[rows] != names.to_numpy()).any()):
        raise InputError(
            "raw_images: found other pictures than when this run began, expected the same ones until it is through "
            "with them; run it again"
        )


def normal_classes(table: pd.DataFrame, parameters: DataPrepParameters, normal_label: str) -> list[str]:
    """The labels that count as normal. Raises InputError where one of `normal_classes` has no picture."""
    labels = sorted(table["label"].unique())
    learnable = set(table.loc[table["part"] != "test", "label"])
    # a defect may have the name of a class: only what there is to learn from counts against the source's own name
    if normal_label and not set(parameters.normal_classes) & {normal_label, *learnable}:
        return [normal_label]
    for name in parameters.normal_classes:
        if name not in labels:
            quoted = in_quotes(name, labels)
            known = quoted or did_you_mean(name, labels)
            if not quoted and not normal_label and (table["part"] == "").all():  # folders, which need not be classes
                known += " (set layout: flat in the catalog's entry if all are good)"
            raise InputError(f"data_prep.normal_classes: found '{name}', but raw_images has no such class; {known}")
    return parameters.normal_classes


def _official(table: pd.DataFrame, parameters: DataPrepParameters, seed: int) -> pd.DataFrame:
    """The source's own test part, or every abnormal image, with a share of the normal ones where it has none; the
    rest is split."""
    rng = np.random.default_rng(seed)
    is_own = table["part"] == "test"
    is_test = is_own if is_own.any() else table["is_anomaly"]
    beside = int((grouped_with(table, is_test) & ~is_test & ~table["is_anomaly"]).sum())
    normal = table.index[~table["is_anomaly"]]
    draws_test = not is_test[normal].any()
    if draws_test:  # without normal test images nothing could be said of false alarms, nor of ranking
        is_test = is_test | grouped_with(table, is_test)
        wanted = max(1, round(parameters.test_fraction * len(normal)))
        missing = wanted - int(is_test[normal].sum())
        if missing > 0:
            is_test |= table.index.isin(draw_groups(table[~is_test & ~table["is_anomaly"]], missing, rng))
        warn_of_share("test", int(is_test[normal].sum()), wanted)
    torn = grouped_with(table, is_test) & ~is_test & ~table["is_anomaly"]
    if torn.any():
        left_out = plural(int(torn.sum()), "training image")
        logger.warning("data_prep: %s left out, for other images of the same groups are test images", left_out)
    test, rest = table[is_test], table[~is_test & ~torn & ~table["is_anomaly"]]
    selection = draw_share("selection", rest, parameters.selection_fraction, rng)
    left = rest.drop(index=selection)
    fraction = parameters.calibration_fraction / (1 - parameters.selection_fraction)
    calibration = draw_share("calibration", left, fraction, rng)
    train = left.drop(index=calibration)
    if parameters.max_train is not None:
        train = train.loc[sorted(rng.permutation(train.index)[: parameters.max_train])]
    if parameters.max_test is not None:
        test = test.loc[sorted(rng.permutation(test.index)[: parameters.max_test])]
    found = _assemble(train, table.loc[selection], table.loc[calibration], test, _there_is(table, rest, beside))
    return found.assign(draws_test=draws_test)


def _there_is(table: pd.DataFrame, rest: pd.DataFrame, beside: int) -> str:
    """What there is to divide among train, selection and calibration, and what to do where that is too little; so many
    normal images are kept from it by their groups."""
    counts = rest["label"].value_counts()
    classes = sorted(table.loc[~table["is_anomaly"], "label"].unique())
    each = ", ".join(f"{counts.get(name, 0):,} of '{name}'" for name in classes)
    found = f"of normal_classes there are {each} outside the test split"
    if beside:
        found += f" ({beside:,} more are of groups that have an anomalous or a test image)"
    if beside and not (rest["group"] != "").any():
        return f"{found}; add groups without such images or correct group_by in the catalog's entry"
    sizes = table.loc[~table["is_anomaly"] & (table["group"] != ""), "group"].value_counts()
    if len(sizes):
        found += f", and groups stay whole, of which there are {len(sizes):,}, the largest of {sizes.iloc[0]:,}"
        return f"{found}; lower the fractions, add groups or correct group_by in the catalog's entry"
    return f"{found}; add images, change the fractions or the classes that are normal"


def _reference(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """The reimplemented system's split: by order in train+test, `count` normal images to each side, and as many
    others to test."""
    groups = table.loc[table["group"] != "", "group"]
    if len(groups):
        raise InputError(
            f"data_prep.protocol: found reference, but raw_images has {groups.nunique():,} groups, which its order "
            "would tear apart, expected none; set protocol: official or take group_by out of the catalog's entry"
        )
    order = table.iloc[np.argsort(np.asarray(table["part"] == "test"), kind="stable")]
    normal, other = order[~order["is_anomaly"]], order[order["is_anomaly"]]
    if len(normal) < 4 * count or len(other) < count:
        raise InputError(
            f"data_prep.reference_count: found {count}, but raw_images has {len(normal)} normal and {len(other)} other "
            f"images, expected at least {4 * count} and {count}; lower it or set data_prep.protocol: official"
        )
    train, tested, calibration, selection = (normal[k * count : (k + 1) * count] for k in range(4))
    return _assemble(train, selection, calibration, pd.concat([tested, other[:count]]), "").assign(draws_test=False)


def _assemble(
    train: pd.DataFrame, selection: pd.DataFrame, calibration: pd.DataFrame, test: pd.DataFrame, there_is: str
) -> pd.DataFrame:
    """The four sides one below the other; `there_is` says what they were drawn from, in words."""
    parts = zip(SPLITS, (train, selection, calibration, test), strict=True)
    split = pd.concat([part.assign(split=name) for name, part in parts])
    expect_enough(split, there_is)
    return split


def expect_enough(split: pd.DataFrame, there_is: str) -> None:
    """Refuse a side (column `split`) of too few images (InputError); `there_is` goes on in words."""
    for name, least in zip(SPLITS, (2, 2, 2, 1), strict=True):
        if (found := int((split["split"] == name).sum())) < least:
            raise InputError(
                f"data_prep: the {name} split would get {plural(found, 'image')}, expected at least {least}; {there_is}"
            )


def split_digest(split: pd.DataFrame, geometry: str) -> str:
    """SHA-256 (hex) that names a split: its images, their sides and their geometry (`Geometry.to_text`)."""
    columns = ["image_id", "split", "label", "is_anomaly", "sha256"]
    rows = split[columns].sort_values("image_id").to_csv(index=False)
    return hashlib.sha256(f"{geometry}\n{rows}".encode()).hexdigest()
