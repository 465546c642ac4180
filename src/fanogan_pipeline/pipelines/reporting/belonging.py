"""What a report is of: one detector, the models and the split it was made of, and numbers and figures of its own."""

from collections.abc import Mapping
from typing import Any

from fanogan_pipeline.detection import detector as detectors
from fanogan_pipeline.figures import origin
from fanogan_pipeline.networks import models
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame
from fanogan_pipeline.preprocessing import splits


def expect_made_of(
    judged: detectors.Detector, split_manifest: DataFrame, wgan_model: Checkpoint, encoder_model: Checkpoint
) -> None:
    """Refuse a split and models that are not the detector's own (MismatchError)."""
    for name, model in {"wgan_model": wgan_model, "encoder_model": encoder_model}.items():
        models.expect_member("detector", judged.belongs_to, name, model, detectors.SHOWN[name])
    digest, of_split = splits.split_digest(split_manifest, judged.geometry), str(judged.belongs_to.get("split"))
    models.expect_same("detector was calibrated on a split", of_split, digest, models.AGAIN, found_in="split_manifest")


def expect_together(
    judged: detectors.Detector,
    metrics: dict,
    class_recall: DataFrame,
    refinement_quality: DataFrame,
    shown: Mapping[str, bytes],
) -> None:
    """Refuse what is of another detector or of other models than its (MismatchError)."""
    detectors.expect_measured("metrics", metrics, judged.digest, detectors.REPORT_AGAIN)
    detectors.expect_judged("class_recall", class_recall, judged, detectors.REPORT_AGAIN)
    if len(refinement_quality):
        detectors.expect_judged("refinement_quality", refinement_quality, judged, detectors.REPORT_AGAIN)
    for name, png in shown.items():
        detectors.expect_shown(name, origin.belongs_to(png), judged)


def made_with(
    judged: detectors.Detector, split_manifest: DataFrame, wgan_model: Checkpoint, encoder_model: Checkpoint
) -> dict[str, Any]:
    """The groups of parameters and the globals that split, models and detector tell they were made with."""
    found: dict[str, Any] = {
        "wgan": wgan_model.header["parameters"],
        "encoder": encoder_model.header["parameters"],
        # detectors hold the image distance as well that were stored before it was the encoder's
        "scoring": {name: value for name, value in judged.settings.items() if name != "image_distance"},
    }
    if split := split_manifest.attrs.get("data_prep"):  # none tells of it that was stored before they did
        found["data_prep"] = {**split, "augmentation": wgan_model.header.get("augmentation")}
    for name in ("seed", "precision"):
        of_wgan, of_encoder = (model.header[name] for model in (wgan_model, encoder_model))
        found[name] = of_wgan if of_wgan == of_encoder else f"{of_wgan} (wgan), {of_encoder} (encoder)"
    return found
