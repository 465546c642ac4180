"""A whole detector of untrained networks, made by the scoring pipeline itself: what it costs does not depend on what
the weights are."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.parts import group

from benchmarks.cases import ENVIRONMENTS, Case
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import Encoder, Wgan, build_critic, build_encoder, build_generator
from fanogan_pipeline.networks.models import encoder_checkpoint, wgan_checkpoint
from fanogan_pipeline.parameters import GROUPS
from fanogan_pipeline.pipelines import scoring
from fanogan_pipeline.preprocessing.geometry import Geometry

GLOBALS = {"seed": 0, "device": "cpu", "precision": "float32"}
MADE = ("wgan_model", "encoder_model", "residual_statistics", "detector")


def untrained(case: Case) -> Wgan:
    """Generator and critic as they are before the first step, frozen."""
    torch.manual_seed(0)
    pair = build_generator(case.spec).eval().requires_grad_(False), build_critic(case.spec).eval().requires_grad_(False)
    return Wgan(case.spec, case.wgan.latent_prior, *pair)


def untrained_encoder(case: Case) -> Encoder:
    """The encoder as it is before the first step, frozen."""
    torch.manual_seed(1)
    return build_encoder(case.spec, case.encoder.head).eval().requires_grad_(False)


def detector_of(case: Case) -> AnomalyDetector:
    """A detector of the case's networks with all images as its training set, fitted and calibrated on a few of them."""
    count = max(4, case.scored // 10)
    sets = {"train_set": _set(case, 0, case.scored)}
    sets |= {f"{name}_set": _set(case, place * count, count) for place, name in enumerate(("selection", "calibration"))}
    facts = {"split_digest": "benchmark", "geometry": json.dumps(Geometry(case.spec.image_size, 1).to_json())}
    wgan = wgan_checkpoint(untrained(case), facts)
    encoder = untrained_encoder(case)
    encoder_facts = {"parameters": case.encoder.model_dump(mode="json"), **facts}
    models = {"wgan_model": wgan, "encoder_model": encoder_checkpoint(encoder, wgan, encoder_facts)}
    with tempfile.TemporaryDirectory() as place:
        made = _run(case, sets | models | {"test_set": _set(case, 0, 4)}, Path(place))
    return AnomalyDetector.load(*(made[name] for name in MADE), torch.device("cpu"))


def _run(case: Case, given: dict[str, Any], place: Path) -> dict[str, Any]:
    """The nodes of the scoring pipeline one after another, with the case's parameters; all that they leave."""
    pipeline = scoring.create_pipeline()
    known = given | {"training_states": StateStore(place)}
    for name in pipeline.inputs() - set(known):
        known[name] = _parameter(case, name.removeprefix("params:"))
    for node in pipeline.nodes:
        known |= node.run({name: known[name] for name in node.inputs})
    return known


def _parameter(case: Case, name: str) -> Any:
    if name in GLOBALS:
        return GLOBALS[name]
    chosen = {"wgan": case.wgan, "encoder": case.encoder, "scoring": case.scoring}
    return chosen.get(name) or (group(name, ENVIRONMENTS[case.name]) if name in GROUPS else None)


def _set(case: Case, start: int, count: int) -> ImageSet:
    names = np.array([str(row) for row in range(start, start + count)])
    images = case.images[start : start + count].numpy()
    return ImageSet(images, np.full(count, "1"), np.zeros(count, bool), names, "benchmark")
