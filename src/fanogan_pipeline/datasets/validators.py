"""What each dataset of the catalog must hold, checked by Kedro on every load and save (`validator:` in the catalog).

Each takes the data and raises `InputError` where it is not what its consumers rely on: what was found and expected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from fanogan_pipeline.datasets.expectations import expect, expect_columns, expect_finite, expect_keys, expect_unique
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import SOURCE_COLUMNS, ImageSet, ImageSource
from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.preprocessing.splits import SPLITS

with lazily():
    from fanogan_pipeline import networks
    from fanogan_pipeline.datasets import state_store, tensorboard


def image_source(data: ImageSource) -> None:
    """Raw pictures: at least one, each with its own name."""
    expect(data, ImageSource)
    if len(data) == 0:
        raise InputError("found no pictures, expected at least one")
    expect_columns(data.table, dict.fromkeys(("image_id", "label"), "text"), SOURCE_COLUMNS)
    expect_unique(data.table, "image_id")


def image_set(data: ImageSet) -> None:
    """Images with both kinds allowed: at least one, each with its own name."""
    expect(data, ImageSet)
    if len(data) == 0:
        raise InputError("found no images, expected at least one")
    if (repeated := len(data) - len(set(data.image_id.tolist()))) > 0:
        raise InputError(f"image_id: found {repeated:,} repeated names, expected each once")


def normal_set(data: ImageSet) -> None:
    """Images to learn from: all of them normal."""
    image_set(data)
    if count := int(data.is_anomaly.sum()):
        raise InputError(f"is_anomaly: found {count:,} anomalous images, expected normal ones only")


def residual_maps(data: dict[str, np.ndarray]) -> None:
    """Maps [N, H, W] with the names of their images [N]; their dataset checks dtypes and shapes."""
    expect_keys(data, ("maps", "image_id"))


def figure(data: Any) -> None:
    """A figure on saving, a PNG on loading."""
    from matplotlib.figure import Figure

    if not isinstance(data, Figure | bytes) or data == b"":
        raise InputError(f"found {type(data).__name__}, expected a matplotlib Figure or the bytes of a PNG")


def figure_folder(data: Any) -> None:
    """Names and figures."""
    expect(data, dict)
    for value in data.values():
        if not callable(value):
            figure(value)


DETECTOR_KEYS = ("rule", "threshold", "promised_false_alarm_rate", "belongs_to")


def checkpoint(data: networks.Checkpoint) -> None:
    """A model: at least one tensor, every weight finite, a header."""
    expect(data, networks.Checkpoint)
    if not data.tensors or not data.header:
        raise InputError(f"found {len(data.tensors)} tensors and {len(data.header)} facts, expected some of both")
    for name, tensor in data.tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{name}: found weights that are NaN or infinite, expected none; train again")


def detector(data: dict[str, Any]) -> None:
    """The rule from residuals to verdicts."""
    expect_keys(data, DETECTOR_KEYS)
    expect_finite(data, ("threshold", "promised_false_alarm_rate"))
    if not 0 < data["promised_false_alarm_rate"] < 1:
        raise InputError(
            f"promised_false_alarm_rate: found {data['promised_false_alarm_rate']}, expected above 0 and below 1"
        )


def onnx_model(data: bytes) -> None:
    """The bytes of an ONNX model."""
    expect(data, bytes)
    if not data:
        raise InputError("found no bytes, expected an ONNX model")


def training_states(data: state_store.StateStore) -> None:
    """The place of unfinished training; what lies in it is checked when training asks for it."""
    expect(data, state_store.StateStore)


def log_folder(data: tensorboard.TensorBoardLogs) -> None:
    """The place where a run logs its curves."""
    expect(data, tensorboard.TensorBoardLogs)


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
