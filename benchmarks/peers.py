"""Other people's packages, where they are installed beside this one."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass

from benchmarks.cases import case


@dataclass(frozen=True)
class Peer:
    """Images a second of training and of scoring."""

    training: float
    scoring: float


def pyod_anogan(count: int, epochs: int) -> Peer | None:
    """PyOD's AnoGAN at its own settings on `count` of MNIST's ones as rows of pixels; None where it is not installed.

    Its `decision_function` compares every image with one fixed generated image: no search, no fair AnoGAN.
    """
    if importlib.util.find_spec("pyod") is None:
        return None
    from pyod.models.anogan import AnoGAN

    rows = case("default").images[:count].flatten(1).numpy() / 255.0
    model = AnoGAN(epochs=epochs, epochs_query=1, batch_size=32, verbose=0)
    began = time.perf_counter()
    model.fit(rows)
    training = count * epochs / (time.perf_counter() - began)
    began = time.perf_counter()
    model.decision_function(rows)
    return Peer(training, count / (time.perf_counter() - began))
