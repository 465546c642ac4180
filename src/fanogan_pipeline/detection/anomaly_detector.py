"""The whole detector at work: networks, statistics, rule and calibration that belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.residuals import Restorer, residual_terms
from fanogan_pipeline.detection.statistics import ResidualStatistics
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.training import models

MEND = "kedro run --pipelines scoring"


@dataclass(frozen=True)
class AnomalyDetector:
    """Scores pictures.

    Attributes:
        restorer: generator, critic and encoder.
        statistics: of the selection set.
        detector: rule, calibration and settings.
    """

    restorer: Restorer
    statistics: ResidualStatistics
    detector: Detector

    @classmethod
    def load(
        cls,
        wgan_model: Checkpoint,
        encoder_model: Checkpoint,
        residual_statistics: Checkpoint,
        detector: dict,
        device: torch.device,
    ) -> AnomalyDetector:
        """The detector of a complete set of files.

        Raises:
            MismatchError: files of different sets.
        """
        judged = Detector.from_json(detector)
        files = {"wgan_model": wgan_model, "encoder_model": encoder_model, "residual_statistics": residual_statistics}
        for name, file in files.items():
            models.expect_same(
                f"detector was fitted with the {name}", judged.belongs_to[name], file.digest, "", file.origin, MEND
            )
        restorer = load_restorer(wgan_model, encoder_model, judged.settings["image_distance"], device)
        return cls(restorer, ResidualStatistics.from_checkpoint(residual_statistics).to(device), judged)

    def terms(self, images: np.ndarray) -> pd.DataFrame:
        """Residual terms of images uint8 [N, C, H, W], a row per image."""
        return residual_terms(images, self.restorer, self.statistics, int(self.detector.settings["batch_size"]))

    def judge(self, terms: pd.DataFrame) -> pd.DataFrame:
        """Residual terms with `score`, `p_value` and `is_flagged` added."""
        return self.detector.judge(terms)


def load_restorer(
    wgan_model: Checkpoint, encoder_model: Checkpoint, image_distance: str, device: torch.device
) -> Restorer:
    """The networks, checked to belong together."""
    wgan = models.load_wgan(wgan_model, device)
    return Restorer(wgan, models.load_encoder(encoder_model, wgan_model, device), image_distance, device)
