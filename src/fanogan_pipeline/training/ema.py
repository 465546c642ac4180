"""An average of the generator over its recent past, for everything downstream of phase 1."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_average(
    average: nn.Module, model: nn.Module, images_seen: int, images_a_step: int, half_life: float
) -> None:
    """average <- average + (1 - decay) (model - average), decay = 0.5^(images_a_step / h).

    The half-life h, in images, ramps up with the images seen so that the average is not stuck at
    the start (Karras et al. 2020, stylegan2-ada: h = min(half_life, 0.05 images_seen)); 0 keeps no
    average but a copy. Of weights alone: running statistics of the average are its own, taken when it is done.
    """
    horizon = min(half_life, 0.05 * images_seen)
    weight = 1.0 - 0.5 ** (images_a_step / horizon) if horizon > 0 else 1.0
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), weight)
