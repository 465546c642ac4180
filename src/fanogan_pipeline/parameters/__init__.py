"""The parameter groups as typed models: what is out of range or unknown is refused before any node runs."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python as plain

from fanogan_pipeline.parameters.benchmark import BenchmarkMethod, BenchmarkParameters
from fanogan_pipeline.parameters.data_prep import AugmentationParameters, DataPrepParameters
from fanogan_pipeline.parameters.detection import InferenceParameters, ReportingParameters, ScoringParameters
from fanogan_pipeline.parameters.group import Group, complaint, did_you_mean, dotted, in_quotes, masked
from fanogan_pipeline.parameters.running import ComputeParameters, Globals, Precision, TrackingParameters
from fanogan_pipeline.parameters.training import EncoderParameters, TrainingParameters, WganParameters

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
GLOBALS = tuple(Globals.model_fields)

# Group -> its parameters that change no result: who computes it, what is saved on the way, where it is logged, whether
# a training that goes wrong has one.
# Threads, processes and machines change the order in which sums are taken, and so last bits; left at 0 or auto they are
# what the machine has, which no manifest is judged by either. `device` is none of them: a GPU draws other noise.
WITHOUT_EFFECT: dict[str, frozenset[str]] = {
    "data_prep": frozenset({"workers"}),
    "inference": frozenset({"workers", "shard_size"}),
    "training": frozenset({"threads", "processes", "machines", "rendezvous", "restarts", "cuda_graph"})
    | {"save_every_seconds", "save_every_steps", "keep_unfinished", "fresh_start", "on_failure"},
    "compute": frozenset(ComputeParameters.model_fields),
    "tracking": frozenset(TrackingParameters.model_fields),
}


def typed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a run, each group as its model; Kedro makes models of those alone that its pipelines hint.

    Raises pydantic's ValidationError of the first group that cannot be one.
    """
    return {name: GROUPS[name].model_validate(one) if name in GROUPS else one for name, one in parameters.items()}
