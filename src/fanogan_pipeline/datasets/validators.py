"""What each dataset of the catalog must hold, checked by Kedro on every load and save (`validator:` in the catalog).

Each function takes the data and raises `InputError` where it is not what its consumers rely on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api import types

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import SOURCE_COLUMNS, ImageSet, ImageSource

if TYPE_CHECKING:
    from fanogan_pipeline.datasets.state_store import StateStore
    from fanogan_pipeline.datasets.tensorboard import TensorBoardLogs
    from fanogan_pipeline.networks.checkpoint import Checkpoint

SPLIT_NAMES = ("train", "selection", "calibration", "test")
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
DETECTOR_KEYS = ("rule", "threshold", "promised_false_alarm_rate", "belongs_to")

_Check = Callable[[pd.Series], bool]
_TYPES: dict[str, _Check] = {
    "text": lambda column: (
        bool(types.is_string_dtype(getattr(column.dtype, "categories", column))) and not column.isna().any()
    ),
    "true or false": lambda column: column.dtype == bool,
    "whole numbers": lambda column: bool(types.is_integer_dtype(column.dtype)),
    "numbers": lambda column: bool(types.is_float_dtype(column.dtype) or types.is_integer_dtype(column.dtype)),
    "finite numbers": lambda column: _TYPES["numbers"](column) and bool(np.isfinite(column.to_numpy(float)).all()),
    "probabilities": lambda column: _TYPES["finite numbers"](column) and bool(column.between(0, 1).all()),
}
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


def image_source(data: ImageSource) -> None:
    """Raw pictures: at least one, each with its own name."""
    _expect(data, ImageSource)
    _columns(data.table, dict.fromkeys(("image_id", "label"), "text"), SOURCE_COLUMNS)
    _unique(data.table, "image_id")


def image_set(data: ImageSet) -> None:
    """Images with both kinds allowed: at least one, each with its own name."""
    _expect(data, ImageSet)
    if len(data) == 0:
        raise InputError("found no images, expected at least one")
    if (repeated := len(data) - len(set(data.image_id.tolist()))) > 0:
        raise InputError(f"image_id: found {repeated:,} repeated names, expected each once")


def normal_set(data: ImageSet) -> None:
    """Images to learn from: all of them normal."""
    image_set(data)
    if count := int(data.is_anomaly.sum()):
        raise InputError(f"is_anomaly: found {count:,} anomalous images, expected normal ones only")


def split_manifest(data: pd.DataFrame) -> None:
    """Which picture lies on which side of the split; none on two."""
    _columns(data, TABLES["split_manifest"])
    _unique(data, "image_id")
    if strange := set(data["split"]) - set(SPLIT_NAMES):
        raise InputError(f"split: found {min(strange)!r}, expected {', '.join(SPLIT_NAMES)}")


def score_table(data: pd.DataFrame) -> None:
    """Residuals, score and verdict for images whose truth is known."""
    _columns(data, TABLES["score_table"])
    _unique(data, "image_id")


def new_score_table(data: pd.DataFrame) -> None:
    """Residuals, score and verdict for images of unknown truth."""
    _columns(data, TABLES["new_score_table"])
    _unique(data, "image_id")


def history(data: pd.DataFrame) -> None:
    """Curves of a training, a row a logged step."""
    _columns(data, TABLES["history"])
    if not data["step"].is_monotonic_increasing:
        raise InputError("step: found steps out of order, expected them ascending")


def score_choice(data: pd.DataFrame) -> None:
    """What the score is made of: one mix chosen."""
    _columns(data, TABLES["score_choice"])
    if (count := int(data["chosen"].sum())) != 1:
        raise InputError(f"chosen: found {count} mixes chosen, expected one")


def class_table(data: pd.DataFrame) -> None:
    """How much of each class was flagged."""
    _columns(data, TABLES["class_table"])


def refinement_quality(data: pd.DataFrame) -> None:
    """Quality and time of each way to find z; no row where it was not measured."""
    _columns(data, TABLES["refinement_quality"], may_be_empty=True)


def benchmark_scores(data: pd.DataFrame) -> None:
    """Every image's score by every method of every cell."""
    _columns(data, TABLES["benchmark_scores"])


def benchmark_table(data: pd.DataFrame) -> None:
    """A row per class, method and seed."""
    _columns(data, TABLES["benchmark_table"])


def benchmark_summary(data: pd.DataFrame) -> None:
    """A row per method."""
    _columns(data, TABLES["benchmark_summary"])
    _unique(data, "method")


def benchmark_comparisons(data: pd.DataFrame) -> None:
    """f-AnoGAN against each other method."""
    _columns(data, TABLES["benchmark_comparisons"])


