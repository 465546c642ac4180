"""A small detector that has learnt nothing, and digits for it: as arrays and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tests.compute import jobs
from tests.parts import encoder_parameters

from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector, load_restorer
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.scoring import Calibration, ScoreRule
from fanogan_pipeline.detection.statistics import fit_statistics
from fanogan_pipeline.detection.training_set import fit_training_set
from fanogan_pipeline.images import ImageSet, ImageSource, Tiles
from fanogan_pipeline.networks import Checkpoint, Wgan, build_critic, build_encoder, build_generator
from fanogan_pipeline.networks.models import encoder_checkpoint, wgan_checkpoint
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.tiling import Tiling

SETTINGS = {
    "method": "encoder",
    "refinement_steps": 0,
    "refinement_rate": 0.02,
    "batch_size": 16,
    "pooling": "mean",
    "top_share": 1.0,
    "map_smoothing": 1.0,
    "score": "map",
}


def scene(tiled: bool, architecture: str = "convolutional", **encoder: Any) -> tuple:
    """A set of digits, whole or as tiles of bigger pictures, with models that have learnt nothing."""
    torch.manual_seed(3)
    spec, images = jobs.spec(architecture), jobs.digits()
    wgan_model = wgan_checkpoint(Wgan(spec, "normal", build_generator(spec), build_critic(spec)), {})
    facts = {"parameters": encoder_parameters(**encoder).model_dump(mode="json")}
    encoder_model = encoder_checkpoint(build_encoder(spec, "linear"), wgan_model, facts)
    restorer = load_restorer(wgan_model, encoder_model, jobs.CPU)
    models = {"wgan_model": wgan_model, "encoder_model": encoder_model}
    models["residual_statistics"] = fit_statistics(
        images, restorer, fit_training_set(images, restorer, 16), 16, not tiled
    ).to_checkpoint({})
    return image_set(images, tiled), restorer, models


def image_set(images, tiled: bool) -> ImageSet:
    names = np.array([f"{row:03}" for row in range(len(images))])
    tiles = None
    if tiled:  # four tiles a picture of 32x32
        places = np.tile(np.array([[0, 0], [0, 16], [16, 0], [16, 16]], np.int32), (len(images) // 4, 1))
        size = np.full(len(images), 32, np.int32)
        tiles = Tiles(np.repeat(names[: len(images) // 4], 4), places[:, 0].copy(), places[:, 1].copy(), size, size)
    return ImageSet(images, names, np.zeros(len(images), bool), names, "split", tiles=tiles)


def detector(tiled: bool) -> tuple[AnomalyDetector, dict[str, Checkpoint]]:
    """The detector of the scene's models; tiled, pictures are cut into tiles of 16x16."""
    _, _, models = scene(tiled)
    geometry = Geometry((16, 16), 1, tiling=Tiling((12, 12)) if tiled else None)
    judged = Detector(
        rule=ScoreRule({"map_residual": 1.0}, {"map_residual": 0.0}, {"map_residual": 1.0}),
        calibration=Calibration(0.1, 0.05, 0.3, 19),
        calibration_scores=tuple(row / 7 for row in range(19)),
        settings=SETTINGS,
        belongs_to={name: model.digest for name, model in models.items()},
        geometry=geometry.to_text(),
        pixel_threshold=1.0,
    )
    return AnomalyDetector.load(*models.values(), judged.to_json(), jobs.CPU), models


def picture_folder(folder: Path, count: int, broken: int) -> ImageSource:
    """Digits of several sizes as PNG files; the pixels of one of them, not its header, are cut short."""
    folder.mkdir()
    for row, image in enumerate(jobs.digits()[:count, 0]):
        path = folder / f"{row:03}.png"
        Image.fromarray(np.pad(image, ((0, 8 + row % 3), (0, 8)))).save(path)
        if row == broken:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
    return ImageFolderDataset(filepath=str(folder), layout="flat", workers=1).load()
