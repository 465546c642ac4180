"""The parameter groups as typed models: what is out of range or unknown is refused before any node runs."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Steps = Annotated[int, Field(ge=1, le=100_000_000)]
Batch = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(gt=0.0, le=1.0)]
BenchmarkMethod = Literal[
    "f_anogan",
    "f_anogan_izi",
    "f_anogan_ziz",
    "f_anogan_uncorrupted",
    "pca",
    "nearest_neighbours",
    "one_class_svm",
    "isolation_forest",
    "autoencoder",
    "vae",
]


def did_you_mean(name: str, known: list[str]) -> str:
    """ "; did you mean 'steps'?" or a list of what is known: the end of a message about an unknown name."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(sorted(known))}"


def _kinds(annotation: Any) -> set[type]:
    """The plain types that an annotation is made of: {int, NoneType} of `Annotated[int, ...] | None`."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return {type(choice) for choice in inner}
    if get_origin(annotation) is Annotated:
        return _kinds(inner[0])
    return set().union(*map(_kinds, inner)) if inner else {annotation}


class Group(BaseModel):
    """A parameter group: immutable, unknown keys refused, no silent change of type."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            raise ValueError(f"expected a group of parameters, found {type(values).__name__} ({values!r})")
        for name in values:
            if name not in cls.model_fields:
                raise ValueError(f"unknown parameter '{name}'; {did_you_mean(str(name), list(cls.model_fields))}")
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_and_text_as_number(cls, value: Any, info: Any) -> Any:
        kinds = _kinds(cls.model_fields[info.field_name].annotation)
        for part in value if isinstance(value, list | tuple) else [value]:
            if (isinstance(part, bool) and bool not in kinds) or (isinstance(part, str) and not kinds & {bool, str}):
                wanted = "a number" if kinds & {int, float} else "text"
                raise ValueError(f"expected {wanted}, found {type(part).__name__} ({part!r})")
        return value


class TilingParameters(Group):
    """`params:data_prep.tiling`: large pictures cut into overlapping tiles of `image_size`."""

    stride: tuple[Annotated[int, Field(ge=1, le=256)], Annotated[int, Field(ge=1, le=256)]]
    picture_size: Annotated[int, Field(ge=16, le=4096)] | None = None
    max_train_tiles: Annotated[int, Field(ge=1)] | None = None


class AugmentationParameters(Group):
    """`params:data_prep.augmentation`: random changes to training images, and only to them."""

    flip_horizontal: bool = False
    flip_vertical: bool = False
    shift: Annotated[int, Field(ge=0, le=64)] = 0
    brightness: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    contrast: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


class DataPrepParameters(Group):
    """`params:data_prep`: which images are normal, how they are split and brought to one size."""

    protocol: Literal["official", "reference"]
    normal_classes: list[str] = Field(min_length=1)
    image_size: tuple[Annotated[int, Field(ge=16, le=256)], Annotated[int, Field(ge=16, le=256)]]
    channels: Literal[1, 3]
    fit: Literal["resize", "pad"]
    local_contrast: Annotated[float, Field(ge=1.0, le=1024.0)] | None
    tiling: TilingParameters | None
    augmentation: AugmentationParameters | None
    selection_fraction: Fraction
    calibration_fraction: Fraction
    test_fraction: Fraction
    reference_count: Annotated[int, Field(ge=10)]
    max_train: Annotated[int, Field(ge=1)] | None
    max_test: Annotated[int, Field(ge=1)] | None
    duplicates: Literal["refuse", "drop"]
    workers: Annotated[int, Field(ge=1, le=256)]

    @field_validator("normal_classes", mode="before")
    @classmethod
    def _classes(cls, value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"expected a list of class names, found {value!r}")
        names = [str(name) for name in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"class '{twice[0]}' is listed twice")
        return names

    @model_validator(mode="after")
    def _strides(self) -> DataPrepParameters:
        if self.tiling and any(step > side for step, side in zip(self.tiling.stride, self.image_size, strict=True)):
            raise ValueError(
                f"tiling.stride is {list(self.tiling.stride)}, expected at most image_size {list(self.image_size)}: "
                "tiles must cover the picture"
            )
        return self

    @model_validator(mode="after")
    def _fractions(self) -> DataPrepParameters:
        total = self.selection_fraction + self.calibration_fraction
        if total >= 1.0:
            raise ValueError(
                f"selection_fraction + calibration_fraction = {total:g}, expected less than 1: "
                "nothing is left to train on"
            )
        return self


class WganParameters(Group):
    """`params:wgan`: phase 1, generator against critic."""

    architecture: Literal["convolutional", "reference", "residual"]
    width: Annotated[int, Field(ge=4, le=512)]
    latent_dim: Annotated[int, Field(ge=1, le=4096)]
    latent_prior: Literal["normal", "uniform"]
    objective: Literal["wgan_gp", "wgan_clip", "wgan_plain"]
    gradient_penalty: Annotated[float, Field(ge=0.0, le=1e4)]
    penalty_images: Annotated[int, Field(ge=0, le=65_536)]
    drift: Annotated[float, Field(ge=0.0, le=1e3)]
    clip: Annotated[float, Field(gt=0.0, le=10.0)]
    steps: Steps
    batch_size: Batch
    critic_steps: Annotated[int, Field(ge=1, le=100)]
    learning_rate: Rate
    critic_learning_rate: Rate
    rate_decay: Share
    adam_betas: tuple[Annotated[float, Field(ge=0.0, lt=1.0)], Annotated[float, Field(ge=0.0, lt=1.0)]]
    ema_half_life: Annotated[float, Field(ge=0.0)]


