"""Training that goes wrong stops with words."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor, nn

from fanogan_pipeline.errors import TrainingError

logger = logging.getLogger(__name__)

RUNAWAY_SCORE = 1e6  # no critic under a working constraint reaches it
COLLAPSED_SHARE = 0.02  # generated images that differ from one another by less than this share of what real ones do


def finite_complaint(values: dict[str, float], modules: dict[str, nn.Module]) -> str:
    """What is not finite among losses and weights, or ""."""
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    for name, module in modules.items():
        if not all(bool(torch.isfinite(weight).all()) for weight in module.parameters()):
            bad.append(f"a weight of the {name}")
    how = "try a lower learning_rate, or precision: float32 where it is bfloat16"
    return f"not finite: {', '.join(bad)}; {how}" if bad else ""


def runaway_complaint(values: dict[str, float]) -> str:
    """A critic whose scores have left every sensible scale, or ""."""
    worst = max(abs(values.get(name, 0.0)) for name in ("term_real", "term_fake"))
    if worst < RUNAWAY_SCORE:
        return ""
    return (
        f"the critic ran away: its mean score reached {worst:.3g}; try wgan.objective: wgan_gp, "
        "a larger wgan.gradient_penalty or a lower wgan.critic_learning_rate"
    )


def collapse_complaint(real: Tensor, fake: Tensor) -> str:
    """A generator that shows one image only, or "", as ever where batches are of one image, which tells nothing.

    Args:
        real, fake: batches [N, C, H, W] in the same pixel range.
    """
    if len(fake) < 2:
        return ""
    spread_real = float(real.std(dim=0).mean())
    spread_fake = float(fake.std(dim=0).mean())
    if not math.isfinite(spread_fake) or spread_fake >= COLLAPSED_SHARE * spread_real:
        return ""
    return (
        f"the generator shows one image only (its images differ by {spread_fake:.2g}, real ones by {spread_real:.2g}); "
        "try more wgan.critic_steps, a larger wgan.latent_dim or a lower wgan.learning_rate"
    )


def act(complaint: str, phase: str, step: int, on_failure: str) -> None:
    """Stop (TrainingError) or warn, as `training.on_failure` says; nothing where there is no complaint."""
    if not complaint:
        return
    message = f"{phase} step {step}: {complaint}"
    if on_failure == "stop":
        raise TrainingError(message)
    logger.warning(message)
