"""docs/performance.md, or of a GPU docs/performance-cuda.md, from the results: words around tables, and the plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib

from benchmarks.ceiling import SIDES
from benchmarks.results import ORIGINAL, TABLE_SECONDS, Results, goals
from fanogan_pipeline import LOOKS_BEFORE_SLEEP

matplotlib.use("Agg")
PLOT = "images/scoring_scale.png"
MILLION = 1_000_000
SPEED_WORDS = """\
Medians over repeats in one process; in each repeat ours, the plain loop and the matrix product take turns, and the
ratios are medians of each repeat's own.

*Plain* (`benchmarks/plain.py`) is the loop that public implementations have: a DataLoader of PIL images, an optimiser
step at a time, losses read off at every step, images scored one at a time. It does the same updates of the same
networks, and a test holds that both end with the same weights to rounding.

*Ceiling*: the floating-point work of convolutions and matrix products, forward, backward and through the penalty,
counted while a step of ours runs, over the speed of a float32 product of {side}x{side} matrices ({slowest:.0f} to
{fastest:.0f} GFLOP/s here), on a processor by MKL or by oneDNN, whichever is the faster there: MKL knows Intel's
processors best. For scoring the work is that of image, feature and latent residual, columns of every score table, and
with the default's score of the distances from the training images too; the plain loop has only the residuals. The
original's score is the image residual alone; what that takes has a row.

*bfloat16*: ours with `precision: bfloat16`, which no goal counts; its penalty, losses and optimisers are float32.

