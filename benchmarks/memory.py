"""Peak memory of one set of networks: `python -m benchmarks.memory default`."""

from __future__ import annotations

import json
import sys

from benchmarks.cases import case
from benchmarks.children import peak_gigabytes
from benchmarks.detectors import detector_of, untrained
from fanogan_pipeline.training.devices import settle_in
from fanogan_pipeline.training.encoder import EncoderPhase
from fanogan_pipeline.training.wgan import WganPhase


def main(name: str) -> dict[str, float]:
    """The peak so far, GB: of the libraries, after scoring, after steps of phase 2 and after steps of phase 1."""
    settle_in(0)
    one, peaks = case(name), {"libraries": peak_gigabytes()}
    detector = detector_of(one)
    detector.terms(one.images[: one.scored].numpy())
    peaks["scoring"] = peak_gigabytes()
    encoder = EncoderPhase(one.images, untrained(one), one.encoder, 0, one.device)
    for step in range(3):
        encoder.step(step)
    peaks["phase 2"] = peak_gigabytes()
    wgan = WganPhase(one.images, one.spec, one.wgan.model_copy(update={"critic_steps": 1}), 0, one.device)
    for step in range(3):
        wgan.step(step)
    return peaks | {"phase 1": peak_gigabytes()}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
