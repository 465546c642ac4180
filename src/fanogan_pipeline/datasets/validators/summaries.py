"""What is said of a run: numbers, pages, the manifest."""

from __future__ import annotations

from typing import Any

from fanogan_pipeline.datasets.validators.expectations import expect, expect_finite, expect_keys
from fanogan_pipeline.errors import InputError

METRICS = (
    *("auroc", "auroc_ci_low", "auroc_ci_high", "average_precision", "prevalence", "threshold"),
    *("promised_false_alarm_rate", "false_alarm_rate", "recall", "three_sigma_threshold"),
    *("three_sigma_false_alarm_rate", "three_sigma_recall", "n_normal", "n_anomalous", "pixel_auroc"),
)
MANIFEST_KEYS = (
    "command",
    "is_complete",
    "parameters",
    "seed",
    "environment",
    "pipelines",
    "packages",
    "read",
    "written",
)


def metrics(data: dict[str, Any]) -> None:
    """The numbers of the report; null where a number does not exist."""
    expect_keys(data, METRICS)
    expect_finite(data, [name for name in METRICS if data[name] is not None])


def pixel_quality(data: dict[str, Any]) -> None:
    """How well the maps find the anomalous pixels, null where a number does not exist; and their detector's digest."""
    expect_keys(data, ("pixel_auroc", "n_regions"))
    expect_finite(data, [name for name, value in data.items() if value is not None and name != "detector"])


def new_summary(data: dict[str, Any]) -> None:
    """What is said of new pictures as a batch."""
    expect_keys(data, ("pictures", "flagged", "threshold", "drift_p_value", "drifted", "skipped", "detector"))


def report(data: str) -> None:
    """A page of HTML."""
    expect(data, str)
    if "<html" not in data[:2000].lower():
        raise InputError("found no <html>, expected a whole page")


def run_manifest(data: dict[str, Any]) -> None:
    """What a run was and how it is repeated."""
    expect_keys(data, MANIFEST_KEYS)
