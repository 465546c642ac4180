"""Metrics, figures and the report."""

import logging

import numpy as np

from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import ReportingParameters, TrainingParameters, dotted, masked, plain, typed
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame, Figure, ImageSet

with lazily():
    from fanogan_pipeline import figures
    from fanogan_pipeline.detection import (
        anomaly_detector,
        choice,
        evaluation,
        pictures,
        refinement,
        restorer,
        search_quality,
    )
    from fanogan_pipeline.detection import detector as detectors
    from fanogan_pipeline.figures import origin, report_notes, report_text
    from fanogan_pipeline.pipelines.reporting import belonging
    from fanogan_pipeline.training import devices

logger = logging.getLogger(__name__)
FIGURES = (
    "score_histogram",
    "score_boxplot",
    "roc_curve",
    "precision_recall_curve",
    "refinement_curve",
    "decision_gallery",
    "heatmap_gallery",
    "restoration",
    "generated_samples",
    "latent_walk",
    "wgan_curves",
    "encoder_curves",
)


def measure_quality(
    test_scores: DataFrame, pixel_quality: dict, detector: dict, parameters: ReportingParameters
) -> dict:
    """The numbers of the report."""
    judged = detectors.Detector.from_json(detector)
    detectors.expect_judged("test_scores", test_scores, judged)
    detectors.expect_measured("pixel_quality", pixel_quality, judged.digest)
    found = evaluation.evaluate(test_scores, judged.calibration, parameters.confidence)
    return found | pixel_quality  # and its detector


def catch_by_class(test_scores: DataFrame, parameters: ReportingParameters) -> DataFrame:
    """For each class how much of it was flagged."""
    table = evaluation.per_class(test_scores, parameters.confidence)
    table.attrs["detector"] = detectors.digest_of("test_scores", test_scores, "detector")
    return table


def draw_wgan_curves(wgan_history: DataFrame) -> Figure:
    """Losses of phase 1."""
    return origin.signed(figures.wgan_curves(wgan_history), wgan_history.attrs)


def draw_encoder_curves(encoder_history: DataFrame) -> Figure:
    """Losses of phase 2."""
    return origin.signed(figures.encoder_curves(encoder_history), encoder_history.attrs)


def draw_roc_curve(test_scores: DataFrame) -> Figure:
    """Recall against false alarms over every threshold."""
    return origin.signed(figures.roc_curve(test_scores), test_scores.attrs)


def draw_precision_recall_curve(test_scores: DataFrame) -> Figure:
    """Precision against recall over every threshold."""
    return origin.signed(figures.precision_recall_curve(test_scores), test_scores.attrs)


def measure_refinement(
    selection_set: ImageSet,
    test_set: ImageSet,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    residual_statistics: Checkpoint,
    detector: dict,
    score_choice: DataFrame,
    parameters: ReportingParameters,
    training: TrainingParameters,
    device: str,
    seed: int,
) -> DataFrame:
    """Quality against time of the search for z on some test pictures; no row where it is switched off or these are of
    one kind."""
    if not parameters.refinement_sample:
        return search_quality.not_measured()
    some = search_quality.some_pictures(test_set, parameters.refinement_sample, seed)
    if len(set(some.is_anomaly.tolist())) < 2:
        logger.warning("reporting.refinement_sample: nothing measured, for it takes test pictures of both kinds")
        return search_quality.not_measured()
    devices.settle_in(training.threads)
    judge = anomaly_detector.AnomalyDetector.load(
        wgan_model, encoder_model, residual_statistics, detector, devices.choose_device(device)
    )
    table = search_quality.quality_against_time(
        parameters.refinement_ways.model_dump(),
        judge,
        choice.chosen_mix(score_choice),
        search_quality.some_pictures(selection_set, parameters.refinement_sample, seed),
        some,
        parameters.confidence,
    )
    table.attrs["detector"] = judge.detector.digest
    return table


def draw_refinement(refinement_quality: DataFrame, parameters: ReportingParameters) -> Figure:
    """AUROC against the time that a picture takes."""
    return origin.signed(figures.refinement_curve(refinement_quality, parameters.confidence), refinement_quality.attrs)


def draw_boxplot(test_scores: DataFrame, metrics: dict) -> Figure:
    """Scores per class with both thresholds."""
    _expect_measured_on(test_scores, metrics)
    normal = sorted(test_scores.loc[~test_scores["is_anomaly"], "label"].unique())
    drawn = figures.score_boxplot(test_scores, metrics["threshold"], metrics["three_sigma_threshold"], normal)
    return origin.signed(drawn, test_scores.attrs)


