"""Each objective against a closed form or a case worked by hand."""

import pytest
import torch
from torch import nn

from fanogan_pipeline.networks import ARCHITECTURES, Critic, NetworkSpec, build_critic
from fanogan_pipeline.training import objectives


class LinearCritic(Critic):
    """D(x) = w . x, whose gradient is w everywhere."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__(nn.Sequential(), 1)
        self.weight = nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight


def test_wasserstein_losses_are_differences_of_means():
    real, fake = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.5, -0.5, 3.0])
    assert objectives.wasserstein_critic_loss(real, fake).item() == pytest.approx(1.0 - 3.0)
    assert objectives.wasserstein_generator_loss(fake).item() == pytest.approx(-1.0)


def test_penalty_of_a_linear_critic_is_its_norms_distance_from_one():
    critic = LinearCritic(torch.tensor([3.0, 0.0, 4.0, 0.0]))
    real, fake, mix = torch.randn(5, 1, 2, 2), torch.randn(5, 1, 2, 2), torch.rand(5)
    penalty = objectives.gradient_penalty(critic, real, fake, mix)
    assert penalty.item() == pytest.approx((5.0 - 1.0) ** 2)
    penalty.backward()  # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    assert torch.allclose(critic.weight.grad, 2 * 4.0 * torch.tensor([0.6, 0.0, 0.8, 0.0]))


def test_penalty_is_taken_between_real_and_generated_images():
    class Square(Critic):  # D(x) = |x|^2 / 2 has gradient x, so the penalty tells where it was taken
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1).square().sum(1) / 2

    real, fake = torch.full((1, 1, 1, 1), 4.0), torch.full((1, 1, 1, 1), 2.0)
    for mix, place in ((0.0, 2.0), (1.0, 4.0), (0.25, 2.5)):
        penalty = objectives.gradient_penalty(Square(nn.Sequential(), 1), real, fake, torch.tensor([mix]))
        assert penalty.item() == pytest.approx((place - 1) ** 2)


@pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES} - {"reference"}))
def test_penalty_reaches_every_convolution_of_the_critic(architecture):
    torch.manual_seed(0)
    critic = build_critic(NetworkSpec(architecture, (16, 16), 1, 4, 4))
    real, fake = torch.rand(4, 1, 16, 16), torch.rand(4, 1, 16, 16)
    objectives.gradient_penalty(critic, real, fake, torch.rand(4)).backward()
    kernels = [layer.weight for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert kernels
    assert all(kernel.grad is not None and kernel.grad.abs().max() > 0 for kernel in kernels)


def test_penalty_sends_no_gradient_into_the_generator():
    fake = torch.randn(3, 1, 2, 2, requires_grad=True)
    objectives.gradient_penalty(LinearCritic(torch.ones(4)), torch.randn(3, 1, 2, 2), fake, torch.rand(3)).backward()
    assert fake.grad is None


def test_drift_is_the_mean_square_of_all_scores():
    assert objectives.drift(torch.tensor([1.0, 3.0]), torch.tensor([0.0, -2.0])).item() == pytest.approx(14 / 4)


def test_clipping_holds_every_weight_within_the_limit():
    critic = build_critic(NetworkSpec("convolutional", (16, 16), 1, 4, 4))
    objectives.clip_weights(critic, 0.01)
    assert max(weight.abs().max().item() for weight in critic.parameters()) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("distance", "expected"), [("squared", (1 + 0 + 4 + 9) / 4), ("absolute", (1 + 0 + 2 + 3) / 4)]
)
def test_image_and_latent_terms_average_the_distance(distance, expected):
    ours, theirs = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 2.0], [5.0, 1.0]])
    assert objectives.latent_term(ours, theirs, distance).item() == pytest.approx(expected)
    assert objectives.image_term(ours.view(2, 1, 1, 2), theirs.view(2, 1, 1, 2), distance).item() == pytest.approx(
        expected
    )


def test_feature_term_is_the_mean_square_over_images_and_features():
    real, restored = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 2.0], [5.0, 1.0]])
    assert objectives.feature_term(real, restored).item() == pytest.approx((1 + 0 + 4 + 9) / 4)
