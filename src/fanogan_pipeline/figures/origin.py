"""What a figure was drawn from: digests that go into its PNG and come back from there."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from PIL import Image


def signed(figure: Figure, belongs_to: Mapping[str, Any]) -> Figure:
    """The figure with names and digests of what it shows, as `belongs_to`, which is stored with it."""
    figure.belongs_to = {name: str(digest) for name, digest in belongs_to.items()}  # type: ignore[attr-defined]
    return figure


def belongs_to(png: bytes) -> dict[str, str]:
    """Name -> digest, and whatever else the texts of a PNG say; none in a figure that was not signed."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return {str(name): str(text) for name, text in image.info.items()}
