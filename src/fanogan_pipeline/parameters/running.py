"""What holds for a whole run: seed, device and precision, what it is spread over, where it is logged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fanogan_pipeline.parameters.group import Group, Seed

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]


class Globals(Group):
    """The parameters of no group."""

    seed: Seed
    device: Device
    precision: Precision


class ComputeParameters(Group):
    """`params:compute`: the engine that scoring, inference and the benchmark spread over."""

    engine: Literal["local", "dask"]
    scheduler: str
    workers: Annotated[int, Field(ge=0, le=1024)]
    shard_size: Annotated[int, Field(ge=1, le=10_000_000)]


class TrackingParameters(Group):
    """`params:tracking`: where runs are logged beside the catalog."""

    mlflow: bool
    uri: Annotated[str, Field(min_length=1)]
    experiment: Annotated[str, Field(min_length=1)]
