"""Tables: their columns, and what holds across rows."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from fanogan_pipeline.datasets.validators.expectations import expect_columns, expect_unique
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.preprocessing.splits import SPLITS


def _table(columns: dict[str, str], unique: str = "", may_be_empty: bool = False) -> Callable[[pd.DataFrame], None]:
    """A validator of a table of which no more is expected than columns of their kinds, perhaps one without repeats."""

    def validate(data: pd.DataFrame) -> None:
        expect_columns(data, columns, may_be_empty=may_be_empty)
        if unique:
            expect_unique(data, unique)

    return validate


_TRUTH = {"label": "text", "is_anomaly": "true or false"}
_CELL = {"normal_class": "text", "seed": "whole numbers", "method": "text"}
_VERDICT = {
    **dict.fromkeys(("image_residual", "feature_residual", "latent_residual", "score"), "finite numbers"),
    "p_value": "probabilities",
    "is_flagged": "true or false",
}

# Residuals, score and verdict for images whose truth is known, and for those of unknown truth.
score_table = _table({"image_id": "text", **_TRUTH, **_VERDICT}, unique="image_id")
new_score_table = _table({"image_id": "text", **_VERDICT}, unique="image_id")
# A verdict on every new picture, also on what could not be judged.
new_verdicts = _table({"image_id": "text", "verdict": "text"})
# How much of each class was flagged.
class_table = _table({**_TRUTH, "images": "whole numbers", "flagged": "whole numbers", "share": "probabilities"})
# Quality and time of each way to find z; no row where it was not measured.
refinement_quality = _table(
    {
        "method": "text",
        **dict.fromkeys(("steps", "images"), "whole numbers"),
        **dict.fromkeys(("auroc", "ci_low", "ci_high"), "numbers"),
        "seconds": "finite numbers",
    },
    may_be_empty=True,
)
# Every image's score by every method of every cell.
benchmark_scores = _table({**_CELL, "part": "text", "image_id": "text", **_TRUTH, "score": "finite numbers"})
# A row per class, method and seed.
benchmark_table = _table({**_CELL, **dict.fromkeys(("auroc", "recall_1", "false_alarms_1"), "probabilities")})
# A row per method.
benchmark_summary = _table(
    {"method": "text", "auroc": "probabilities", "test_spread": "finite numbers"}, unique="method"
)
# f-AnoGAN against each other method; no row where there was none to compare.
benchmark_comparisons = _table({**_CELL, "difference": "finite numbers", "p_holm": "probabilities"}, may_be_empty=True)


def split_manifest(data: pd.DataFrame) -> None:
    """Which picture lies on which side of the split; none on two."""
    expect_columns(data, {"image_id": "text", "split": "text", **_TRUTH, "sha256": "text"})
    expect_unique(data, "image_id")
    if strange := set(data["split"]) - set(SPLITS):
        raise InputError(f"split: found {min(strange)!r}, expected {', '.join(SPLITS)}")


def history(data: pd.DataFrame) -> None:
    """Curves of a training, a row a logged step."""
    expect_columns(data, {"step": "whole numbers"})
    if not data["step"].is_monotonic_increasing:
        raise InputError("step: found steps out of order, expected them ascending")


def score_choice(data: pd.DataFrame) -> None:
    """What the score is made of: one mix chosen."""
    expect_columns(data, {"mix": "text", "made_up_auroc": "numbers", "chosen": "true or false"})
    if (count := int(data["chosen"].sum())) != 1:
        raise InputError(f"chosen: found {count} mixes chosen, expected one")
