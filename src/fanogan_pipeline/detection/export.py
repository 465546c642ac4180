"""The whole detector as one ONNX graph: images uint8 in, score, p-value and verdict out."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.residuals import terms
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.networks.models import AGAIN
from fanogan_pipeline.networks.pixels import to_pixels

NEEDED = ("onnx", "onnxscript")
OUTPUTS = ("score", "p_value", "is_flagged")


def refusal(detector: AnomalyDetector) -> str:
    """Why a detector cannot be one graph from a network's image to a verdict, or ""."""
    settings, geometry = detector.detector.settings, json.loads(detector.detector.geometry or "{}")
    if settings["method"] != "encoder" or settings["refinement_steps"]:
        return "a search by gradient for z, expected scoring.method: encoder with scoring.refinement_steps: 0"
    if geometry.get("tiling"):
        return "pictures cut into tiles (data_prep.tiling), expected whole pictures"
    if strange := [name for name in detector.detector.rule.weight if name.startswith("map_")]:
        return f"a score of {', '.join(strange)}, expected one of residual terms (scoring.score)"
    return ""


class DetectorModule(nn.Module):
    """Whole pictures: images uint8 [N, C, H, W] -> score float64 [N], p_value float64 [N], is_flagged bool [N].

    The same terms, rule and calibration as `AnomalyDetector.terms` and `.judge`, written in torch.

    Raises:
        InputError: a detector that such a graph cannot hold, see `refusal`.
    """

    def __init__(self, detector: AnomalyDetector) -> None:
        super().__init__()
        if reason := refusal(detector):
            raise InputError(f"detector: found {reason}; change it and run '{AGAIN}', then export")
        self.restorer, self.statistics, self.rule = detector.restorer, detector.statistics, detector.detector.rule
        self.networks = nn.ModuleList([self.restorer.wgan.generator, self.restorer.wgan.critic, self.restorer.encoder])
        self.threshold = detector.detector.calibration.threshold
        self.calibration_scores: Tensor
        scores = torch.tensor(detector.detector.calibration_scores, dtype=torch.float64)
        self.register_buffer("calibration_scores", scores)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = to_pixels(images, self.restorer.pixel_range)
        found = terms(x, self.restorer, self.statistics, self.rule.weight)
        score = self.rule.combine({name: term.double() for name, term in found.items()}, torch.log)
        at_least = (self.calibration_scores[None] >= score[:, None]).sum(1)
        p_value = (1 + at_least).double() / (len(self.calibration_scores) + 1)
        return score, p_value, score > self.threshold


def to_onnx(detector: AnomalyDetector) -> bytes:
    """The detector as an ONNX model, the number of images free.

    Its metadata hold `geometry` (JSON, how a picture becomes [C, H, W]), `threshold`,
    `promised_false_alarm_rate` and `belongs_to` (JSON, digests of what it was made from).

    Args:
        detector: on the CPU.

    Raises:
        InputError: onnx is not installed, or as for `DetectorModule`.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise InputError(f"{', '.join(missing)}: not installed, run: pip install 'fanogan_pipeline[export]'")
    module = DetectorModule(detector).eval()
    spec = detector.restorer.wgan.spec
    example = torch.zeros(2, spec.channels, *spec.image_size, dtype=torch.uint8)
    with _quietly():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            input_names=["images"],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    facts = detector.detector
    for key, value in {
        "geometry": facts.geometry,
        "threshold": repr(facts.calibration.threshold),
        "promised_false_alarm_rate": repr(facts.calibration.promised_false_alarm_rate),
        "belongs_to": json.dumps({"detector": facts.digest, **facts.belongs_to}, sort_keys=True),
    }.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


@contextmanager
def _quietly() -> Iterator[None]:
    """Without remarks of torch's and onnxscript's on packages and shortcuts that this export has no use for."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
