"""f-AnoGAN beside other methods."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fanogan_pipeline.parameters.group import ClassNames, Fraction, Group, Seed, Steps, each_once

# The methods of the table, in its order; `mypy` and a test hold the rows that fit them to these names.
BenchmarkMethod = Literal[
    "f_anogan",
    "f_anogan_izi",
    "f_anogan_ziz",
    "f_anogan_uncorrupted",
    "f_anogan_untrained",
    "pca",
    "nearest_neighbours",
    "relative_neighbours",
    "one_class_svm",
    "isolation_forest",
    "autoencoder",
    "vae",
]


class BenchmarkParameters(Group):
    """`params:benchmark`: f-AnoGAN beside other methods, each class normal in turn."""

    classes: ClassNames | None
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(each_once)]
    methods: Annotated[list[BenchmarkMethod], Field(min_length=1), AfterValidator(each_once)] | None
    autoencoder_steps: Steps
    resamples: Annotated[int, Field(ge=2, le=100_000)]
    confidence: Fraction
