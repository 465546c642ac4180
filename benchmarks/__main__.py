"""Measure this machine and write docs/performance.md, or its GPU and docs/performance-cuda.md: `make bench`.

python -m benchmarks [--device cuda] [--quick] [--million] [--table] [--page docs/performance.md]

A GPU needs neither Kedro nor the network: MNIST is read from data/01_raw/mnist.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tests.parts import group

from benchmarks import children, machine, page, peers, speed, startup, waiting, whole
from benchmarks.cases import ENVIRONMENTS, case
from benchmarks.results import Results
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.training.devices import choose_device, settle_in


@dataclass(frozen=True)
class Length:
    """How long it all takes.

    Attributes:
        repeats: of every comparison; the paper's networks, AnoGAN's search and waiting get half, the start half and
            one.
        seconds: of each part of a repeat, the matrix product half of it.
        search_steps: of AnoGAN's 500 that are really taken.
        scored: numbers of images for the table of scale; a GPU scores the first after a whole training.
        patches: that are trained on from a mapped file.
        peer_epochs: of other people's packages.
        batches: sizes of those that a GPU scores.
        has_table: whether a GPU makes the benchmark's table too.
    """

    repeats: int
    seconds: float
    search_steps: int
    scored: tuple[int, ...]
    patches: int
    peer_epochs: int
    batches: tuple[int, ...]
    has_table: bool = False


FULL = Length(5, 1.5, 500, (10_000, 100_000), 1_000_000, 20, (256, 1024, 4096, 16_384))
QUICK = Length(1, 0.2, 20, (1_000, 4_000), 100_000, 1, (256, 1024))


def main() -> None:
    given = _arguments()
    try:
        device = choose_device(given.device)
    except InputError as error:
        sys.exit(f"benchmarks: {error}")
    if not Path("/proc/self/status").exists():
        sys.exit("benchmarks: found no /proc, expected Linux: memory and the processor's time are read there")
    length = dataclasses.replace(QUICK if given.quick else FULL, has_table=given.table)
    if given.million:
        length = dataclasses.replace(length, scored=(*length.scored, page.MILLION))
    is_gpu = device.type == "cuda"
    logging.disable(logging.INFO if is_gpu else logging.WARNING)  # a step that cannot be recorded is worth a line
    settle_in(0)
    began, load = time.perf_counter(), machine.load()
    found = Results(machine.this_machine(device), given.quick, (load, load))
    for name in ENVIRONMENTS if not (given.quick or is_gpu) else ("default", "reference"):
        _measure_case(found, name, length, device)
    _measure_search(found, length, device)
    (_measure_gpu if is_gpu else _measure_rest)(found, length, device)
    found.load, found.seconds = (load, machine.load()), time.perf_counter() - began
    place = given.page or children.ROOT / "docs" / ("performance-cuda.md" if is_gpu else "performance.md")
    page.write(found, place)
    print(f"\n{page.goals_table(found)}\n\n{place} written after {found.seconds:.0f} s", flush=True)


def _measure_case(found: Results, name: str, length: Length, device: torch.device) -> None:
    one = case(name, device)
    repeats = max(1, length.repeats // 2) if name == "paper" else length.repeats
    for task in speed.tasks(one):
        rates = speed.measure(one, task, repeats, length.seconds)
        found.rates.append(rates)
        _say(
            f"{name}, {rates.task}: {rates.ours:,.1f} images/s, {rates.gain:.1f} times the plain loop's, "
            f"{rates.share:.0%} of the ceiling"
        )


def _measure_search(found: Results, length: Length, device: torch.device) -> None:
    found.anogan = speed.anogan_cost(case("default", device), max(1, length.repeats // 2), length.search_steps)
    _say(f"AnoGAN's search: {found.anogan:,.0f} default scores")


def _measure_gpu(found: Results, length: Length, device: torch.device) -> None:
    for stage in whole.stages(case("default", device), length.scored[0]):
        found.stages.append(stage)
        _say(f"{stage.what}: {stage.seconds:.1f} s, {stage.peak:.2f} GB at most")
    for batch in whole.batches(case("default", device), length.batches, length.seconds):
        found.batches.append(batch)
        _say(f"{batch.size:,} images scored at once: {batch.rate:,.0f} images/s, {batch.peak:.2f} GB at most")
    if length.has_table:
        found.table = whole.table_seconds(case("default", device), group("benchmark"))
        _say(f"the benchmark's table of ten classes: {found.table:.0f} s")


def _measure_rest(found: Results, length: Length, _device: torch.device) -> None:
    found.waiting = waiting.measure(max(1, length.repeats // 2), length.seconds)
    for looks, (alone, beside) in found.waiting.items():
        _say(f"{looks:,} looks before a thread sleeps: {alone:,.0f} images/s, {beside:,.0f} beside a busy process")
    found.start = startup.measure(max(1, length.repeats // 2 + 1))
    _say(f"kedro run to the first training step: {found.start.wall:.1f} s, {found.start.cpu:.1f} s of the processor")
    for name in ENVIRONMENTS if not found.is_quick else ("default",):
        found.memory[name] = children.ask("memory", name)
        _say(f"{name}: {max(found.memory[name].values()):.2f} GB at most")
    for count in length.scored:
        found.scored.append(children.ask("scale", "score", str(count)))
        _say("{images:,} images scored in {seconds:.1f} s, {peak:.2f} GB at most".format(**found.scored[-1]))
    found.trained = children.ask("scale", "train", str(length.patches))
    _say("{images:,} patches: {seconds:.2f} s a step, {peak:.2f} GB at most".format(**found.trained))
    found.peers = peers.measured(1000, length.peer_epochs)
    for what, peer in found.peers.items():
        _say(f"{what}: {peer.training:,.0f} images/s in training, {peer.scoring:,.0f} in scoring")


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="what to measure")
    parser.add_argument("--quick", action="store_true", help="try it out: a minute or two, figures mean little")
    parser.add_argument("--million", action="store_true", help="score 1,000,000 images too: some minutes more")
    parser.add_argument("--table", action="store_true", help="on a GPU the benchmark's table too: some minutes more")
    parser.add_argument("--page", type=Path, help="where to write, in place of docs/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
