"""Tables: their columns, and what holds across rows."""

from __future__ import annotations

import pandas as pd

from fanogan_pipeline.datasets.validators.expectations import expect_columns, expect_unique
from fanogan_pipeline.errors import InputError

SPLIT_NAMES = ("train", "selection", "calibration", "test")
_TRUTH = {"label": "text", "is_anomaly": "true or false"}
_CELL = {"normal_class": "text", "seed": "whole numbers", "method": "text"}
_VERDICT = {
    **dict.fromkeys(("image_residual", "feature_residual", "latent_residual", "score"), "finite numbers"),
    "p_value": "probabilities",
    "is_flagged": "true or false",
}
TABLES = {
    "split_manifest": {"image_id": "text", "split": "text", **_TRUTH, "sha256": "text"},
    "score_table": {"image_id": "text", **_TRUTH, **_VERDICT},
    "new_score_table": {"image_id": "text", **_VERDICT},
    "new_verdicts": {"image_id": "text", "verdict": "text"},
    "history": {"step": "whole numbers"},
    "score_choice": {"mix": "text", "made_up_auroc": "numbers", "chosen": "true or false"},
    "refinement_quality": {
        "method": "text",
        **dict.fromkeys(("steps", "images"), "whole numbers"),
        **dict.fromkeys(("auroc", "ci_low", "ci_high"), "numbers"),
        "seconds": "finite numbers",
    },
    "benchmark_scores": {**_CELL, "part": "text", "image_id": "text", **_TRUTH, "score": "finite numbers"},
    "benchmark_table": {**_CELL, **dict.fromkeys(("auroc", "recall_1", "false_alarms_1"), "probabilities")},
    "benchmark_summary": {"method": "text", "auroc": "probabilities", "test_spread": "finite numbers"},
    "benchmark_comparisons": {**_CELL, "difference": "finite numbers", "p_holm": "probabilities"},
    "class_table": {**_TRUTH, "images": "whole numbers", "flagged": "whole numbers", "share": "probabilities"},
}


def split_manifest(data: pd.DataFrame) -> None:
    """Which picture lies on which side of the split; none on two."""
    expect_columns(data, TABLES["split_manifest"])
    expect_unique(data, "image_id")
    if strange := set(data["split"]) - set(SPLIT_NAMES):
        raise InputError(f"split: found {min(strange)!r}, expected {', '.join(SPLIT_NAMES)}")


def score_table(data: pd.DataFrame) -> None:
    """Residuals, score and verdict for images whose truth is known."""
    expect_columns(data, TABLES["score_table"])
    expect_unique(data, "image_id")


def new_score_table(data: pd.DataFrame) -> None:
    """Residuals, score and verdict for images of unknown truth."""
    expect_columns(data, TABLES["new_score_table"])
    expect_unique(data, "image_id")


def new_verdicts(data: pd.DataFrame) -> None:
    """A verdict on every new picture, also on what could not be judged."""
    expect_columns(data, TABLES["new_verdicts"])


def history(data: pd.DataFrame) -> None:
    """Curves of a training, a row a logged step."""
    expect_columns(data, TABLES["history"])
    if not data["step"].is_monotonic_increasing:
        raise InputError("step: found steps out of order, expected them ascending")


def score_choice(data: pd.DataFrame) -> None:
    """What the score is made of: one mix chosen."""
    expect_columns(data, TABLES["score_choice"])
    if (count := int(data["chosen"].sum())) != 1:
        raise InputError(f"chosen: found {count} mixes chosen, expected one")


def class_table(data: pd.DataFrame) -> None:
    """How much of each class was flagged."""
    expect_columns(data, TABLES["class_table"])


def refinement_quality(data: pd.DataFrame) -> None:
    """Quality and time of each way to find z; no row where it was not measured."""
    expect_columns(data, TABLES["refinement_quality"], may_be_empty=True)


def benchmark_scores(data: pd.DataFrame) -> None:
    """Every image's score by every method of every cell."""
    expect_columns(data, TABLES["benchmark_scores"])


def benchmark_table(data: pd.DataFrame) -> None:
    """A row per class, method and seed."""
    expect_columns(data, TABLES["benchmark_table"])


def benchmark_summary(data: pd.DataFrame) -> None:
    """A row per method."""
    expect_columns(data, TABLES["benchmark_summary"])
    expect_unique(data, "method")


def benchmark_comparisons(data: pd.DataFrame) -> None:
    """f-AnoGAN against each other method; no row where there was none to compare."""
    expect_columns(data, TABLES["benchmark_comparisons"], may_be_empty=True)
