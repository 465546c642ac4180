"""The named pipelines."""

import warnings

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

DEFAULT = ("data_prep", "wgan", "encoder", "scoring", "reporting")


def register_pipelines() -> dict[str, Pipeline]:
    """Every package under `pipelines`, and `__default__`, the whole job."""
    warnings.filterwarnings("ignore", message="The 'preview_fn' feature is experimental")
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum((pipelines[name] for name in DEFAULT if name in pipelines), Pipeline([]))
    return pipelines
