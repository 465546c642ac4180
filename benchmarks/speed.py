"""Images a second of ours, of the plain loop and of the ceiling, in turn in one process."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import ceiling, plain
from benchmarks.cases import Case, job
from benchmarks.clock import speed_of
from benchmarks.detectors import detector_of, untrained, untrained_encoder
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.refinement import ANOGAN_STEPS, Refinement
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.networks import Critic, Encoder
from fanogan_pipeline.training.encoder import EncoderPhase
from fanogan_pipeline.training.job import phase_of
from fanogan_pipeline.training.replay import WARM_UP
from fanogan_pipeline.training.wgan import WganPhase

PLAIN_SCORED = 64  # images that the plain loop scores in one go


@dataclass(frozen=True)
class Task:
    """One thing that both can do.

    Attributes:
        name: "phase 1", "phase 2", "scoring" (with every residual of a score table) or "image residual alone".
        ours, plain: do it once.
        images, plain_images: that once stands for.
        work: floating-point operations an image.
        short: do it with `precision: bfloat16`, where that is for it.
        called: do it kernel by kernel, where ours is recorded and launched as a whole.
    """

    name: str
    ours: Callable[[], object]
    plain: Callable[[], object]
    images: int
    plain_images: int
    work: float
    short: Callable[[], object] | None = None
    called: Callable[[], object] | None = None


@dataclass(frozen=True)
class Rates:
    """Medians over the repeats, each repeat's figures taken one after another.

    Attributes:
        case, task: what was done.
        work: floating-point operations an image.
        ours, plain, ceiling: images a second.
        gain: ours / plain.
        share: ours / ceiling.
        matmul: floating-point operations a second of the large matrix product.
        short, called: images a second of these ways of `Task`; NaN where they are not for it.
    """

    case: str
    task: str
    work: float
    ours: float
    plain: float
    ceiling: float
    gain: float
    share: float
    matmul: float
    short: float
    called: float


def tasks(case: Case) -> Iterator[Task]:
    """Both phases and scoring, and the score alone where that is the image residual, as the original's."""
    wgan = untrained(case)
    loop_1 = plain.PlainWgan(case.images, case.spec, case.wgan, 0, case.device)
    yield _training("phase 1", partial(begun, case, case.wgan), loop_1)
    loop_2 = plain.PlainEncoder(case.images, wgan, case.encoder, 0, case.device)
    yield _training("phase 2", partial(begun, case, case.encoder, wgan), loop_2)
    detector = detector_of(case)
    yield _scoring(case, detector)
    if set(detector.detector.rule.weight) == {"image_residual"}:
        yield _score_alone(case, detector)


def _training(
    name: str, phase: Callable[..., WganPhase | EncoderPhase], loop: plain.PlainWgan | plain.PlainEncoder
) -> Task:
    ours, short = phase(), phase(precision="bfloat16")
    called = phase(cuda_graph=False) if ours.updates.replay else None
    images, work = ours.images_a_step, ceiling.work(lambda: (called or ours).step(0))
    return Task(
        name,
        lambda: ours.step(0),
        lambda: loop.step(0),
        images,
        images,
        work / images,
        lambda: short.step(0),
        called and (lambda: called.step(0)),
    )


def begun(case: Case, *of_job: Any, **how: Any) -> WganPhase | EncoderPhase:
    """A phase as a run trains it, on a GPU past the step that is recorded. The arguments are those of `cases.job`."""
    phase = phase_of(job(case, *of_job, **how), case.images, case.device)
    for step in range(WARM_UP + 1 if case.device.type == "cuda" else 0):
        phase.step(step)
    return phase


def _scoring(case: Case, detector: AnomalyDetector) -> Task:
    images = case.images[: case.scored]
    networks = networks_of(case)
    some = images[: min(PLAIN_SCORED, len(images))]
    one = torch.zeros(1, *images.shape[1:], device=case.device)
    return Task(
        "scoring",
        lambda: detector.judge(detector.terms(images.numpy())),
        lambda: plain.score_one_at_a_time(some, case.spec, *networks, case.device),
        len(images),
        len(some),
        ceiling.work(lambda: plain.residuals(one, *networks)) + ceiling.work(lambda: _from_training_set(detector)),
    )


def _from_training_set(detector: AnomalyDetector) -> None:
    """The distances of one image from the training set, of what the networks have made of it."""
    known = detector.statistics.training_set
    for part in (*known.neighbours, known.law) if known else ():
        part.distance(torch.zeros(1, len(part.mean), device=part.mean.device))


def _score_alone(case: Case, detector: AnomalyDetector) -> Task:
    images = case.images[: case.scored]
    generator, _, encoder = networks_of(case)
    some = images[: min(PLAIN_SCORED, len(images))]
    one = torch.zeros(1, *images.shape[1:], device=case.device)
    rule, size = detector.detector.rule, case.scoring.batch_size
    return Task(
        "image residual alone",
        lambda: rule.score(residual_terms(images.numpy(), detector.restorer, detector.statistics, size, rule.weight)),
        lambda: plain.restore_one_at_a_time(some, case.spec, generator, encoder, case.device),
        len(images),
        len(some),
        ceiling.work(lambda: generator(encoder(one))),
    )


def networks_of(case: Case) -> tuple[nn.Module, Critic, Encoder]:
    """Generator, critic and encoder of the detector, as a plain loop would have them."""
    wgan, device = untrained(case), case.device
    return wgan.generator.to(device), wgan.critic.to(device), untrained_encoder(case).to(device)


def measure(case: Case, task: Task, repeats: int, seconds: float) -> Rates:
    """`repeats` times, for about so many seconds each: ours, the plain loop, ours in its other ways; the matrix product
    for half as long."""
    matmul = ceiling.Matmul(case.device)

    def speed(do: Callable[[], object] | None) -> float:
        return speed_of(do, seconds, case.device) if do else math.nan

    rows = []
    for _ in range(repeats):
        ours, loop = task.images * speed(task.ours), task.plain_images * speed(task.plain)
        short, called = task.images * speed(task.short), task.images * speed(task.called)
        product = matmul.speed(seconds / 2)
        rows.append((ours, loop, product / task.work, ours / loop, ours * task.work / product, product, short, called))
    return Rates(case.name, task.name, task.work, *(statistics.median(column) for column in zip(*rows, strict=True)))


def anogan_cost(case: Case, repeats: int, steps: int) -> float:
    """How many default scores AnoGAN's search for one image costs: median of ratios.

    Args:
        case: the networks.
        repeats: of both, in turn.
        steps: that are really taken; the cost is scaled to the article's 500.
    """
    detector = detector_of(case)
    images: Tensor = case.images[:32]
    x = images.to(case.device).float() / 127.5 - 1
    search = Refinement("iterative", steps)
    restorer = detector.restorer
    ratios = []
    for _ in range(repeats):
        searched = 1 / speed_of(lambda: search.encode(x, restorer.encoder, restorer.wgan), 0, case.device) / len(x)
        scores = speed_of(lambda: detector.judge(detector.terms(case.images.numpy())), 1, case.device)
        scored = 1 / scores / len(case.images)
        ratios.append(searched * ANOGAN_STEPS / steps / scored)
    return statistics.median(ratios)
