"""Other people's packages, where they are installed beside this one: `pip install -e .[bench]`."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from benchmarks.cases import case
from fanogan_pipeline.errors import one_line


@dataclass(frozen=True)
class Peer:
    """Images a second of training and of scoring."""

    training: float
    scoring: float


def measured(count: int, epochs: int) -> dict[str, Peer]:
    """Each peer that is installed and runs, at its own settings, on `count` of MNIST's ones: what it is -> how fast."""
    found = {}
    for what, (package, measure) in PEERS.items():
        if importlib.util.find_spec(package) is not None:
            try:
                found[what] = measure(count, epochs)
            except (ImportError, OSError, RuntimeError) as error:  # built for another PyTorch than is installed
                print(f"{what}: left out, {package} does not run here ({one_line(error)})", flush=True)
    return found


def _rates(count: int, epochs: int, train: Callable[[], object], score: Callable[[], object]) -> Peer:
    began = time.perf_counter()
    train()
    training = count * epochs / (time.perf_counter() - began)
    began = time.perf_counter()
    score()
    return Peer(training, count / (time.perf_counter() - began))


def _anogan(count: int, epochs: int) -> Peer:
    from pyod.models.anogan import AnoGAN

    rows = case("default").images[:count].flatten(1).numpy() / 255.0
    model = AnoGAN(epochs=epochs, epochs_query=1, batch_size=32, verbose=0)
    return _rates(count, epochs, lambda: model.fit(rows), lambda: model.decision_function(rows))


def _ganomaly(count: int, epochs: int) -> Peer:
    """Its networks, losses and two updates a batch, as its `training_step` has them, without Lightning's own cost."""
    from anomalib.models.image.ganomaly.loss import DiscriminatorLoss, GeneratorLoss
    from anomalib.models.image.ganomaly.torch_model import GanomalyModel

    images = functional.pad(case("default").images[:count].float() / 255.0, (2, 2, 2, 2))
    model = GanomalyModel((32, 32), num_input_channels=1, n_features=64, latent_vec_size=100)
    generator, discriminator = model.generator, model.discriminator
    of_generator, of_discriminator = (
        torch.optim.Adam(part.parameters(), lr=0.0002, betas=(0.5, 0.999)) for part in (generator, discriminator)
    )
    generator_loss, discriminator_loss = GeneratorLoss(), DiscriminatorLoss()

    def step(batch: torch.Tensor) -> None:
        padded, fake, latent, latent_again = model(batch)
        real_score, _ = discriminator(padded)
        fake_score, _ = discriminator(fake)
        of_generator.zero_grad()
        generator_loss(latent, latent_again, padded, fake, real_score, fake_score).backward(retain_graph=True)
        of_generator.step()
        fake_score, _ = discriminator(fake.detach())
        of_discriminator.zero_grad()
        discriminator_loss(real_score, fake_score).backward()
        of_discriminator.step()

    def train() -> None:
        for _ in range(epochs):
            for rows in torch.randperm(count).split(32):
                step(images[rows])

    def score() -> None:
        model.eval()
        with torch.inference_mode():
            for batch in images.split(32):
                model(batch)

    return _rates(count, epochs, train, score)


# what it is, for the page: the package that has it, and how it is measured
PEERS: dict[str, tuple[str, Callable[[int, int], Peer]]] = {
    "PyOD's AnoGAN (dense layers on pixels; scores by one fixed generated image, no search)": ("pyod", _anogan),
    "anomalib's GANomaly (convolutions on 32x32, its networks and losses in a plain loop)": ("anomalib", _ganomaly),
}
