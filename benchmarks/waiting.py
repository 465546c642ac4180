"""How long waiting threads stay awake, and what it costs beside other work: `python -m benchmarks.waiting 1.5`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.cases import CPU, case
from benchmarks.children import ask
from benchmarks.clock import speed_of
from benchmarks.speed import begun
from fanogan_pipeline import LOOKS_BEFORE_SLEEP
from fanogan_pipeline.training.devices import settle_in

SETTING = "GOMP_SPINCOUNT"
LOOKS = (1_000, LOOKS_BEFORE_SLEEP, 300_000)  # the last is OpenMP's own
BUSY = "while True: pass"


def measure(repeats: int, seconds: float) -> dict[int, tuple[float, float]]:
    """Images a second of the default's phase 1 for each of `LOOKS`, alone and beside a process that is always busy:
    medians of `repeats` processes, in turn."""
    alone: dict[int, list[float]] = {looks: [] for looks in LOOKS}
    beside: dict[int, list[float]] = {looks: [] for looks in LOOKS}
    for _ in range(repeats):
        for looks in LOOKS:
            alone[looks].append(_rate(looks, seconds))
            with _busy():
                beside[looks].append(_rate(looks, seconds))
    return {looks: (statistics.median(alone[looks]), statistics.median(beside[looks])) for looks in LOOKS}


def _rate(looks: int, seconds: float) -> float:
    return float(ask("waiting", str(seconds), **{SETTING: str(looks)})["rate"])


@contextmanager
def _busy() -> Iterator[None]:
    other = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def main(seconds: float) -> dict[str, float]:
    """Images a second in this process, over about so many seconds."""
    settle_in(0)
    one = case("default")
    phase = begun(one, one.wgan)
    phase.step(0)
    return {"rate": phase.images_a_step * speed_of(lambda: phase.step(1), seconds, CPU)}


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))))
