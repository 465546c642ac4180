"""The detector of a project, and pictures for it that lie in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tests.parts import group
from tests.project import newest

from fanogan_pipeline.compute import new_pictures
from fanogan_pipeline.datasets.checkpoint import CheckpointDataset
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.parameters import InferenceParameters


def detector_of(project: Path) -> AnomalyDetector:
    names = ("wgan_model", "encoder_model", "residual_statistics")
    models = [CheckpointDataset(filepath=str(newest(project, f"{name}.safetensors"))).load() for name in names]
    judged = json.loads(newest(project, "detector.json").read_text())
    return AnomalyDetector.load(*models, judged, torch.device("cpu"))


def measure(
    source: ImageSource, detector: AnomalyDetector, parameters: InferenceParameters, place: Path
) -> pd.DataFrame:
    """Residual terms of pictures, computed in this process."""
    return new_pictures.measure(source, detector, {}, parameters, group("compute", engine="local"), place)[0]


def pictures(read: Callable[[int], np.ndarray], count: int) -> ImageSource:
    """`count` pictures without labels, each made when it is asked for."""
    table = pd.DataFrame({"image_id": [f"{row:06}.png" for row in range(count)]})
    return ImageSource(table.assign(label="", part="", group="", has_mask=False), read)