{more}"""
PAPER_WORDS = """\
The paper's networks run in batches of 8 here (of 16 in scoring) instead of 64, for a step takes minutes otherwise; the
work an image is the same. In phase 1 an image is a real one shown to the critic."""
GPU_WORDS = """\
*Called*: ours with `training.cuda_graph: false`, kernel by kernel; ours itself is recorded as a CUDA graph and launched
as a whole, a step at a time, with *bfloat16* too. Empty where nothing is recorded: in scoring, and where PyTorch could
not. The clock is read when the GPU has finished. In phase 1 an image is a real one shown to the critic."""


def write(found: Results, page: Path) -> None:
    """The page, and the plot beside it where there is anything to plot."""
    page.parent.mkdir(parents=True, exist_ok=True)
    if found.scored:
        plot(found, page.parent / PLOT)
    page.write_text("\n\n".join(_parts(found)) + "\n")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, all but its first column to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def goals_table(found: Results) -> str:
    rows = [(goal.what, goal.wanted, goal.reached, "yes" if goal.is_met else "no") for goal in goals(found)]
    return table(("", "goal", "reached", "met"), rows)


def _parts(found: Results) -> Iterable[str]:
    m = found.machine
    millions = any(row["images"] >= MILLION for row in found.scored)
    asked = {"--device cuda": m.gpu, "--quick": found.is_quick, "--million": millions, "--table": found.table}
    options = " ".join(option for option, is_given in asked.items() if is_given)
    command = f'make bench BENCH="{options}"' if options else "make bench"
    yield "# Performance on a GPU" if m.gpu else "# Performance"
    yield f"<!-- written by `{command}`; change benchmarks/page.py instead -->"
    if found.is_quick:
        yield "**A quick try: repeats so short that the figures mean little.**"
    yield (
        f"`{command}` measured all this on {m.date} at commit {m.commit}: {m.processor}, {m.cores} cores, "
        f"{m.threads} threads, {m.memory:.0f} GB, Python {m.python}, PyTorch {m.torch}, float32, {m.gpu or 'no GPU'}; "
        f"load {found.load[0]:.1f} before and {found.load[1]:.1f} after; {found.seconds / 60:.1f} minutes in all. "
        "Nothing in the test suite is timed."
    )
    yield from _goals(found)
    yield from _speed(found)
    yield from _whole(found)
    yield from _cost(found)
    yield from _scale(found)


def _goals(found: Results) -> Iterable[str]:
    yield "## Goals"
    yield goals_table(found)
    if found.machine.gpu:
        if not found.table:
            yield f"The benchmark's table of ten classes, goal {TABLE_SECONDS:.0f} s, is measured with `--table` alone."
        return
    original = ", ".join(f"{ORIGINAL[task]:.0f} ({task})" for task in ("phase 1", "phase 2", "scoring"))
    yield (
        "The original is the TensorFlow system that `conf/reference` reimplements, which with its own commands reached "
        f"{original} images a second on two cores of another machine."
    )


def _speed(found: Results) -> Iterable[str]:
    yield "## Training and scoring, images a second"
    rows = [
        (
            f"{r.case}, {r.task}",
            _rate(r.ours),
            _rate(r.plain),
            f"{r.gain:.1f}",
            f"{r.work / 1e6:,.0f}",
            _rate(r.ceiling),
            f"{r.share:.0%}",
            _rate(r.short),
            *([_rate(r.called)] if found.machine.gpu else []),
        )
        for r in found.rates
    ]
    head = ("", "ours", "plain", "ours / plain", "MFLOP an image", "ceiling", "ours / ceiling", "bfloat16")
    yield table((*head, "called") if found.machine.gpu else head, rows)
    speeds = sorted(r.matmul / 1e9 for r in found.rates)
    side, more = (SIDES["cuda"], GPU_WORDS) if found.machine.gpu else (SIDES["cpu"], PAPER_WORDS)
    yield SPEED_WORDS.format(side=side, slowest=speeds[0], fastest=speeds[-1], more=more)


def _rate(images: float) -> str:
    return "" if math.isnan(images) else f"{images:,.0f}" if images >= 100 else f"{images:.1f}"


def _whole(found: Results) -> Iterable[str]:
    if found.stages:
        yield "## One class from beginning to end"
        yield (
            "The default networks on all of MNIST's training ones, one stage after another, recording included; GB are "
            "the most that PyTorch has allocated on the GPU."
        )
        yield table(("", "seconds", "GB"), [(s.what, f"{s.seconds:.1f}", _gigabytes(s.peak)) for s in found.stages])
    if found.table:
        yield (
            f"The benchmark's table of all ten classes and every method takes {found.table:.0f} s, from pictures to "
            "the summary, cells side by side."
        )
    if found.batches:
        yield "## Scoring in large batches"
        yield "The default networks and their score, with `scoring.batch_size` of:"
        rows = [(f"{b.size:,}", _rate(b.rate), _gigabytes(b.peak)) for b in found.batches]
        yield table(("images at once", "images a second", "GB"), rows)


def _gigabytes(peak: float) -> str:
    return "" if math.isnan(peak) else f"{peak:.2f}"


def _cost(found: Results) -> Iterable[str]:
    yield "## Search" if found.machine.gpu else "## Search, waiting, start, memory, peers"
    if found.anogan:
        yield f"AnoGAN's search of 500 steps for one image costs {found.anogan:,.0f} default scores."
    if found.waiting:
        yield (
            "A thread that waits for the others looks so many times before it sleeps (`GOMP_SPINCOUNT`): in a run "
            f"{LOOKS_BEFORE_SLEEP:,} times, half a millisecond here, unless it is set; OpenMP's own is the last. Phase "
            "1 of the default networks, images a second, alone and beside a process that keeps one core busy:"
        )
        rows = [(f"{looks:,}", *map(_rate, rates)) for looks, rates in found.waiting.items()]
        yield table(("looks", "alone", "beside other work"), rows)
    if found.start:
        yield (
            f"From `kedro run` to the end of the first training step on MNIST: {found.start.wall:.1f} s on the clock, "
            f"{found.start.cpu:.1f} s of the processor, with the files in the disk's cache."
        )
    if found.memory:
        stages = list(next(iter(found.memory.values())))
        rows = [(name, *(f"{peaks[stage]:.2f}" for stage in stages)) for name, peaks in found.memory.items()]
        yield "Peak memory in GB, each stage in the same process after the one before it:"
        yield table(("", *stages), rows)
    if found.peers:
        yield "Other people's packages at their own settings on 1,000 of MNIST's ones, images a second:"
        rows = [(what, _rate(peer.training), _rate(peer.scoring)) for what, peer in found.peers.items()]
        yield table(("", "training", "scoring"), rows)
    elif found.peers is not None:
        yield "No other package is installed that runs here, to compare with (`pip install -e .[bench]`)."


def _scale(found: Results) -> Iterable[str]:
    if not found.scored:
        return
    yield "## Scale"
    yield "MNIST's test digits, repeated with noise, through what `inference` computes; each row a process of its own:"
    rows = [
        (
            f"{row['images']:,}",
            f"{row['seconds']:.1f}",
            f"{row['images'] / row['seconds']:,.0f}",
            f"{row['before']:.2f}",
            f"{row['peak']:.2f}",
        )
        for row in found.scored
    ]
    yield table(("images", "seconds", "images a second", "GB before", "GB at most"), rows)
    yield f"![Seconds and memory against the number of images]({PLOT})"
    t = found.trained
    if t:
        yield (
            f"Phase 1 of the default networks on {t['images']:,} patches of 64x64 in a memory-mapped file of "
            f"{t['file']:.1f} GB: {t['seconds']:.2f} s a step, {t['peak']:.2f} GB at most over {t['steps']} steps. "
            "The file's pages are given back after every step, as the system takes them back when it needs room; while "
            "it has any they stay, and are counted as the process's, in the end the whole file. Processes of "
            "`training.processes` train from such a file; `kedro run` itself holds its images in memory."
        )


def plot(found: Results, path: Path) -> None:
    """Seconds and peak memory against the number of images."""
    from matplotlib import pyplot

    counts = [row["images"] for row in found.scored]
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for axis, name, unit in zip(axes, ("seconds", "peak"), ("seconds", "GB at most"), strict=True):
        axis.plot(counts, [row[name] for row in found.scored], "o-", color="#0072B2")
        axis.set(xscale="log", xlabel="images scored", ylabel=unit)
        axis.grid(alpha=0.3)
    axes[0].set_yscale("log")
    axes[1].set_ylim(0, 1.2 * max(row["peak"] for row in found.scored))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
