"""Metrics, figures and the report."""

import numpy as np

from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import ReportingParameters
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame, Figure, ImageSet

with lazily():
    from fanogan_pipeline import figures
    from fanogan_pipeline.detection import anomaly_detector, evaluation, residuals
    from fanogan_pipeline.detection import detector as detectors
    from fanogan_pipeline.training import devices, models

GALLERIES = {  # decided_true: what the verdict was, what the label says
    "in_in": (False, False),
    "in_out": (False, True),
    "out_in": (True, False),
    "out_out": (True, True),
}

FIGURES = (
    "score_histogram",
    "score_boxplot",
    "roc_curve",
    "precision_recall_curve",
    "decision_gallery",
    "heatmap_gallery",
    "restoration",
    "generated_samples",
    "latent_walk",
    "wgan_curves",
    "encoder_curves",
)


def measure_quality(test_scores: DataFrame, detector: dict, parameters: ReportingParameters) -> dict:
    """The numbers of the report."""
    judged = detectors.Detector.from_json(detector)
    models.expect_same(
        "test_scores were judged by the detector",
        str(test_scores.attrs.get("detector")),
        judged.digest,
        "test_scores",
        "detector",
        "kedro run --pipelines scoring",
    )
    return evaluation.evaluate(test_scores, judged.calibration, parameters.confidence) | {"pixel_auroc": None}


def catch_by_class(test_scores: DataFrame, parameters: ReportingParameters) -> DataFrame:
    """For each class how much of it was flagged."""
    return evaluation.per_class(test_scores, parameters.confidence)


def draw_wgan_curves(wgan_history: DataFrame) -> Figure:
    """Losses of phase 1."""
    return figures.wgan_curves(wgan_history)


def draw_encoder_curves(encoder_history: DataFrame) -> Figure:
    """Losses of phase 2."""
    return figures.encoder_curves(encoder_history)


def draw_roc_curve(test_scores: DataFrame) -> Figure:
    """Recall against false alarms over every threshold."""
    return figures.roc_curve(test_scores)


def draw_precision_recall_curve(test_scores: DataFrame) -> Figure:
    """Precision against recall over every threshold."""
    return figures.precision_recall_curve(test_scores)


def draw_boxplot(test_scores: DataFrame, metrics: dict) -> Figure:
    """Scores per class with both thresholds."""
    normal = sorted(test_scores.loc[~test_scores["is_anomaly"], "label"].unique())
    return figures.score_boxplot(test_scores, metrics["threshold"], metrics["three_sigma_threshold"], normal)


def draw_histogram(test_scores: DataFrame, calibration_scores: DataFrame, metrics: dict) -> Figure:
    """Scores of normal, anomalous and calibration images."""
    return figures.score_histogram(test_scores, calibration_scores, metrics["threshold"])


def draw_galleries(test_set: ImageSet, test_scores: DataFrame, parameters: ReportingParameters) -> Figure:
    """Images by verdict and truth, those nearest the threshold's far side first."""
    groups = {}
    for name, (flagged, anomalous) in GALLERIES.items():
        here = (test_scores["is_flagged"] == flagged) & (test_scores["is_anomaly"] == anomalous)
        rows = test_scores[here].sort_values("score", ascending=not flagged, kind="stable").index
        rows = rows.to_numpy()[np.linspace(0, len(rows) - 1, min(len(rows), 12)).astype(int)]
        groups[name] = (test_set.images[rows], test_scores["score"].to_numpy()[rows])
    return figures.decision_gallery(groups)


def draw_heatmaps(
    test_set: ImageSet,
    test_scores: DataFrame,
    residual_maps: dict,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
    detector: dict,
) -> Figure:
    """Where the highest and the lowest scoring images of the mapped sample are restored badly."""
    place = {image_id: row for row, image_id in enumerate(test_set.image_id)}
    rows = np.array([place[image_id] for image_id in residual_maps["image_id"]], int)
    order = np.argsort(test_scores["score"].to_numpy()[rows], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(len(order), 8)).astype(int)]
    some, scores = test_set.take(rows[chosen]), test_scores["score"].to_numpy()[rows[chosen]]
    cpu = devices.choose_device("cpu")
    distance = detectors.Detector.from_json(detector).settings["image_distance"]
    restorer = anomaly_detector.load_restorer(wgan_model, encoder_model, distance, cpu)
    return figures.heatmap_gallery(
        some.images,
        residuals.restore(some.images, restorer, 64),
        residual_maps["maps"][chosen].astype(np.float32),
        some.masks,
        some.image_id,
        scores,
        None,
    )


def write_report(
    metrics: dict,
    class_recall: DataFrame,
    split_manifest: DataFrame,
    detector: dict,
    parameters: dict,
    *pictures: bytes,
) -> str:
    """The self-contained HTML report."""
    judged = detectors.Detector.from_json(detector)
    counts = split_manifest.groupby("split", sort=False)["is_anomaly"].agg(images="size", anomalous="sum")
    facts = {
        "normal_classes": sorted(split_manifest.loc[~split_manifest["is_anomaly"], "label"].unique()),
        "sets": {f"{split}_set": {name: int(n) for name, n in row.items()} for split, row in counts.iterrows()},
        "digests": {"detector": judged.digest, **judged.belongs_to},
    }
    plain = {
        name: group.model_dump(mode="json") if hasattr(group, "model_dump") else group
        for name, group in parameters.items()
    }
    return figures.render_report(
        parameters["reporting"].title,
        metrics,
        class_recall,
        dict(zip(FIGURES, pictures, strict=True)),
        plain,
        facts,
        confidence=parameters["reporting"].confidence,
    )