def draw_histogram(test_scores: DataFrame, calibration_scores: DataFrame, metrics: dict) -> Figure:
    """Scores of normal, anomalous and calibration images."""
    detectors.expect_same_detector(test_scores, calibration_scores)
    _expect_measured_on(test_scores, metrics)
    drawn = figures.score_histogram(test_scores, calibration_scores, metrics["threshold"])
    return origin.signed(drawn, test_scores.attrs)


def _expect_measured_on(test_scores: DataFrame, metrics: dict) -> None:
    judged = detectors.digest_of("test_scores", test_scores, "detector")
    detectors.expect_measured("metrics", metrics, judged, detectors.REPORT_AGAIN)


def draw_decision_gallery(test_set: ImageSet, test_scores: DataFrame) -> Figure:
    """Images by verdict and truth, at most twelve of each kind, evenly from those farthest from the threshold on."""
    detectors.expect_scores_of("test_scores", test_scores, test_set)
    return origin.signed(figures.decision_gallery(pictures.by_verdict(test_set, test_scores)), test_scores.attrs)


def draw_heatmaps(
    test_set: ImageSet,
    test_scores: DataFrame,
    residual_maps: dict,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    residual_statistics: Checkpoint,
    detector: dict,
) -> Figure:
    """Where images of the mapped sample, evenly from the lowest to the highest score, are unlike normal ones."""
    judged = detectors.Detector.from_json(detector)
    detectors.expect_scores_of("test_scores", test_scores, test_set)
    detectors.expect_judged("test_scores", test_scores, judged)
    detectors.expect_measured("residual_maps", residual_maps, judged.digest)
    rows, mapped = pictures.mapped_sample(test_set, test_scores, residual_maps)
    if not len(rows):
        none = test_set.images[:0]
        drawn = figures.heatmap_gallery(none, none, none[:, 0], None, [], [], judged.pixel_threshold)
        return origin.signed(drawn, test_scores.attrs)
    some = pictures.take_pictures(test_set, rows)
    judge = anomaly_detector.AnomalyDetector.load(
        wgan_model, encoder_model, residual_statistics, detector, devices.choose_device("cpu")
    )
    restored = pictures.whole(restorer.restore(some.images, judge.restorer, 64), some.tiles)
    images = pictures.shown(some)
    drawn = figures.heatmap_gallery(
        images,
        pictures.framed(restored, 255),
        residual_maps["maps"][mapped][:, : images.shape[2], : images.shape[3]].astype(np.float32),
        pictures.truth(some),
        pictures.picture_table(some)["image_id"].tolist(),
        test_scores["score"].to_numpy()[rows],
        judged.pixel_threshold,
        [picture.shape[-2:] for picture in restored],
    )
    return origin.signed(drawn, test_scores.attrs)


def write_report(
    metrics: dict,
    class_recall: DataFrame,
    split_manifest: DataFrame,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    detector: dict,
    score_choice: DataFrame,
    refinement_quality: DataFrame,
    parameters: dict,
    *drawn: bytes,
) -> str:
    """The self-contained HTML report."""
    judged = detectors.Detector.from_json(detector)
    shown = dict(zip(FIGURES, drawn, strict=True))
    belonging.expect_made_of(judged, split_manifest, wgan_model, encoder_model)
    belonging.expect_together(judged, metrics, class_recall, refinement_quality, shown)
    counts = split_manifest.groupby("split", sort=False)["is_anomaly"].agg(images="size", anomalous="sum")
    way = refinement.Refinement.from_settings(judged.settings)
    facts = {
        "normal_classes": sorted(split_manifest.loc[~split_manifest["is_anomaly"], "label"].unique()),
        "sets": {f"{split}_set": {name: int(n) for name, n in row.items()} for split, row in counts.iterrows()},
        "rule": judged.rule.to_json(),
        "search": (way.method, way.taken),
        "digests": {"detector": judged.digest, **judged.belongs_to},
    }
    notes = [report_notes.score_note(score_choice)]
    if len(refinement_quality):
        notes.append(report_notes.search_note(refinement_quality))
    else:
        del shown["refinement_curve"]
    made, run = belonging.made_with(judged, split_manifest, wgan_model, encoder_model), plain(typed(parameters))
    groups = {name: {**run.get(name, {}), **group} for name, group in made.items() if isinstance(group, dict)}
    used = dotted(run | made | groups)
    given = dotted(run)
    return figures.render_report(
        parameters["reporting"].title,
        {name: value for name, value in metrics.items() if name != "detector"},
        class_recall,
        shown,
        masked(used),
        facts,
        notes,
        report_text.whose(list(made), [name for name in used if given.get(name, ...) != used[name]]),
        confidence=parameters["reporting"].confidence,
    )
