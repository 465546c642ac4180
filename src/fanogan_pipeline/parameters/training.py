"""The two phases of training, and what they share."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fanogan_pipeline.parameters.group import Batch, Group, Pair, Rate, Share, Steps


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
    adam_betas: Pair[Annotated[float, Field(ge=0.0, lt=1.0)], Annotated[float, Field(ge=0.0, lt=1.0)]]
    ema_half_life: Annotated[float, Field(ge=0.0)]

    @model_validator(mode="after")
    def _enough_for_batch_norm(self) -> WganParameters:
        if self.batch_size < 2 and self.architecture != "residual":
            raise ValueError(f"batch_size: found 1, expected at least 2 for the {self.architecture} batch norm")
        return self


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


class TrainingParameters(Group):
    """`params:training`: what both phases share."""

    processes: Literal["auto"] | int
    threads: Annotated[int, Field(ge=0, le=1024)]
    cuda_graph: bool
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
        port = re.fullmatch(r"\S+:(\d+)", self.rendezvous)
        if self.machines > 1 and not (port and 1 <= int(port[1]) <= 65_535):
            raise ValueError(
                f"rendezvous: found {self.rendezvous!r}, expected HOST:PORT of this machine, where {self.machines} "
                "machines meet"
            )
        return self
