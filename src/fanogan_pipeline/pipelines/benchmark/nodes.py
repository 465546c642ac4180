"""Each class normal in turn, every method on the same splits."""

from typing import Any

import numpy as np

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import (
    BenchmarkParameters,
    ComputeParameters,
    DataPrepParameters,
    EncoderParameters,
    Precision,
    ScoringParameters,
    TrainingParameters,
    WganParameters,
)
from fanogan_pipeline.pipelines.hints import DataFrame, Figure, ImageSource, StateStore

with lazily():
    from fanogan_pipeline import figures, own_code
    from fanogan_pipeline.benchmark import cells, shared, tables
    from fanogan_pipeline.compute import benchmark as spread
    from fanogan_pipeline.preprocessing import prepare
    from fanogan_pipeline.training import devices


def prepare_all(
    raw_images: ImageSource, parameters: DataPrepParameters, scoring: ScoringParameters
) -> tuple[Any, DataFrame]:
    """Every picture, uint8 [N, C, H, W], and its row of the source with its pixels' hash.

    As the networks see it, but for uneven light: each cell levels it by its own training pictures.
    """
    if parameters.tiling:
        raise InputError(
            "data_prep.tiling: found a group, expected null: the benchmark's other methods judge whole pictures; "
            "set data_prep.tiling: null for it"
        )
    if scoring.score == "map":
        raise InputError(
            "scoring.score: found 'map', expected a score of residual terms in the benchmark, as 'chosen' is"
        )
    rows = raw_images.table.index.to_numpy()
    shape = prepare.fit_geometry(raw_images, rows, parameters.model_copy(update={"local_contrast": None}), seed=0)
    images, _, sums, _ = prepare.prepare_split(raw_images, rows, shape, parameters.workers, np.zeros_like(rows), seed=0)
    return images, raw_images.table.assign(sha256=sums)


def score_cells(
    pictures: tuple[Any, DataFrame],
    data_prep: DataPrepParameters,
    wgan: WganParameters,
    encoder: EncoderParameters,
    scoring: ScoringParameters,
    training: TrainingParameters,
    parameters: BenchmarkParameters,
    compute: ComputeParameters,
    device: str,
    precision: Precision,
    states: StateStore,
) -> DataFrame:
    """Every image's score by every method, class by class and seed by seed; finished cells stay for later runs."""
    images, table = pictures
    where = devices.choose_device(device).type
    settings = shared.Settings(
        data_prep=data_prep,
        wgan=wgan,
        encoder=encoder,
        scoring=scoring,
        training=training,
        benchmark=parameters,
        device="cpu" if where == "cpu" else "cuda",
        precision=precision,
    )
    wanted = cells.wanted_cells(table, parameters)
    cells.expect_sound(table, wanted, settings)
    return spread.run_cells(images, table, wanted, settings, compute, states.folder, own_code.code_digest())


def tabulate(scores: DataFrame, parameters: BenchmarkParameters) -> DataFrame:
    """A row per class, method and seed."""
    return tables.benchmark_table(scores, parameters.confidence)


def summarise(scores: DataFrame, table: DataFrame, parameters: BenchmarkParameters, seed: int) -> DataFrame:
    """A row per method, with both spreads of its mean and the comparison with f-AnoGAN."""
    return tables.summary(table, scores, parameters.resamples, seed, parameters.confidence)


def compare(scores: DataFrame) -> DataFrame:
    """f-AnoGAN against each other method, class by class."""
    return tables.comparisons(scores)


def draw_table(table: DataFrame) -> Figure:
    """AUROC of each method, class by class."""
    return figures.benchmark_aurocs(table)
