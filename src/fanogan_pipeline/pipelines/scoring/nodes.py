"""Residuals, score rule, calibration, test scores."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import ComputeParameters, ScoringParameters, TrainingParameters
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame, ImageSet, Restorer, StateStore

with lazily():
    from fanogan_pipeline.compute import terms
    from fanogan_pipeline.detection import (
        anomaly_detector,
        choice,
        groups,
        picture_maps,
        pictures,
        pixel_metrics,
        refinement,
        scoring,
        statistics,
        training_set,
    )
    from fanogan_pipeline.detection import detector as detectors
    from fanogan_pipeline.networks import models
    from fanogan_pipeline.training import devices


def load_restorer(
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    parameters: ScoringParameters,
    training: TrainingParameters,
    device: str,
) -> Restorer:
    """The networks, checked to belong together, ready to judge."""
    devices.settle_in(training.threads)
    how = refinement.Refinement.from_settings(parameters.model_dump())
    where = devices.choose_device(device)
    return anomaly_detector.load_restorer(wgan_model, encoder_model, where, how)


def fit_residuals(
    train_set: ImageSet,
    selection_set: ImageSet,
    restorer: Restorer,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    parameters: ScoringParameters,
) -> Checkpoint:
    """What residuals are measured against, from the selection set, and for a chosen score the training set."""
    models.expect_one_split({"train_set": train_set.split_digest, "selection_set": selection_set.split_digest})
    models.expect_split(wgan_model, train_set.split_digest)
    known = None
    if parameters.score == "chosen":  # no other score asks how far from the training set an image lies
        known = training_set.fit_training_set(train_set.images, restorer, parameters.batch_size, parameters.poses)
    size, smoothing = parameters.batch_size, parameters.map_smoothing
    fitted = picture_maps.fit_picture_statistics(selection_set, restorer, known, size, smoothing)
    return fitted.to_checkpoint({"wgan_model": wgan_model.digest, "encoder_model": encoder_model.digest})


def measure(
    image_set: ImageSet,
    restorer: Restorer,
    residual_statistics: Checkpoint,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    parameters: ScoringParameters,
    compute: ComputeParameters,
    states: StateStore,
    *,
    with_map: bool = False,
) -> DataFrame:
    """Residual terms of a set, a row per picture; those of the residual map where wanted, or needed by the score."""
    models.expect_split(wgan_model, image_set.split_digest)
    belongs_to = residual_statistics.header.get("belongs_to", {})
    for name, model in {"wgan_model": wgan_model, "encoder_model": encoder_model}.items():
        models.expect_member("residual_statistics", belongs_to, name, model, detectors.MEND)
    found = {"wgan_model": wgan_model, "encoder_model": encoder_model, "residual_statistics": residual_statistics}
    settings = terms.Settings(
        restorer.device.type,
        parameters.batch_size,
        picture_maps.Pooling.from_settings(parameters.model_dump()),
        with_map or parameters.score == "map",
        restorer.refinement,
    )
    return terms.measure(image_set, restorer, found, settings, compute, states.folder)


def measure_with_map(*inputs: Any) -> DataFrame:
    """Residual terms of a set, a row per picture, with those of the residual map."""
    return measure(*inputs, with_map=True)


def choose_score(
    selection_set: ImageSet,
    restorer: Restorer,
    residual_statistics: Checkpoint,
    wgan_model: Checkpoint,
    parameters: ScoringParameters,
    seed: int,
) -> DataFrame:
    """What the score is made of: as the parameter says, or chosen with the help of synthetic anomalies."""
    models.expect_split(wgan_model, selection_set.split_digest)
    if parameters.score != "chosen":
        return choice.as_given(parameters.score)
    fitted = statistics.ResidualStatistics.from_checkpoint(residual_statistics).to(restorer.device)
    measure = choice.measure_with(restorer, fitted, parameters.batch_size)
    tiles = selection_set.tiles
    of_pictures = None if tiles is None else tiles.picture_id
    return choice.choose_mix(selection_set.images, measure, seed, of_pictures, selection_set.group)


def calibrate_detector(
    score_choice: DataFrame,
    selection_terms: DataFrame,
    calibration_terms: DataFrame,
    calibration_set: ImageSet,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    residual_statistics: Checkpoint,
    parameters: ScoringParameters,
) -> dict:
    """Score rule from the selection set, thresholds from the calibration set, as JSON."""
    kappa = encoder_model.header["parameters"]["kappa"]
    rule = scoring.fit_rule(choice.chosen_mix(score_choice), kappa, selection_terms)
    scores = rule.score(calibration_terms)
    detector = detectors.Detector(
        rule=rule,
        calibration=scoring.calibrate(scores, parameters.false_alarm_rate, groups.group_count(calibration_set)),
        calibration_scores=tuple(np.sort(scores).tolist()),
        settings=parameters.model_dump(mode="json"),
        belongs_to={
            "wgan_model": wgan_model.digest,
            "encoder_model": encoder_model.digest,
            "residual_statistics": residual_statistics.digest,
            "split": str(wgan_model.header.get("split_digest", "")),
        },
        geometry=str(wgan_model.header.get("geometry", "")),
        pixel_threshold=scoring.conformal_threshold(calibration_terms["map_maximum"], parameters.false_alarm_rate)[0],
    )
    return detector.to_json()


def judge(image_set: ImageSet, terms: DataFrame, detector: dict) -> DataFrame:
    """The score table of a labelled set."""
    judged = _calibrated_on(image_set, detector)
    table = judged.judge(terms)
    for place, (name, column) in enumerate(pictures.picture_table(image_set).items()):
        table.insert(place, name, column)
    table.attrs |= {"detector": judged.digest, "split": image_set.split_digest}
    return table


def judge_calibration(calibration_set: ImageSet, terms: DataFrame, detector: dict) -> DataFrame:
    """The score table of the calibration set, whose images are no new ones to the detector: no one counts twice."""
    table = judge(calibration_set, terms, detector)
    table["p_value"] = scoring.own_p_values(table["score"].to_numpy())
    return table


def map_sample(
    test_set: ImageSet,
    restorer: Restorer,
    residual_statistics: Checkpoint,
    detector: dict,
    parameters: ScoringParameters,
    seed: int,
) -> dict[str, Any]:
    """Residual maps of a sample of the test pictures, three quarters anomalous if there are so many, in one size."""
    judged = _calibrated_on(test_set, detector, residual_statistics)
    table = pictures.picture_table(test_set)
    chosen = pictures.sample(table["is_anomaly"].to_numpy(), parameters.residual_maps, seed)
    some = pictures.take_pictures(test_set, chosen)
    maps = list(_maps(some, restorer, residual_statistics, parameters))
    return {
        "maps": np.minimum(pictures.framed(maps, 0), np.finfo(np.float16).max).astype(np.float16),
        "height": np.array([found.shape[0] for found in maps], np.int32),
        "width": np.array([found.shape[1] for found in maps], np.int32),
        "image_id": table["image_id"].to_numpy(dtype=str)[chosen],
        "detector": judged.digest,
    }


def measure_pixels(
    test_set: ImageSet,
    restorer: Restorer,
    residual_statistics: Checkpoint,
    detector: dict,
    parameters: ScoringParameters,
) -> dict:
    """How well the maps of all test pictures, padding apart, find the masks' pixels; null where there are no masks."""
    judged = _calibrated_on(test_set, detector, residual_statistics)
    threshold = judged.pixel_threshold
    counts = pixel_metrics.PixelCounts()
    if test_set.masks is not None:
        counts = pixel_metrics.count_pixels(
            pictures.own_pixels(test_set, _maps(test_set, restorer, residual_statistics, parameters)),
            pictures.own_pixels(test_set, pictures.whole_masks(test_set)),
            pictures.picture_table(test_set)["is_anomaly"].to_numpy(),
        )
    found = pixel_metrics.pixel_metrics(counts, threshold)
    return {**found, "pixel_threshold": threshold, "detector": judged.digest}


def _calibrated_on(
    image_set: ImageSet, detector: dict, residual_statistics: Checkpoint | None = None
) -> "detectors.Detector":
    """The detector, checked to be of this set's split and of these statistics."""
    judged = detectors.Detector.from_json(detector)
    split = judged.belongs_to["split"]
    models.expect_same("detector was calibrated on a split", split, image_set.split_digest, detectors.MEND)
    if residual_statistics is not None:
        name = "residual_statistics"
        models.expect_member("detector", judged.belongs_to, name, residual_statistics, detectors.MEND)
    return judged


def _maps(
    image_set: ImageSet, restorer: Restorer, residual_statistics: Checkpoint, parameters: ScoringParameters
) -> Iterator[np.ndarray]:
    fitted = statistics.ResidualStatistics.from_checkpoint(residual_statistics).to(restorer.device)
    return picture_maps.picture_maps(
        image_set.images, image_set.tiles, restorer, fitted, parameters.batch_size, parameters.map_smoothing
    )
