"""Everything that one run of the benchmark has found, and the goals it is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.machine import Machine
from benchmarks.peers import Peer
from benchmarks.speed import Rates
from benchmarks.startup import Start
from benchmarks.whole import Batch, Stage

# images a second of the TensorFlow system that conf/reference reimplements, run with its own commands on two cores
ORIGINAL = {"phase 1": 73.0, "phase 2": 96.0, "scoring": 217.0, "image residual alone": 217.0}
TIMES_ORIGINAL = {"phase 1": 8, "phase 2": 8, "scoring": 15, "image residual alone": 15}
SHARE_OF_CEILING = 0.6
ANOGAN_TIMES = 300.0
START_SECONDS = 6.0
TRAINING_GIGABYTES = 2.0
CLASS_SECONDS, TABLE_SECONDS, SCORED_A_SECOND = 20.0, 300.0, 1e6  # on a GPU


@dataclass
class Results:
    """Filled while the benchmark runs.

    Attributes:
        machine: what it runs on.
        is_quick: too short to mean much.
        load: before and after, processes that want to run.
        rates: of every case and task.
        anogan: cost of AnoGAN's search, in default scores.
        waiting: images a second, alone and beside other work, by how often a waiting thread looks before it sleeps.
        start: from `kedro run` to the first training step.
        memory: by case, the peaks of `benchmarks.memory`, GB.
        scored: rows of `benchmarks.scale.score`.
        trained: of `benchmarks.scale.train`.
        peers: other people's packages that are installed, by what they are; None: not measured.
        stages, batches: of `benchmarks.whole`, on a GPU.
        table: seconds of `benchmarks.whole.table_seconds`, on a GPU; 0: not measured.
        seconds: that all took.
    """

    machine: Machine
    is_quick: bool
    load: tuple[float, float]
    rates: list[Rates] = field(default_factory=list)
    anogan: float = 0.0
    waiting: dict[int, tuple[float, float]] = field(default_factory=dict)
    start: Start | None = None
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    scored: list[dict[str, Any]] = field(default_factory=list)
    trained: dict[str, Any] = field(default_factory=dict)
    peers: dict[str, Peer] | None = None
    stages: list[Stage] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    table: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Goal:
    """What was wanted and what was reached, as text."""

    what: str
    wanted: str
    reached: str
    is_met: bool


def goals(found: Results) -> Iterator[Goal]:
    """Each goal that this run has something to say to: of a machine without a GPU, or of the GPU."""
    return (_goals_of_gpu if found.machine.gpu else _goals_of_cpu)(found)


def _goals_of_gpu(found: Results) -> Iterator[Goal]:
    if found.stages:
        seconds = sum(stage.seconds for stage in found.stages)
        what = "default, one class from prepared images to metrics"
        yield Goal(what, f"{CLASS_SECONDS:.0f} s", f"{seconds:.1f} s", seconds <= CLASS_SECONDS)
    if found.batches:
        best = max(found.batches, key=lambda batch: batch.rate)
        what = f"default, scoring: images a second, {best.size:,} at once"
        yield Goal(what, f"{SCORED_A_SECOND:,.0f}", f"{best.rate:,.0f}", best.rate >= SCORED_A_SECOND)
    if found.table:
        what, is_met = "the benchmark's table of ten classes", found.table <= TABLE_SECONDS
        yield Goal(what, f"{TABLE_SECONDS:.0f} s", f"{found.table:.0f} s", is_met)


def _goals_of_cpu(found: Results) -> Iterator[Goal]:
    for rates in found.rates:
        if rates.case == "reference":
            times, wanted = rates.ours / ORIGINAL[rates.task], TIMES_ORIGINAL[rates.task]
            words = f"{times:.1f} times"
            yield Goal(f"reference, {rates.task}: the original's speed", f"{wanted} times", words, times >= wanted)
        if rates.case == "default":
            is_met = rates.share >= SHARE_OF_CEILING
            yield Goal(f"default, {rates.task}: share of the ceiling", "60%", f"{rates.share:.0%}", is_met)
    if found.anogan:
        is_met = found.anogan >= ANOGAN_TIMES
        yield Goal("AnoGAN's search, in default scores", "300", f"{found.anogan:,.0f}", is_met)
    if found.start:
        is_met = found.start.wall <= START_SECONDS
        yield Goal("`kedro run` to the first training step", "6 s", f"{found.start.wall:.1f} s", is_met)
    if found.trained:
        what = f"training on {found.trained['images']:,} mapped 64x64 patches: peak memory"
        is_met = found.trained["peak"] < TRAINING_GIGABYTES
        yield Goal(what, "2 GB", f"{found.trained['peak']:.2f} GB", is_met)
