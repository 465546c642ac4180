"""f-AnoGAN beside other methods."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from fanogan_pipeline.parameters.group import Fraction, Group, Steps

# The methods of the table, in its order; `mypy` and a test hold the rows that fit them to these names.
BenchmarkMethod = Literal[
    "f_anogan",
    "f_anogan_izi",
    "f_anogan_ziz",
    "f_anogan_uncorrupted",
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

    classes: list[str] | None
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1)
    methods: Annotated[list[BenchmarkMethod], Field(min_length=1)] | None
    autoencoder_steps: Steps
    resamples: Annotated[int, Field(ge=2, le=100_000)]
    confidence: Fraction

    @field_validator("classes", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, list) and value):
            raise ValueError(f"expected a list of class names or null, found {value!r}")
        return value and [str(name) for name in value]

    @field_validator("classes", "seeds", "methods")
    @classmethod
    def _each_once(cls, value: Any) -> Any:
        if twice := sorted({name for name in value or [] if value.count(name) > 1}):
            raise ValueError(f"'{twice[0]}' is listed twice")
        return value
