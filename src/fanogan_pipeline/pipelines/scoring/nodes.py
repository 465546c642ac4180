"""Residuals, score rule, calibration, test scores."""

import numpy as np

from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import EncoderParameters, ScoringParameters, TrainingParameters
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame, ImageSet, Restorer

with lazily():
    from fanogan_pipeline.detection import anomaly_detector, localisation, residuals, scoring, statistics
    from fanogan_pipeline.detection import detector as detectors
    from fanogan_pipeline.training import devices, models


def load_restorer(
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    encoder: EncoderParameters,
    training: TrainingParameters,
    device: str,
) -> Restorer:
    """The networks, checked to belong together, ready to judge."""
    devices.set_threads(training.threads)
    return anomaly_detector.load_restorer(
        wgan_model, encoder_model, encoder.image_distance, devices.choose_device(device)
    )


def fit_residuals(
    selection_set: ImageSet,
    restorer: Restorer,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    parameters: ScoringParameters,
) -> Checkpoint:
    """What residuals are measured against, from the selection set."""
    models.expect_split(wgan_model, selection_set.split_digest)
    fitted = statistics.fit_statistics(selection_set.images, restorer, parameters.batch_size)
    return fitted.to_checkpoint({"wgan_model": wgan_model.digest, "encoder_model": encoder_model.digest})


def measure(
    image_set: ImageSet,
    restorer: Restorer,
    residual_statistics: Checkpoint,
    wgan_model: Checkpoint,
    parameters: ScoringParameters,
) -> DataFrame:
    """Residual terms of a set, a row per image."""
    models.expect_split(wgan_model, image_set.split_digest)
    fitted = statistics.ResidualStatistics.from_checkpoint(residual_statistics).to(restorer.device)
    return residuals.residual_terms(image_set.images, restorer, fitted, parameters.batch_size)


def calibrate_detector(
    selection_terms: DataFrame,
    calibration_terms: DataFrame,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    residual_statistics: Checkpoint,
    encoder: EncoderParameters,
    parameters: ScoringParameters,
) -> dict:
    """Score rule from the selection set, thresholds from the calibration set, as JSON."""
    rule = scoring.fit_rule(parameters.score, encoder.kappa, selection_terms)
    scores = rule.score(calibration_terms)
    detector = detectors.Detector(
        rule=rule,
        calibration=scoring.calibrate(scores, parameters.false_alarm_rate),
        calibration_scores=tuple(np.sort(scores).tolist()),
        settings={**parameters.model_dump(mode="json"), "image_distance": encoder.image_distance},
        belongs_to={
            "wgan_model": wgan_model.digest,
            "encoder_model": encoder_model.digest,
            "residual_statistics": residual_statistics.digest,
            "split": str(wgan_model.header.get("split_digest", "")),
        },
        geometry=str(wgan_model.header.get("geometry", "")),
    )
    return detector.to_json()


def judge(image_set: ImageSet, terms: DataFrame, detector: dict) -> DataFrame:
    """The score table of a labelled set."""
    judged = detectors.Detector.from_json(detector)
    table = judged.judge(terms)
    truth = {"image_id": image_set.image_id, "label": image_set.labels, "is_anomaly": image_set.is_anomaly}
    for place, (name, column) in enumerate(truth.items()):
        table.insert(place, name, column)
    table.attrs["detector"] = judged.digest
    return table


def map_sample(
    test_set: ImageSet,
    selection_set: ImageSet,
    test_scores: DataFrame,
    restorer: Restorer,
    parameters: ScoringParameters,
    seed: int,
) -> dict[str, np.ndarray]:
    """Residual maps of a sample of the test set: all with masks first, then at random."""
    del selection_set, test_scores
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(test_set))[: parameters.residual_maps])
    some = test_set.take(rows)
    maps = localisation.residual_maps(some.images, restorer, parameters.batch_size)
    return {"maps": maps.astype(np.float16), "image_id": some.image_id}
