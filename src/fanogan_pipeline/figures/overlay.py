"""One picture under its residual map."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from PIL import Image

STRENGTH = 0.6  # of the map's colour where the map is highest
LONGEST = 2048  # pixels of a side


def overlay(picture: np.ndarray, residual_map: np.ndarray, threshold: float) -> Image.Image:
    """A picture under its residual map, whose colour starts at half the pixel threshold and is full at twice it.

    Args:
        picture: uint8 [h, w] or [h, w, 3], in its own size.
        residual_map: float [h', w'], of the whole picture and no padding; stretched to it.
        threshold: from which a pixel counts as anomalous.

    Returns:
        RGB, of the picture's size, or with a longer side of `LONGEST` where it is larger.
    """
    image = Image.fromarray(picture)
    image.thumbnail((LONGEST, LONGEST))
    grey = np.asarray(image.convert("L"))[..., None]
    share = np.clip((residual_map - threshold / 2) / max(1.5 * threshold, 1e-12), 0, 1).astype(np.float32)
    share = np.asarray(Image.fromarray(share).resize(image.size, Image.Resampling.BILINEAR))
    colour = colormaps["plasma"](share, bytes=True)[..., :3]
    mixed = grey + STRENGTH * share[..., None] * (colour - grey.astype(np.float32))
    return Image.fromarray(mixed.round().astype(np.uint8))
