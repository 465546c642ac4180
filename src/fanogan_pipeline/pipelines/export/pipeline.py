"""Wiring of the export."""

from kedro.pipeline import Node, Pipeline

from . import nodes


def create_pipeline(**kwargs) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.export_detector,
                ["wgan_model", "encoder_model", "residual_statistics", "detector"],
                "onnx_detector",
                name="export_detector",
            ),
        ],
        namespace="export",
        prefix_datasets_with_namespace=False,
    )
