"""Sets of images, maps and figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanogan_pipeline.datasets.validators.expectations import expect, expect_columns, expect_keys, expect_unique
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import SOURCE_COLUMNS, ImageSet, ImageSource


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
