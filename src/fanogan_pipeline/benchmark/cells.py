"""One cell of the table: one class normal, one seed, every method on the very same split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd
import torch

from fanogan_pipeline.benchmark import autoencoders, fanogan
from fanogan_pipeline.benchmark.baselines import Score, baselines
from fanogan_pipeline.benchmark.shared import Scored, Settings, Split, clock
from fanogan_pipeline.detection import choice
from fanogan_pipeline.errors import InputError, PlainError
from fanogan_pipeline.images import groups_of
from fanogan_pipeline.parameters import (
    BenchmarkMethod,
    BenchmarkParameters,
    DataPrepParameters,
    did_you_mean,
    in_quotes,
)
from fanogan_pipeline.preprocessing import copies, splits
from fanogan_pipeline.preprocessing.geometry import channels_first, channels_last
from fanogan_pipeline.preprocessing.levelling import fit_levelling, to_fit_on
from fanogan_pipeline.training.data import check_batch_size

logger = logging.getLogger(__name__)

Cell = tuple[str, int]  # the normal class, the seed
METHODS: tuple[BenchmarkMethod, ...] = get_args(BenchmarkMethod)


def wanted_cells(table: pd.DataFrame, parameters: BenchmarkParameters) -> list[Cell]:
    """Class and seed of every cell.

    Raises:
        InputError: a class that the source does not have, that is its only one, or that its test part has alone.
    """
    labels = sorted(table["label"].unique())
    for name in parameters.classes or []:
        if name not in labels:
            known = in_quotes(name, labels) or did_you_mean(name, labels)
            raise InputError(f"benchmark.classes: found '{name}', but raw_images has no such class; {known}")
    names = parameters.classes or sorted(table.loc[table["part"] != "test", "label"].unique())
    tested = set(table.loc[table["part"] == "test", "label"])
    if not tested and len(labels) == 1:
        raise InputError(
            f"benchmark.classes: found '{labels[0]}', the only class of raw_images, beside which nothing is anomalous; "
            "expected images of two classes or more, each in a folder of its own, or a test part with anomalies"
        )
    for name in names:
        if tested == {name}:
            raise InputError(
                f"benchmark.classes: found '{name}', the only class of raw_images' test part, beside which nothing is "
                "anomalous; expected images of others in it, or no test part: then test_fraction draws one"
            )
    return [(name, seed) for seed in parameters.seeds for name in names]


def expect_sound(table: pd.DataFrame, wanted: Sequence[Cell], settings: Settings) -> None:
    """Refuse, before anything is trained, pictures that one of the cells cannot be made of; say which methods would be
    one and the same.

    Args:
        table: as for `split_class`.
        wanted: class and seed of each cell.
        settings: everything else.

    Raises:
        InputError: a side of too few images or, of the test side, of one kind only, fewer than a batch to train on, or
            too few to choose a score with.
    """
    methods, sizes = set(settings.benchmark.methods or METHODS), {}
    ours = methods & fanogan.VARIANTS.keys()
    if same := sorted(ours - fanogan.variants((settings.wgan, settings.encoder), ours).keys()):
        logger.info("benchmark: without %s, whose networks are those of a method before it", ", ".join(same))
    if ours:
        sizes["wgan.batch_size"] = settings.wgan.batch_size
    if ours or methods & autoencoders.AUTOENCODERS.keys():
        sizes["encoder.batch_size"] = settings.encoder.batch_size
    for normal_class, seed in wanted:
        with _telling(normal_class, seed, "; or take the class out of benchmark.classes"):
            plan, _ = _plan(table, normal_class, settings.data_prep, seed)
            counts = plan["split"].value_counts()
            for name, size in sizes.items():
                check_batch_size(name, size, int(counts["train"]))
            if ours and settings.scoring.score == "chosen":
                choice.check_count(int(counts["selection"]))


@contextmanager
def _telling(normal_class: str, seed: int, way_out: str = "") -> Iterator[None]:
    """Errors within name the cell, and a way out besides their own."""
    try:
        yield
    except PlainError as error:
        raise type(error)(f"benchmark: class '{normal_class}' as normal, seed {seed}: {error}{way_out}") from error


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
        InputError: as `expect_sound`.
    """
    plan, few = _plan(table, normal_class, parameters, seed)
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
    return Split(**found, known=known, selection_group=groups_of(sides["selection"]))


def _plan(
    table: pd.DataFrame, normal_class: str, parameters: DataPrepParameters, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """The split, a row of the table in `row`, and the rows of the training images that light is levelled by."""
    wanted = parameters.model_copy(update={"normal_classes": [normal_class]})
    plan = splits.split_images(table, wanted, "", seed).assign(row=lambda found: found.index).reset_index(drop=True)
    few = to_fit_on(plan.loc[plan["split"] == "train", "row"].to_numpy(), seed)
    kept = copies.settle_duplicates(plan, parameters.duplicates)
    copies.expect_enough_left(plan, kept)
    anomalous = kept.loc[kept["split"] == "test", "is_anomaly"]
    if anomalous.nunique() < 2:
        raise InputError(
            f"the test side has {int((~anomalous).sum())} normal and {int(anomalous.sum())} anomalous images, expected "
            "both; raise data_prep.test_fraction or max_test"
        )
    return kept, few


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
    with _telling(normal_class, seed):
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
    yield from fanogan.score_all(split, seed, settings, wanted)
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
