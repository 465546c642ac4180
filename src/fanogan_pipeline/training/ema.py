"""An average of the generator over its recent past, for everything downstream of phase 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, images_seen: int, batch_size: int, half_life: float) -> None:
    """average <- average + (1 - decay) (model - average), decay = 0.5^(batch_size / h).

    The half-life h, in images, ramps up with the images seen so that the average is not stuck at
    the start (Karras et al. 2020, stylegan2-ada: h = min(half_life, 0.05 images_seen)); 0 keeps no
    average but a copy.
    """
    horizon = min(half_life, 0.05 * images_seen)
    weight = 1.0 - 0.5 ** (batch_size / horizon) if horizon > 0 else 1.0
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), weight)
    for ours, theirs in zip(average.buffers(), model.buffers(), strict=True):
        ours.copy_(theirs)


@torch.no_grad()
def standing_statistics(generator: nn.Module, latents: list[Tensor]) -> None:
    """Batch norm's running mean and variance anew, as plain averages over the given batches of z.

    Averaged weights do not fit the running statistics of the weights they were averaged from
    (Brock et al. 2019, appendix on standing statistics).

    Args:
        generator: changed in place, left in evaluation mode.
        latents: batches z [N, latent_dim].
    """
    norms = [module for module in generator.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a cumulative average
    generator.train()
    for z in latents:
        generator(z)
    generator.eval()
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