def checkpoint(data: Checkpoint) -> None:
    """A model: at least one tensor, every weight finite, a header."""
    from fanogan_pipeline.networks.checkpoint import Checkpoint

    _expect(data, Checkpoint)
    if not data.tensors or not data.header:
        raise InputError(f"found {len(data.tensors)} tensors and {len(data.header)} facts, expected some of both")
    for name, tensor in data.tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{name}: found weights that are NaN or infinite, expected none; train again")


def detector(data: dict[str, Any]) -> None:
    """The rule from residuals to verdicts."""
    _expect(data, dict)
    _keys(data, DETECTOR_KEYS)
    _finite(data, ("threshold", "promised_false_alarm_rate"))
    if not 0 < data["promised_false_alarm_rate"] < 1:
        raise InputError(f"promised_false_alarm_rate: found {data['promised_false_alarm_rate']}, expected 0 to 1")


def onnx_model(data: bytes) -> None:
    """The bytes of an ONNX model."""
    _expect(data, bytes)
    if not data:
        raise InputError("found no bytes, expected an ONNX model")


def metrics(data: dict[str, Any]) -> None:
    """The numbers of the report; null where a number does not exist."""
    _expect(data, dict)
    _keys(data, METRICS)
    _finite(data, [name for name in METRICS if data[name] is not None])


def pixel_quality(data: dict[str, Any]) -> None:
    """How well the maps find the anomalous pixels; null where a number does not exist."""
    _expect(data, dict)
    _keys(data, ("pixel_auroc", "n_regions"))
    _finite(data, [name for name, value in data.items() if value is not None])


def residual_maps(data: dict[str, np.ndarray]) -> None:
    """Maps [N, H, W] with the names of their images [N]."""
    _expect(data, dict)
    _keys(data, ("maps", "image_id"))
    maps, ids = np.asarray(data["maps"]), np.asarray(data["image_id"])
    if maps.dtype != np.float16 or maps.ndim != 3 or ids.shape != maps.shape[:1]:
        raise InputError(
            f"maps: found {maps.dtype} {list(maps.shape)} for {list(ids.shape)} names, expected float16 [N, H, W]"
        )


def figure(data: Any) -> None:
    """A figure on saving, a PNG on loading."""
    from matplotlib.figure import Figure

    if not isinstance(data, Figure | bytes) or data == b"":
        raise InputError(f"found {type(data).__name__}, expected a matplotlib Figure or the bytes of a PNG")


def new_summary(data: dict[str, Any]) -> None:
    """What is said of new pictures as a batch."""
    _expect(data, dict)
    _keys(data, ("pictures", "flagged", "threshold", "drift_p_value", "drifted", "skipped", "detector"))


def figure_folder(data: Any) -> None:
    """Names and figures."""
    _expect(data, dict)
    for value in data.values():
        if not callable(value):
            figure(value)


def report(data: str) -> None:
    """A page of HTML."""
    _expect(data, str)
    if "<html" not in data[:2000].lower():
        raise InputError("found no <html>, expected a whole page")


def training_states(data: StateStore) -> None:
    """The place of unfinished training; what lies in it is checked when training asks for it."""
    from fanogan_pipeline.datasets.state_store import StateStore

    _expect(data, StateStore)


def log_folder(data: TensorBoardLogs) -> None:
    """The place where a run logs its curves."""
    from fanogan_pipeline.datasets.tensorboard import TensorBoardLogs

    _expect(data, TensorBoardLogs)


def run_manifest(data: dict[str, Any]) -> None:
    """What a run was and how it is repeated."""
    _expect(data, dict)
    _keys(data, MANIFEST_KEYS)


def _expect(data: Any, kind: type) -> None:
    if not isinstance(data, kind):
        raise InputError(f"found {type(data).__name__}, expected {kind.__name__}")


def _keys(data: dict[str, Any], names: Iterable[str]) -> None:
    if missing := [name for name in names if name not in data]:
        raise InputError(f"lacks {', '.join(missing)}, found {', '.join(map(str, data))[:200]}")


def _finite(data: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        value = data[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"{name}: found {value!r}, expected a finite number")


def _columns(
    data: pd.DataFrame, expected: dict[str, str], names: Iterable[str] = (), may_be_empty: bool = False
) -> None:
    _expect(data, pd.DataFrame)
    if missing := [name for name in (*names, *expected) if name not in data.columns]:
        raise InputError(f"lacks {', '.join(missing)}, found {', '.join(map(str, data.columns))[:200]}")
    if len(data) == 0 and not may_be_empty:
        raise InputError("found no rows, expected at least one")
    for name, kind in expected.items():
        if not _TYPES[kind](data[name]):
            raise InputError(f"{name}: found {data[name].dtype} with other values, expected {kind}")


def _unique(data: pd.DataFrame, name: str) -> None:
    if count := int(data[name].duplicated().sum()):
        raise InputError(f"{name}: found {count:,} repeated, expected each once")
