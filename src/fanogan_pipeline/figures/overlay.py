"""One picture, in its own size, under its residual map."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from PIL import Image

STRENGTH = 0.6  # of the map's colour where the map is highest


def overlay(picture: np.ndarray, residual_map: np.ndarray, threshold: float) -> Image.Image:
    """A picture under its residual map, whose colour starts at half the pixel threshold and is full at twice it.

    Args:
        picture: uint8 [h, w] or [h, w, 3], in its own size.
        residual_map: float [h', w'], of the whole picture and no padding; stretched to it.
        threshold: from which a pixel counts as anomalous.
    """
    grey = picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))
    share = np.clip((residual_map - threshold / 2) / max(1.5 * threshold, 1e-12), 0, 1).astype(np.float32)
    size = (grey.shape[1], grey.shape[0])
    share = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR))[..., None]
    colour = colormaps["plasma"](share[..., 0])[..., :3] * 255
    mixed = grey[..., None] * (1 - STRENGTH * share) + colour * STRENGTH * share
    return Image.fromarray(mixed.round().astype(np.uint8))
