"""A whole detector, made by the scoring pipeline's own nodes, of untrained networks: what it costs does not depend on
what the weights are."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from tests.parts import group

from benchmarks.cases import Case
from benchmarks.children import ROOT
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import Encoder, Wgan, build_critic, build_encoder, build_generator
from fanogan_pipeline.networks.models import encoder_checkpoint, wgan_checkpoint
from fanogan_pipeline.preprocessing.geometry import Geometry


def untrained(case: Case) -> Wgan:
    """Generator and critic as they are before the first step, frozen."""
    torch.manual_seed(0)
    pair = build_generator(case.spec).eval().requires_grad_(False), build_critic(case.spec).eval().requires_grad_(False)
    return Wgan(case.spec, case.wgan.latent_prior, *pair)


def untrained_encoder(case: Case) -> Encoder:
    """The encoder as it is before the first step, frozen."""
    torch.manual_seed(1)
    return build_encoder(case.spec, case.encoder.head).eval().requires_grad_(False)


def detector_of(case: Case, trained: tuple[Wgan, Encoder] | None = None) -> AnomalyDetector:
    """A detector of trained networks or untrained ones, with all images as its training set, fitted and calibrated on
    a few of them."""
    given, s = given_to_scoring(case, trained), case.scoring
    train, selection, calibration, *models = given.values()
    nodes, compute, nowhere = nodes_of("scoring"), group("compute"), SimpleNamespace(folder=None)
    restorer = nodes.load_restorer(*models, s, group("training"), case.device.type)
    fitted = nodes.fit_residuals(train, selection, restorer, *models, s)
    selected = nodes.measure(selection, restorer, fitted, *models, s, compute, nowhere)
    calibrated = nodes.measure_with_map(calibration, restorer, fitted, *models, s, compute, nowhere)
    choice = nodes.choose_score(selection, restorer, fitted, models[0], s, 0)
    files = *models, fitted
    detector = nodes.calibrate_detector(choice, selected, calibrated, calibration, *files, s)
    return AnomalyDetector.load(*files, detector, case.device)


def given_to_scoring(case: Case, trained: tuple[Wgan, Encoder] | None = None) -> dict[str, Any]:
    """What the scoring pipeline works on, by its names: `train_set`, `selection_set`, `calibration_set`, `wgan_model`,
    `encoder_model`; of untrained networks where none are given."""
    count = max(4, case.scored // 10)
    sets = {"train_set": _set(case, 0, case.scored)}
    sets |= {f"{name}_set": _set(case, place * count, count) for place, name in enumerate(("selection", "calibration"))}
    facts = {"split_digest": "benchmark", "geometry": json.dumps(Geometry(case.spec.image_size, 1).to_json())}
    networks, encoder = trained or (untrained(case), untrained_encoder(case))
    wgan = wgan_checkpoint(networks, facts)
    encoder_facts = {"parameters": case.encoder.model_dump(mode="json"), **facts}
    return {**sets, "wgan_model": wgan, "encoder_model": encoder_checkpoint(encoder, wgan, encoder_facts)}


def nodes_of(pipeline: str) -> ModuleType:
    """The functions of a pipeline, without the package around them, which wires them up with Kedro."""
    path = ROOT / f"src/fanogan_pipeline/pipelines/{pipeline}/nodes.py"
    spec = importlib.util.spec_from_file_location(f"{pipeline}_nodes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _set(case: Case, start: int, count: int) -> ImageSet:
    names = np.array([str(row) for row in range(start, start + count)])
    images = case.images[start : start + count].numpy()
    return ImageSet(images, np.full(count, "1"), np.zeros(count, bool), names, "benchmark")
