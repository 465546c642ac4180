"""Small pictures side by side in one, for the previews of kedro-viz."""

from __future__ import annotations

import base64
import contextlib
import io
import math

import numpy as np
from PIL import Image

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.evenly import evenly
from fanogan_pipeline.images import ImageSource

CELL, MARGIN = 96, 2  # pixels
COLUMNS = 8  # cells in a row


def contact_sheet(images: list[np.ndarray]) -> Image.Image:
    """Pictures of any size in rows, each scaled to fit a square cell.

    Args:
        images: uint8 [H, W] or [H, W, 3] each.
    """
    columns = max(1, min(COLUMNS, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    step = CELL + MARGIN
    sheet = Image.new("RGB", (columns * step + MARGIN, rows * step + MARGIN), "white")
    for k, pixels in enumerate(images):
        picture = Image.fromarray(pixels).convert("RGB")
        scale = CELL / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        # small pictures keep their hard pixels, large ones are averaged
        picture = picture.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
        sheet.paste(picture, (MARGIN + k % columns * step, MARGIN + k // columns * step))
    return sheet


def base64_png(picture: Image.Image) -> str:
    """The picture as kedro-viz takes an `ImagePreview`: a PNG in base64."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def preview_of(source: ImageSource, pictures: int) -> str:
    """A contact sheet (PNG in base64) of pictures taken evenly over the whole source, broken ones left out."""
    images = []
    for row in evenly(len(source), pictures):
        with contextlib.suppress(InputError):
            images.append(source.read(int(row)))
    return base64_png(contact_sheet(images))
