"""Verdicts on new pictures, with the newest complete detector."""

import io
import logging
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import ComputeParameters, InferenceParameters, TrainingParameters
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame, ImageSource, StateStore

with lazily():
    from fanogan_pipeline.compute import new_pictures, shards
    from fanogan_pipeline.datasets import figure
    from fanogan_pipeline.detection import anomaly_detector, batch
    from fanogan_pipeline.figures import overlay
    from fanogan_pipeline.preprocessing import prepare
    from fanogan_pipeline.training import devices

logger = logging.getLogger(__name__)
TOGETHER = 32  # pictures, at most, whose maps are computed at once and kept until they are drawn


def load_detector(
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    residual_statistics: Checkpoint,
    detector: dict,
    training: TrainingParameters,
    device: str,
) -> Any:
    """The detector of a complete set of files."""
    devices.settle_in(training.threads)
    where = devices.choose_device(device)
    return anomaly_detector.AnomalyDetector.load(wgan_model, encoder_model, residual_statistics, detector, where)


def measure_pictures(
    new_images: ImageSource,
    anomaly_detector: Any,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    residual_statistics: Checkpoint,
    parameters: InferenceParameters,
    compute: ComputeParameters,
    states: StateStore,
) -> tuple[DataFrame, ImageSource]:
    """Residual terms of every picture, in shards; what cannot be read or judged has a reason instead. And the pictures,
    for they are listed anew for every node that asks for `new_images`."""
    found = {"wgan_model": wgan_model, "encoder_model": encoder_model, "residual_statistics": residual_statistics}
    table, folder = new_pictures.measure(new_images, anomaly_detector, found, parameters, compute, states.folder)
    table.attrs["parts"] = str(folder)
    return table, new_images


def judge_pictures(
    new_terms: DataFrame, anomaly_detector: Any, parameters: InferenceParameters
) -> tuple[DataFrame, dict, DataFrame]:
    """Score, p-value and verdict of each picture; counts, drift and what was skipped; and for people and their
    spreadsheets the most anomalous first, what could not be judged last, with the reason."""
    is_whole = new_terms["reason"] == ""
    if not is_whole.any():
        first = new_terms.iloc[0]
        raise InputError(
            f"new_images: found no picture that can be used among {len(new_terms):,}, the first is "
            f"{first['image_id']}: {first['reason']}"
        )
    whole = new_terms[is_whole].drop(columns="reason").reset_index(drop=True)
    scores = anomaly_detector.judge(whole)
    if parameters.false_discovery_rate is not None:
        scores["is_flagged"] = batch.benjamini_hochberg(scores["p_value"].to_numpy(), parameters.false_discovery_rate)
        _warn_of_rate(scores, len(anomaly_detector.detector.calibration_scores), parameters.false_discovery_rate)
    scores["verdict"] = np.where(scores["is_flagged"], "anomalous", "normal")
    scores.attrs = {"detector": anomaly_detector.detector.digest}
    summary = _summary(new_terms, scores, anomaly_detector, parameters)
    return scores, summary, batch.verdict_list(scores, summary["skipped"])


def _warn_of_rate(scores: DataFrame, calibration: int, rate: float) -> None:
    """A word where so few calibration pictures can flag nothing at all, or only many pictures together."""
    least, smallest = batch.least_flagged(len(scores), calibration, rate), 1 / (calibration + 1)
    if least > len(scores):
        logger.warning(
            "inference: nothing can be flagged with false_discovery_rate: %g: the smallest p-value there is, with %d "
            "calibration pictures, is %.2g; set no lower rate than that, or calibrate on more pictures",
            *(rate, calibration, smallest),
        )
    elif least > 1 and not scores["is_flagged"].any():
        logger.warning(
            "inference: nothing was flagged: with false_discovery_rate: %g and %d calibration pictures at least %d of "
            "these %d are flagged together or none, since no p-value is below %.2g; calibrate on more pictures, or "
            "judge fewer at a time",
            *(rate, calibration, least, len(scores), smallest),
        )


