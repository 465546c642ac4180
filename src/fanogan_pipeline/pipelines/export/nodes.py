"""The detector for other programs."""

from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.pipelines.hints import Checkpoint

with lazily():
    from fanogan_pipeline.detection import anomaly_detector, export
    from fanogan_pipeline.training import devices


def export_detector(
    wgan_model: Checkpoint, encoder_model: Checkpoint, residual_statistics: Checkpoint, detector: dict
) -> bytes:
    """Scaling of pixels, networks, score, p-value and verdict as one ONNX file."""
    cpu = devices.choose_device("cpu")
    files = (wgan_model, encoder_model, residual_statistics, detector)
    return export.to_onnx(anomaly_detector.AnomalyDetector.load(*files, cpu))