class CorruptionParameters(Group):
    """`params:encoder.corruption`: what is done to the encoder's input, and only there, while it trains."""

    noise: Annotated[float, Field(ge=0.0, le=100.0)]
    blank: Share
    block: Annotated[int, Field(ge=1, le=256)]


class EncoderParameters(Group):
    """`params:encoder`: phase 2, the encoder learns to restore."""

    objective: Literal["izi_f", "izi", "ziz"]
    image_distance: Literal["squared", "absolute"]
    kappa: Annotated[float, Field(ge=0.0, le=1e6)]
    latent_weight: Annotated[float, Field(ge=0.0, le=1e6)]
    normalise: bool
    head: Literal["linear", "tanh"]
    steps: Steps
    batch_size: Batch
    optimiser: Literal["adam", "rmsprop"]
    learning_rate: Rate
    rate_decay: Share
    corruption: CorruptionParameters


class ScoringParameters(Group):
    """`params:scoring`: how residuals become a score, a threshold and a verdict."""

    score: Literal["chosen", "standardised", "article", "image", "map"]
    pooling: Literal["mean", "maximum", "top_share"]
    top_share: Annotated[float, Field(gt=0.0, le=1.0)]
    map_smoothing: Annotated[float, Field(ge=0.0, le=64.0)]
    false_alarm_rate: Fraction
    method: Literal["encoder", "iterative"]
    refinement_steps: Annotated[int, Field(ge=0, le=10_000)]
    refinement_rate: Rate
    batch_size: Batch
    residual_maps: Annotated[int, Field(ge=0, le=100_000)]


class RefinementWays(Group):
    """`params:reporting.refinement_ways`: gradient steps to compare, by `scoring.method`."""

    encoder: list[Annotated[int, Field(ge=0, le=10_000)]]
    iterative: list[Annotated[int, Field(ge=1, le=10_000)]]


class ReportingParameters(Group):
    """`params:reporting`: what the figures show."""

    title: str
    gallery_images: Annotated[int, Field(ge=1, le=64)]
    walk_steps: Annotated[int, Field(ge=2, le=64)]
    confidence: Fraction
    refinement_sample: Annotated[int, Field(ge=0, le=1_000_000)]
    refinement_ways: RefinementWays


class InferenceParameters(Group):
    """`params:inference`: how new pictures are gone through and what is said of them as a batch."""

    false_discovery_rate: Fraction | None
    max_heatmaps: Annotated[int, Field(ge=0, le=100_000)]
    drift_alarm: Fraction
    shard_size: Annotated[int, Field(ge=1, le=1_000_000)]
    workers: Annotated[int, Field(ge=1, le=256)]


class BenchmarkParameters(Group):
    """`params:benchmark`: f-AnoGAN beside other methods, each class normal in turn."""

    classes: list[str] | None
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1)
    methods: list[BenchmarkMethod] | None
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


class TrainingParameters(Group):
    """`params:training`: what both phases share."""

    processes: Literal["auto"] | int
    threads: Annotated[int, Field(ge=0, le=1024)]
    log_every: Annotated[int, Field(ge=1)]
    save_every_seconds: Annotated[float, Field(ge=0.0)]
    save_every_steps: Annotated[int, Field(ge=0, le=100_000_000)]
    keep_unfinished: Annotated[int, Field(ge=0, le=1000)]
    fresh_start: bool
    machines: Annotated[int, Field(ge=1, le=1024)]
    rendezvous: str
    restarts: Annotated[int, Field(ge=0, le=100)]
    on_failure: Literal["stop", "warn"]

    @field_validator("processes", mode="before")
    @classmethod
    def _auto_or_a_count(cls, value: Any) -> Any:
        if value != "auto" and not (type(value) is int and 1 <= value <= 1024):
            raise ValueError(f"expected auto or a whole number from 1 to 1024, found {value!r}")
        return value

    @model_validator(mode="after")
    def _meeting_place(self) -> TrainingParameters:
        if self.machines > 1 and not re.fullmatch(r"\S+:\d+", self.rendezvous):
            raise ValueError(
                f"rendezvous: found {self.rendezvous!r}, expected HOST:PORT of this machine, where {self.machines} "
                "machines meet"
            )
        return self


class ComputeParameters(Group):
    """`params:compute`: the engine that scoring and the benchmark spread over."""

    engine: Literal["local", "dask"]
    scheduler: str
    workers: Annotated[int, Field(ge=0, le=1024)]
    shard_size: Annotated[int, Field(ge=1, le=10_000_000)]


class TrackingParameters(Group):
    """`params:tracking`: where runs are logged beside the catalog."""

    mlflow: bool
    uri: Annotated[str, Field(min_length=1)]
    experiment: Annotated[str, Field(min_length=1)]


def complaint(group: str, error: ValidationError) -> str:
    """The first thing wrong with a group, on one line: parameter, what was found, what was expected."""
    first = error.errors()[0]
    name = ".".join([group, *(str(part) for part in first["loc"])])
    reason = first["msg"].removeprefix("Value error, ")
    silent = first["type"] in ("value_error", "missing") or "found" in reason
    found = "" if silent else f"; found {first['input']!r}"
    more = len(error.errors()) - 1
    return f"{name}: {reason}{found}" + (f" (and {more} more)" if more else "")


Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]

GROUPS: dict[str, type[Group]] = {
    "data_prep": DataPrepParameters,
    "wgan": WganParameters,
    "encoder": EncoderParameters,
    "scoring": ScoringParameters,
    "reporting": ReportingParameters,
    "inference": InferenceParameters,
    "benchmark": BenchmarkParameters,
    "training": TrainingParameters,
    "compute": ComputeParameters,
    "tracking": TrackingParameters,
}
GLOBALS = ("seed", "device", "precision")
