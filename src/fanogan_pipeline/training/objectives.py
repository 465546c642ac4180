"""Every objective once, under its own name, as its article has it.

Schlegl et al. 2019 = "f-AnoGAN: Fast unsupervised anomaly detection with generative adversarial
networks", Medical Image Analysis 54. Each function but `clip_weights` returns a scalar
tensor to be minimised, by itself or, without its weight, as part of a loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fanogan_pipeline.networks import Critic


def wasserstein_critic_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """-(E[D(x)] - E[D(G(z))]): Arjovsky et al. 2017, equation 2, as a loss of the critic.

    Args:
        real_scores: D(x) [N].
        fake_scores: D(G(z)) [N].
    """
    return fake_scores.mean() - real_scores.mean()


def wasserstein_generator_loss(fake_scores: Tensor) -> Tensor:
    """-E[D(G(z))], of scores [N]: Arjovsky et al. 2017, the generator's side of equation 2."""
    return -fake_scores.mean()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """E[(||grad D(x^)||_2 - 1)^2] at x^ = mix * x + (1 - mix) * G(z): Gulrajani et al. 2017, equation 3.

    Args:
        critic: x [N, C, H, W] -> score [N].
        real, fake: [N, C, H, W]; no gradient flows into the generator.
        mix: uniform in [0, 1], one number an image [N].

    Returns:
        The penalty without its weight lambda.
    """
    weight = mix.view(-1, *[1] * (real.dim() - 1))
    gradient = critic.input_gradient(torch.lerp(fake.detach(), real, weight))
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def drift(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E[D(x)^2] over real and generated images: keeps scores from drifting off together, which the
    Wasserstein loss alone does not see (Karras et al. 2018, appendix A.1, there on real ones only).

    Args:
        real_scores, fake_scores: [N].
    """
    return torch.cat([real_scores, fake_scores]).square().mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """w <- clip(w, -limit, limit): Arjovsky et al. 2017, algorithm 1, line 7."""
    for weight in critic.parameters():
        weight.clamp_(-limit, limit)


def image_term(x: Tensor, restored: Tensor, distance: str) -> Tensor:
    """L_izi(x): mean over pixels of the squared difference (Schlegl et al. 2019, izi training,
    1/n ||x - G(E(x))||^2) or of the absolute one (the reference system's).

    Args:
        x, restored: [N, C, H, W].
        distance: "squared" or "absolute".
    """
    difference = x - restored
    return difference.square().mean() if distance == "squared" else difference.abs().mean()


def feature_term(real_features: Tensor, restored_features: Tensor) -> Tensor:
    """1/n_f ||f(x) - f(G(E(x)))||^2: the second half of L_izi_f (Schlegl et al. 2019), without its weight kappa.

    Args:
        real_features, restored_features: activations of one of the critic's layers [N, ...].
    """
    return (restored_features - real_features).square().mean()


def latent_term(z: Tensor, restored_z: Tensor, distance: str) -> Tensor:
    """L_ziz(z): mean over latent dimensions of the squared difference (Schlegl et al. 2019, ziz
    training, 1/d ||z - E(G(z))||^2) or of the absolute one (the reference system's).

    Args:
        z, restored_z: [N, latent_dim].
        distance: "squared" or "absolute".
    """
    difference = z - restored_z
    return difference.square().mean() if distance == "squared" else difference.abs().mean()
