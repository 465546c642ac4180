"""Networks are built from their seed, whatever else goes on."""

from __future__ import annotations

import threading

import torch

from fanogan_pipeline.networks import NetworkSpec, build_critic, build_generator, seeded

SPEC = NetworkSpec("convolutional", (16, 16), 1, 4, 4)


def weights(seed: int) -> torch.Tensor:
    with seeded(seed):
        networks = build_generator(SPEC), build_critic(SPEC)
    return torch.cat([weight.detach().flatten() for network in networks for weight in network.parameters()])


def test_a_seed_gives_its_weights_while_other_threads_build():
    alone, ends = weights(3), threading.Event()

    def disturb() -> None:
        while not ends.is_set():
            build_critic(SPEC)

    others = [threading.Thread(target=disturb) for _ in range(2)]
    for other in others:
        other.start()
    try:
        found = [weights(3) for _ in range(40)]
    finally:
        ends.set()
        for other in others:
            other.join()
    assert all(torch.equal(one, alone) for one in found)
