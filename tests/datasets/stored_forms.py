"""One example of every stored form, numbered, so that a test can tell which save it is looking at."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from kedro.io import AbstractDataset, Version
from matplotlib.figure import Figure

from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks.checkpoint import Checkpoint

PLACES = {
    "ImageSetDataset": "set.npz",
    "ArrayDataset": "maps.npz",
    "CheckpointDataset": "model.safetensors",
    "ParquetDataset": "table.parquet",
    "CSVDataset": "list.csv",
    "JSONDataset": "numbers.json",
    "FigureDataset": "figure.png",
    "FigureFolderDataset": "figures",
    "ReportDataset": "report.html",
}
FORMS = sorted(PLACES)
OPTIONS: dict[str, dict[str, Any]] = {"ArrayDataset": {"arrays": {"maps": ("float16", 3)}}}


def example(form: str, number: int = 0, n: int = 6) -> Any:
    """The data of save `number`; `n` sets its size where the form has one."""
    rng = np.random.default_rng(number)
    names = np.array([f"{number}/{k}" for k in range(n)])
    if form == "ImageSetDataset":
        images, truth = rng.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8), rng.random(n) < 0.5
        masks, sizes = rng.random((n, 8, 8)) < 0.5, rng.integers(8, 99, (n, 2), dtype=np.int32)
        return ImageSet(images, names, truth, names, f"split {number}", masks, "{}", sizes, group=names)
    if form == "ArrayDataset":
        return {"maps": rng.random((n, 4, 4)).astype(np.float16), "image_id": names}
    if form == "CheckpointDataset":
        return Checkpoint({"w": torch.from_numpy(rng.random((n, 7))), "b": torch.zeros(0)}, {"number": number})
    if form == "ParquetDataset":
        return pd.DataFrame({"image_id": names, "score": rng.random(n), "is_flagged": rng.random(n) < 0.5})
    if form == "CSVDataset":
        return pd.DataFrame({"image_id": names, "verdict": rng.permutation(["größer", "1,5", *range(2, n)])})
    if form == "JSONDataset":
        return {"number": number, "values": rng.random(n).tolist(), "none": None}
    if form == "ReportDataset":
        return f"<html>Größe {number} {'x' * n}</html>"
    figure = Figure(figsize=(1, 1), dpi=40)
    figure.add_subplot().plot([0, number])
    return figure if form == "FigureDataset" else {"a/first": figure, "second.png": figure}


def dataset(form: str, folder: Path | str, save: str | None = None, load: str | None = None, **more: Any) -> Any:
    """A versioned dataset of this form, as a run with these versions sees it."""
    return class_of(form)(
        filepath=f"{folder}/{PLACES[form]}", version=Version(load, save), **OPTIONS.get(form, {}), **more
    )


def class_of(form: str) -> type[AbstractDataset]:
    return getattr(importlib.import_module("fanogan_pipeline.datasets"), form)


def same(form: str, found: Any, expected: Any) -> bool:
    """Whether what was loaded is what was saved."""
    if form == "ImageSetDataset":
        return joblib.hash(found) == joblib.hash(expected)
    if form == "ArrayDataset":
        return found.keys() == expected.keys() and all(np.array_equal(found[k], expected[k]) for k in expected)
    if form == "CheckpointDataset":
        return found.digest == expected.digest
    if form in ("ParquetDataset", "CSVDataset"):
        return found.equals(expected)
    if form == "FigureDataset":
        return found == png(expected)
    if form == "FigureFolderDataset":
        return found == {"a/first.png": png(expected["a/first"]), "second.png": png(expected["second.png"])}
    return found == expected


def png(figure: Figure) -> bytes:
    from fanogan_pipeline.datasets.figure import to_png

    return to_png(figure)


def leftovers(folder: Path) -> list[Path]:
    """Whatever a dead save has left."""
    return sorted(path for path in Path(folder).rglob("*") if "partial-" in path.name)


def refusal(error: BaseException | None) -> str:
    """The user's one line out of Kedro's wrapping."""
    from fanogan_pipeline.errors import PlainError

    while error is not None and not isinstance(error, PlainError):
        error = error.__cause__
    assert error is not None, "no plain error in the chain"
    assert "\n" not in str(error)
    return str(error)