def _summary(terms: DataFrame, scores: DataFrame, anomaly_detector: Any, parameters: InferenceParameters) -> dict:
    judged = anomaly_detector.detector
    drift = batch.drift_p_value(scores["score"].to_numpy(), np.asarray(judged.calibration_scores))
    if drift < parameters.drift_alarm:
        logger.warning(
            "inference: the scores of the %s judged are not distributed as the calibration set's (p = %.2g); unless "
            "many of them are anomalous (in a large batch one in ten is enough), the camera or the goods have changed "
            "and the threshold's promise does not hold",
            *(plural(len(scores), "picture"), drift),
        )
    return {
        "pictures": len(scores),
        "flagged": int(scores["is_flagged"].sum()),
        "threshold": judged.calibration.threshold,
        "promised_false_alarm_rate": judged.calibration.promised_false_alarm_rate,
        "calibration_groups": judged.calibration.n_groups,
        "false_discovery_rate": parameters.false_discovery_rate,
        "drift_p_value": drift,
        "drifted": drift < parameters.drift_alarm,
        "skipped": terms.loc[terms["reason"] != "", ["image_id", "reason"]].to_dict("records"),
        "detector": judged.digest,
    }


def draw_overlays(
    measured_images: ImageSource, new_scores: DataFrame, anomaly_detector: Any, parameters: InferenceParameters
) -> dict[str, Callable[[], bytes | None]]:
    """A picture under its residual map for each one flagged, the highest scores first, `max_heatmaps` at most."""
    flagged = new_scores[new_scores["is_flagged"]].nlargest(parameters.max_heatmaps, "score")["image_id"].tolist()
    rows = {image_id: row for row, image_id in enumerate(measured_images.table["image_id"])}
    there = [image_id for image_id in flagged if image_id in rows]
    if gone := [image_id for image_id in flagged if image_id not in rows]:  # of scores that another run has stored
        logger.warning(
            "inference: no overlay of %s, scored and no longer in the folder, such as %s",
            *(plural(len(gone), "picture"), gone[0]),
        )
    wanted, size = tuple(rows[image_id] for image_id in there), min(TOGETHER, parameters.shard_size)
    # pictures are drawn in their order, one by one; those of a chunk share its maps, and no other's are kept
    maps = lru_cache(maxsize=1)(partial(_maps, measured_images, anomaly_detector, parameters.workers))
    chunks = [wanted[chunk] for chunk in shards.cut(len(wanted), size)]
    draws = [
        partial(_overlay, measured_images, anomaly_detector, partial(maps, chunk), row)
        for chunk in chunks
        for row in chunk
    ]
    return dict(zip(figure.picture_names(there), draws, strict=True))


def _maps(source: ImageSource, anomaly_detector: Any, workers: int, rows: tuple[int, ...]) -> dict[int, np.ndarray]:
    """The residual map of each of the rows' pictures, without those that have been removed or damaged."""
    geometry = anomaly_detector.geometry
    images, tiles, reasons, _ = prepare.prepare_readable(source, np.array(rows), geometry, workers, "")
    readable = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    return dict(zip(readable, anomaly_detector.maps(images, tiles), strict=True))


def _overlay(
    source: ImageSource, anomaly_detector: Any, maps: Callable[[], dict[int, np.ndarray]], row: int
) -> bytes | None:
    """A PNG; None, with a word in the log, for a picture that has been removed or changed since it was scored."""
    found = maps().get(row)
    try:
        picture = source.read(row)
        _expect_unchanged(source, row)  # after all reading
    except InputError as error:
        logger.warning("inference: no overlay of a picture that was scored, %s", error)
        return None
    if found is None:  # damaged a moment ago, whole again now
        return None
    inside, file = anomaly_detector.geometry.inside(picture.shape[:2]), io.BytesIO()
    overlay.overlay(picture, found[inside], anomaly_detector.detector.pixel_threshold).save(file, "PNG")
    return file.getvalue()


def _expect_unchanged(source: ImageSource, row: int) -> None:
    if source.files is None or "stamp" not in source.table:
        return
    image_id, stamp = source.table.loc[row, ["image_id", "stamp"]]
    if source.files.stamp(image_id) != stamp:
        raise InputError(f"{image_id}: the file has changed since")
