"""One cell of the table: one class normal, one seed, every method on the very same split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd
import torch

from fanogan_pipeline.benchmark import autoencoders, fanogan
from fanogan_pipeline.benchmark.baselines import Score, baselines
from fanogan_pipeline.benchmark.shared import Scored, Settings, Split, clock
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import groups_of
from fanogan_pipeline.parameters import BenchmarkMethod, BenchmarkParameters, DataPrepParameters, did_you_mean
from fanogan_pipeline.preprocessing import copies, splits
from fanogan_pipeline.preprocessing.geometry import channels_first, channels_last
from fanogan_pipeline.preprocessing.levelling import fit_levelling, to_fit_on

METHODS: tuple[BenchmarkMethod, ...] = get_args(BenchmarkMethod)


def wanted_cells(table: pd.DataFrame, parameters: BenchmarkParameters) -> list[tuple[str, int]]:
    """Class and seed of every cell.

    Raises:
        InputError: a class that the source does not have, that is its only one, or whose test part has images of one
            kind only.
    """
    labels = sorted(table["label"].unique())
    for name in parameters.classes or []:
        if name not in labels:
            raise InputError(
                f"benchmark.classes: found '{name}', but raw_images has no such class; {did_you_mean(name, labels)}"
            )
    names = parameters.classes or sorted(table.loc[table["part"] != "test", "label"].unique())
    tested = set(table.loc[table["part"] == "test", "label"])
    if not tested and len(labels) == 1:
        raise InputError(
            f"benchmark.classes: found '{labels[0]}', the only class of raw_images, beside which nothing is anomalous; "
            "expected images of two classes or more, each in a folder of its own, or a test part with anomalies"
        )
    for name in names if tested else ():
        if tested == {name} or name not in tested:
            lacking = "others" if name in tested else "its own"
            raise InputError(
                f"benchmark.classes: found '{name}', whose test images would be without any of {lacking}; expected "
                "images of both kinds in raw_images' test part, or no test part: then test_fraction draws one"
            )
    return [(name, seed) for seed in parameters.seeds for name in names]


def split_class(
    images: np.ndarray, table: pd.DataFrame, normal_class: str, parameters: DataPrepParameters, seed: int
) -> Split:
    """The split that `data_prep` makes with this class alone normal, light levelled by its training images alone.

    Args:
        images: uint8 [N, C, H, W], prepared but for `local_contrast`.
        table: their rows of an `ImageSource`, and `sha256`.
        normal_class: the label.
        parameters: of `data_prep`; their own normal classes do not count.
        seed: of the split.

    Raises:
        InputError: a test side without any normal or any anomalous image, which no method can be measured on.
    """
    wanted = parameters.model_copy(update={"normal_classes": [normal_class]})
    plan = splits.split_images(table, wanted, "", seed).assign(row=lambda found: found.index)
    few = to_fit_on(plan.loc[plan["split"] == "train", "row"].to_numpy(), seed)
    plan = copies.settle_duplicates(plan.reset_index(drop=True), parameters.duplicates)
    sides = {side: plan[plan["split"] == side] for side in ("train", "selection")}
    scored = plan[plan["split"].isin(["calibration", "test"])].drop(columns="part").rename(columns={"split": "part"})
    sides["scored"] = scored.sort_values("part", kind="stable")  # calibration before test
    found = {side: images[rows["row"].to_numpy()] for side, rows in sides.items()}
    if parameters.local_contrast is not None:
        light = fit_levelling(map(channels_last, images[few]), parameters.local_contrast)
        for side in found.values():
            for row, image in enumerate(side):
                side[row] = channels_first(light.apply(channels_last(image)))
    known = sides["scored"][["part", "image_id", "label", "is_anomaly"]].reset_index(drop=True)
    anomalous = known.loc[known["part"] == "test", "is_anomaly"]
    if anomalous.nunique() < 2:
        raise InputError(
            f"benchmark: with '{normal_class}' as normal the test side has {int((~anomalous).sum())} normal and "
            f"{int(anomalous.sum())} anomalous images, expected both; raise data_prep.test_fraction or max_test "
            "or take the class out of benchmark.classes"
        )
    return Split(**found, known=known, selection_group=groups_of(sides["selection"]))


def run_cell(images: np.ndarray, table: pd.DataFrame, normal_class: str, seed: int, settings: Settings) -> pd.DataFrame:
    """Fit and score every method.

    Args:
        images, table, normal_class: as for `split_class`.
        seed: of the split, of every training and of the synthetic anomalies.
        settings: everything else.

    Returns:
        A row per method and image of `Split.known`: `normal_class, seed, method`, what is known of the image,
        `score`, and of the method `fit_seconds, score_seconds, detail`.
    """
    split = split_class(images, table, normal_class, settings.data_prep, seed)
    tables = [
        split.known.assign(
            score=found.scores,
            fit_seconds=found.fit_seconds,
            score_seconds=found.score_seconds,
            detail=found.detail,
            method=method,
        )
        for method, found in _all_methods(split, seed, settings)
    ]
    whole = pd.concat(tables, ignore_index=True).assign(normal_class=normal_class, seed=seed)
    first = ["normal_class", "seed", "method"]
    return whole[[*first, *(name for name in whole if name not in first)]]


def _all_methods(split: Split, seed: int, settings: Settings) -> Iterator[tuple[str, Scored]]:
    wanted = settings.benchmark.methods or METHODS
    yield from fanogan.score_all(split, seed, settings, [name for name in wanted if name in fanogan.ENCODERS])
    for name, fit in baselines(settings.scoring.poses, torch.device(settings.device)).items():
        if name in wanted:
            yield name, _timed(partial(fit, split.train, seed), split, settings)
    for name, build in autoencoders.AUTOENCODERS.items():
        if name in wanted:
            yield name, _timed(partial(autoencoders.fit, build, split.train, seed, settings), split, settings)


def _timed(fit: Callable[[], Score], split: Split, settings: Settings) -> Scored:
    now = clock(settings.device)
    start = now()
    score = fit()
    fitted = now()
    scores = score(split.scored)
    return Scored(scores, fitted - start, now() - fitted)
