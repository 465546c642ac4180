"""The whole detector at work: networks, statistics, rule and calibration that belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from fanogan_pipeline.detection.detector import MEND, Detector
from fanogan_pipeline.detection.picture_maps import Pooling, picture_maps, picture_terms
from fanogan_pipeline.detection.refinement import UNREFINED, Refinement
from fanogan_pipeline.detection.residuals import TERMS
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.statistics import ResidualStatistics
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import Tiles
from fanogan_pipeline.networks import Checkpoint, models
from fanogan_pipeline.preprocessing.geometry import Geometry


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
            InputError: one that is not of its kind, or not as this version of the project writes it.
        """
        judged = Detector.from_json(detector)
        refinement = Refinement.from_settings(judged.settings)
        # the models first: those that do not fit each other no scoring mends
        restorer = load_restorer(wgan_model, encoder_model, device, refinement)
        files = {"wgan_model": wgan_model, "encoder_model": encoder_model, "residual_statistics": residual_statistics}
        for name, file in files.items():
            models.expect_member("detector", judged.belongs_to, name, file, MEND)
        return cls(restorer, ResidualStatistics.from_checkpoint(residual_statistics).to(device), judged)

    @cached_property
    def geometry(self) -> Geometry:
        """Of the pictures that it judges."""
        return Geometry.from_json(json.loads(self.detector.geometry))

    def terms(self, images: np.ndarray, tiles: Tiles | None = None) -> pd.DataFrame:
        """Residual terms of images uint8 [N, C, H, W], whole pictures or their tiles, a row per picture.

        The three of every score table and those that this detector's score is made of; of the map, where one is, all.

        Raises:
            InputError: images of another type or shape, or none.
        """
        self._check(images, least=1)
        settings = self.detector.settings
        with_map = settings["score"] == "map"
        size, pooling = int(settings["batch_size"]), Pooling.from_settings(settings)
        wanted = {*TERMS, *self.detector.rule.weight}
        return picture_terms(images, tiles, self.restorer, self.statistics, size, pooling, with_map, wanted)

    def maps(self, images: np.ndarray, tiles: Tiles | None = None) -> Iterator[np.ndarray]:
        """Residual map of each picture in turn, float32 [h, w], the prepared picture's size; `images` as in `terms`."""
        self._check(images, least=0)
        settings = self.detector.settings
        size, smoothing = int(settings["batch_size"]), float(settings["map_smoothing"])
        return picture_maps(images, tiles, self.restorer, self.statistics, size, smoothing)

    def _check(self, images: np.ndarray, least: int) -> None:
        shape = (self.restorer.wgan.spec.channels, *self.restorer.wgan.spec.image_size)
        if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) < least:
            expected = f"uint8 [N, {', '.join(map(str, shape))}] with N at least {least}"
            raise InputError(f"images: found {images.dtype} {list(images.shape)}, expected {expected}")

    def judge(self, terms: pd.DataFrame) -> pd.DataFrame:
        """Residual terms with `score`, `p_value` and `is_flagged` added."""
        return self.detector.judge(terms)


def load_restorer(
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    device: torch.device,
    refinement: Refinement = UNREFINED,
) -> Restorer:
    """The networks, checked to belong together; they measure images as the encoder was trained to restore them."""
    wgan, encoder = models.load_wgan(wgan_model, device), models.load_encoder(encoder_model, wgan_model, device)
    return Restorer.of(wgan, encoder, encoder_model.header["parameters"]["image_distance"], device, refinement)
