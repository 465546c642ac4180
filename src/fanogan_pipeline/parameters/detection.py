"""From residuals to verdicts: scores, what the report shows of them, new pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from fanogan_pipeline.parameters.group import Batch, Fraction, Group, Pair, Rate


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
    poses: list[Pair[Annotated[float, Field(ge=-180.0, le=180.0)], Annotated[float, Field(ge=-1.0, le=1.0)]]]
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

    @field_validator("refinement_sample")
    @classmethod
    def _none_or_some(cls, value: int) -> int:
        if value == 1:
            raise ValueError("expected 0 or at least 2, found 1")
        return value


class InferenceParameters(Group):
    """`params:inference`: how new pictures are gone through and what is said of them as a batch."""

    false_discovery_rate: Fraction | None
    max_heatmaps: Annotated[int, Field(ge=0, le=100_000)]
    drift_alarm: Fraction
    shard_size: Annotated[int, Field(ge=1, le=1_000_000)]
    workers: Annotated[int, Field(ge=1, le=256)]
