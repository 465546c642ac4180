"""Many new pictures, strange ones, and none at all."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.compute import scenes
from tests.in_process import copy_of, run_here
from tests.parts import group
from tests.pipelines.verdicts import detector_of, measure, pictures
from tests.project import ROOT, newest

from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.datasets.image_set import ImageSetDataset
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.scoring import Calibration, ScoreRule
from fanogan_pipeline.detection.statistics import fit_statistics
from fanogan_pipeline.detection.training_set import fit_training_set
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_encoder, build_generator
from fanogan_pipeline.pipelines.inference import nodes
from fanogan_pipeline.preprocessing import prepare
from fanogan_pipeline.preprocessing.geometry import Geometry

FEW, MANY = 16, 64  # pictures
SIDE = 96  # of what the networks see, pixels; pictures are twice as large
SETTINGS = {"batch_size": 8, "pooling": "top_share", "top_share": 0.01, "map_smoothing": 2.0, "score": "map"}


def large_detector() -> AnomalyDetector:
    """One that flags every picture, with untrained networks and a residual map of `SIDE` pixels a side."""
    spec = NetworkSpec("convolutional", (SIDE, SIDE), 1, 4, 4)
    torch.manual_seed(0)
    parts = [build_generator(spec), build_critic(spec), build_encoder(spec, "linear")]
    generator, critic, encoder = (part.eval().requires_grad_(False) for part in parts)
    restorer = Restorer(Wgan(spec, "normal", generator, critic), encoder, "squared", torch.device("cpu"))
    images = np.stack([noise(row)[None, ::2, ::2] for row in range(8)])
    fitted = fit_statistics(images, restorer, fit_training_set(images, restorer, 8), 8)
    rule = ScoreRule({"map_residual": 1.0}, {"map_residual": 0.0}, {"map_residual": 1.0})
    geometry = json.dumps(Geometry((SIDE, SIDE), 1).to_json())
    detector = Detector(rule, Calibration(-1.0, 0.05, 0.0, 19), tuple(range(19)), SETTINGS, {}, geometry, 1.0)
    return AnomalyDetector(restorer, fitted, detector)


def noise(row: int) -> np.ndarray:
    return np.random.default_rng(row).integers(0, 256, (2 * SIDE, 2 * SIDE), np.uint8)


def peaks(detector: AnomalyDetector, count: int, place: Path, shard_size: int = 8) -> list[int]:
    """Most bytes in use while `count` pictures are measured, and while they are judged and drawn."""
    parameters = group("inference", shard_size=shard_size, workers=1)
    source, found = pictures(noise, count), []
    tracemalloc.start()
    try:
        terms = measure(source, detector, parameters, place)
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()
        scores, summary, _ = nodes.judge_pictures(terms, detector, parameters)
        for draw in nodes.draw_overlays(source, scores, detector, parameters).values():
            draw()
        found.append(tracemalloc.get_traced_memory()[1])
        assert summary["flagged"] == count
        return found
    finally:
        tracemalloc.stop()


def all_peaks(place: Path) -> dict[str, list[int]]:
    """`peaks` with few pictures, with many, and with many in a single shard."""
    detector = large_detector()
    peaks(detector, FEW, place / "warm")  # libraries load on first use
    found = {"few": peaks(detector, FEW, place / "few"), "many": peaks(detector, MANY, place / "many")}
    return found | {"at once": peaks(detector, MANY, place / "at once", shard_size=MANY)}


def test_memory_stays_flat_as_pictures_grow_in_number(tmp_path):
    # in a process of its own: threads that other tests have left here allocate too
    script = "import json, pathlib, sys, test_batches as t; print(json.dumps(t.all_peaks(pathlib.Path(sys.argv[1]))))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT, Path(__file__).parent)))}
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout.splitlines()[-1])
    prepared = SIDE * SIDE  # bytes of what the networks see of a picture
    assert all(b - a < (MANY - FEW) * prepared / 4 for a, b in zip(found["few"], found["many"], strict=True))
    assert found["at once"][0] - found["many"][0] > (MANY - FEW) * prepared / 2  # this measure would notice


def camera(folder: Path, **settings: Any) -> ImageSource:
    """Pictures of a 12-bit camera and one of 8 bits, read with these settings of `ImageFolderDataset`."""
    folder.mkdir(exist_ok=True)
    for row in range(3):
        image = noise(row)[:16, :16]
        Image.fromarray(image.astype(np.uint16) * 16 if row else image).save(folder / f"{row}.png")
    return ImageFolderDataset(filepath=str(folder), **settings).load()


def detector_that_learnt_from(source: ImageSource) -> AnomalyDetector:
    parameters = group("data_prep", image_size=[16, 16])
    geometry = prepare.fit_geometry(source, np.arange(len(source)), parameters, seed=0)
    detector = scenes.detector(False)[0]
    return replace(detector, detector=replace(detector.detector, geometry=json.dumps(geometry.to_json())))


def test_pictures_that_are_read_with_another_white_than_the_detector_s_are_refused_in_one_line(tmp_path):
    white = {"sixteen_bit_maximum": 4095}
    detector = detector_that_learnt_from(camera(tmp_path / "learnt", **white))
    parameters = group("inference", workers=1)
    with pytest.raises(InputError) as caught:
        measure(camera(tmp_path / "new"), detector, parameters, tmp_path / "states")
    assert str(caught.value) == (
        "new_images: found sixteen_bit_maximum: 65535, expected sixteen_bit_maximum: 4095 as for the pictures that the "
        "detector learnt from; set sixteen_bit_maximum: 4095 in the catalog's entry new_images, or convert files that "
        "need another"
    )
    alike = camera(tmp_path / "new", **white, float_maximum=7.0, background=9)  # of which no picture there knows
    assert (measure(alike, detector, parameters, tmp_path / "states")["reason"] == "").all()


def test_a_setting_that_one_side_does_not_depend_on_refuses_nothing(tmp_path):
    new, parameters = camera(tmp_path / "new"), group("inference", workers=1)
    in_memory = detector_that_learnt_from(pictures(lambda row: noise(row)[:16, :16], 2))
    assert len(measure(new, in_memory, parameters, tmp_path / "states")) == len(new)
    plain = detector_that_learnt_from(camera(tmp_path / "learnt", sixteen_bit_maximum=4095))
    geometry = {name: value for name, value in json.loads(plain.detector.geometry).items() if name != "decoding"}
    before = replace(plain, detector=replace(plain.detector, geometry=json.dumps(geometry)))  # of a detector made then
    assert len(measure(new, before, parameters, tmp_path / "states")) == len(new)
    pair = pictures(lambda row: noise(row)[:16, :16], 2)
    assert len(measure(pair, plain, parameters, tmp_path / "states")) == len(pair)


def test_a_batch_that_looks_otherwise_earns_a_warning_and_one_of_normal_images_none(smoke_project, tmp_path, caplog):
    detector = detector_of(smoke_project)
    test_set = ImageSetDataset(filepath=str(newest(smoke_project, "test_set.npz"))).load()
    normal = test_set.images[~test_set.is_anomaly][:, 0]
    parameters = group("inference", workers=1)

    def summary(images: np.ndarray, place: Path) -> dict:
        source = pictures(lambda row: images[row], len(images))
        terms = measure(source, detector, parameters, place)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            return nodes.judge_pictures(terms, detector, parameters)[1]

    assert not summary(normal, tmp_path / "normal")["drifted"]
    assert caplog.text == ""
    assert summary(255 - normal, tmp_path / "inverted")["drifted"]
    assert "are not distributed as the calibration set's" in caplog.text


def test_an_empty_folder_of_new_images_gives_one_clear_line(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    folder = project / "data/01_raw/new_images"
    for said in (
        "found nothing, expected a folder of pictures",
        "found no picture (what else lies there: 0), expected",
    ):
        outcome = run_here(project, "--env", "smoke", "--pipelines", "inference")
        assert outcome.status == 1
        assert outcome.line.startswith("Error:")
        assert "new_images" in outcome.line
        assert said in outcome.line
        assert "Traceback" not in outcome.output
        folder.mkdir(exist_ok=True)
