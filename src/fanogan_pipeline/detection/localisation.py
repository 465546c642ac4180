"""Where an image is restored badly: residual maps."""

from __future__ import annotations

import numpy as np
import torch

from fanogan_pipeline.detection.residuals import Restorer, batches


@torch.inference_mode()
def residual_maps(images: np.ndarray, restorer: Restorer, batch_size: int) -> np.ndarray:
    """|x - G(E(x))|, mean over channels, as a share of the pixel range.

    Args:
        images: uint8 [N, C, H, W].
        restorer: the networks.
        batch_size: images computed at once.

    Returns:
        float32 [N, H, W].
    """
    if len(images) == 0:
        return np.empty((0, *images.shape[2:]), np.float32)
    low, high = restorer.pixel_range
    maps = [
        (x - restorer.wgan.generator(restorer.encode(x))).abs().mean(1).div(high - low).cpu()
        for x in batches(images, restorer, batch_size)
    ]
    return torch.cat(maps).numpy()
