"""f-AnoGAN as configured and its variants, on one split."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from fanogan_pipeline.benchmark.shared import Scored, Settings, Split, clock
from fanogan_pipeline.detection import choice, scoring
from fanogan_pipeline.detection.expectation import ratio_name
from fanogan_pipeline.detection.refinement import Refinement
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.detection.restorer import Restorer, batches
from fanogan_pipeline.detection.statistics import ResidualStatistics, fit_statistics
from fanogan_pipeline.detection.training_set import DISTANCES, fit_training_set
from fanogan_pipeline.networks import NetworkSpec, Wgan
from fanogan_pipeline.parameters import BenchmarkMethod, EncoderParameters, WganParameters
from fanogan_pipeline.training.encoder import SEED_OFFSET
from fanogan_pipeline.training.job import TrainingJob, train_encoder, train_wgan
from fanogan_pipeline.training.wgan import network_spec

Phases = tuple[WganParameters, EncoderParameters]

# What differs from the configured f-AnoGAN in the parameters of its WGAN and of its encoder.
VARIANTS: dict[BenchmarkMethod, tuple[dict[str, Any], dict[str, Any]]] = {
    "f_anogan": ({}, {}),
    "f_anogan_izi": ({}, {"objective": "izi"}),
    "f_anogan_ziz": ({}, {"objective": "ziz"}),
    "f_anogan_uncorrupted": ({}, {"corruption": {"noise": 0.0, "blank": 0.0}}),
    "f_anogan_untrained": ({"steps": 1}, {"steps": 1}),
}
TERMS = (
    *("image_residual", "tolerant_residual", "feature_residual", "latent_residual"),
    *DISTANCES,
    *map(ratio_name, DISTANCES),
)


@dataclass(frozen=True)
class Judge:
    """One encoder with all that turns its residuals into a score.

    Attributes:
        restorer: the networks.
        statistics: of the selection set, and the training set as the encoder sees it.
        selection_terms: residual terms of the selection set.
        chosen: the kind of score.
        settings: parameters.
    """

    restorer: Restorer
    statistics: ResidualStatistics
    selection_terms: pd.DataFrame
    chosen: str
    settings: Settings

    @classmethod
    def fit(cls, split: Split, wgan: Wgan, parameters: EncoderParameters, seed: int, settings: Settings) -> Judge:
        """Train the encoder, fit statistics, choose the score; test images stay untouched."""
        s, device = settings.scoring, torch.device(settings.device)
        job = _job(parameters, wgan.spec, seed + SEED_OFFSET, settings, wgan)
        encoder, _ = train_encoder(job, split.train)
        how = Refinement.from_settings(s.model_dump())
        restorer = Restorer.of(wgan, encoder, parameters.image_distance, device, how)
        training_set = fit_training_set(split.train, restorer, s.batch_size, s.poses)
        statistics = fit_statistics(split.selection, restorer, training_set, s.batch_size)
        terms = residual_terms(split.selection, restorer, statistics, s.batch_size)
        chosen: str = s.score
        if chosen == "chosen":
            measure = choice.measure_with(restorer, statistics, s.batch_size)
            table = choice.choose_mix(split.selection, measure, seed, group=split.selection_group)
            chosen = choice.chosen_mix(table)
        return cls(restorer, statistics, terms, chosen, settings)

    def terms(self, images: np.ndarray) -> pd.DataFrame:
        """Residual terms of images uint8 [N, C, H, W]."""
        return residual_terms(images, self.restorer, self.statistics, self.settings.scoring.batch_size)

    def score(self, terms: pd.DataFrame, kind: str) -> np.ndarray:
        """float64 [N] of residual terms, by the rule of a kind fitted on the selection set."""
        return scoring.fit_rule(kind, self.settings.encoder.kappa, self.selection_terms).score(terms)


def variants(configured: Phases, wanted: Collection[BenchmarkMethod]) -> dict[BenchmarkMethod, Phases]:
    """What the wanted of `VARIANTS` are trained by, in their order; of several by the very same the first alone."""
    found: dict[BenchmarkMethod, Phases] = {}
    wgan, encoder = (parameters.model_dump() for parameters in configured)
    for name, (of_wgan, of_encoder) in VARIANTS.items():
        parameters = (
            WganParameters.model_validate(_merged(wgan, of_wgan)),
            EncoderParameters.model_validate(_merged(encoder, of_encoder)),
        )
        if name in wanted and parameters not in found.values():
            found[name] = parameters
    return found


def score_all(
    split: Split, seed: int, settings: Settings, wanted: Collection[BenchmarkMethod]
) -> Iterator[tuple[str, Scored]]:
    """Train the encoder of each of `variants` and its WGAN, where that is another; score calibration and test images.

    Args:
        split: images of each side.
        seed: of every training and of the synthetic anomalies.
        settings: parameters.
        wanted: methods, of which others than those of `VARIANTS` are left alone.

    Returns:
        Method -> what it says; of the configured f-AnoGAN also every mix and term by itself.
    """
    now, trained_by = clock(settings.device), None
    for name, (of_wgan, parameters) in variants((settings.wgan, settings.encoder), wanted).items():
        if of_wgan != trained_by:
            start, trained_by = now(), of_wgan
            wgan = _train_wgan(split, of_wgan, seed, settings)
            wgan_seconds = now() - start
        start = now()
        judge = Judge.fit(split, wgan, parameters, seed, settings)
        fit_seconds = wgan_seconds + now() - start
        start = now()
        terms = judge.terms(split.scored)
        scores = judge.score(terms, judge.chosen)
        score_seconds = now() - start
        yield name, Scored(scores, fit_seconds, score_seconds, judge.chosen)
        if name == "f_anogan":
            for part, found in _parts(judge, terms, split).items():
                yield f"f_anogan: {part}", Scored(found, fit_seconds, score_seconds)


def _parts(judge: Judge, terms: pd.DataFrame, split: Split) -> dict[str, np.ndarray]:
    """What the score would be of one mix or one term alone."""
    kinds = [*scoring.MIXES, "standardised", "article"]
    critic = {"critic_output": _critic_output(split.scored, judge)}
    return (
        {kind: judge.score(terms, kind) for kind in kinds} | {name: terms[name].to_numpy() for name in TERMS} | critic
    )


@torch.inference_mode()
def _critic_output(images: np.ndarray, judge: Judge) -> np.ndarray:
    """-D(x) of images uint8 [N, C, H, W]: the critic scores real images high."""
    size = judge.settings.scoring.batch_size
    found = [-judge.restorer.wgan.critic(x) for x in batches(images, judge.restorer, size)]
    return torch.cat(found).double().cpu().numpy()


def _train_wgan(split: Split, parameters: WganParameters, seed: int, settings: Settings) -> Wgan:
    job = _job(parameters, network_spec(split.train.shape, parameters), seed, settings)
    return train_wgan(job, split.train)[0]


def _job(
    parameters: WganParameters | EncoderParameters,
    spec: NetworkSpec,
    seed: int,
    settings: Settings,
    wgan: Wgan | None = None,
) -> TrainingJob:
    """A phase to train as the settings say, of which nothing is kept."""
    s = settings
    return TrainingJob(parameters, s.training, spec, seed, s.device, None, wgan, s.data_prep.augmentation, s.precision)


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with the changes over them, groups inside groups merged."""
    nested = {name: _merged(values[name], change) for name, change in changes.items() if isinstance(change, dict)}
    return values | changes | nested
