"""Wiring of the verdicts on new pictures."""

from kedro.pipeline import Node, Pipeline

from . import nodes


def create_pipeline(**kwargs) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.load_detector,
                [
                    "wgan_model",
                    "encoder_model",
                    "residual_statistics",
                    "detector",
                    "params:training",
                    "params:device",
                ],
                "anomaly_detector",
                name="load_detector",
            ),
            Node(
                nodes.measure_pictures,
                [
                    "new_images",
                    "anomaly_detector",
                    "wgan_model",
                    "encoder_model",
                    "residual_statistics",
                    "params:inference",
                    "params:compute",
                    "training_states",
                ],
                ["new_terms", "measured_images"],
                name="measure_new_pictures",
            ),
            Node(
                nodes.judge_pictures,
                ["new_terms", "anomaly_detector", "params:inference"],
                ["new_scores", "new_summary", "new_verdicts"],
                name="judge_new_pictures",
            ),
            Node(
                nodes.draw_overlays,
                ["measured_images", "new_scores", "anomaly_detector", "params:inference"],
                "new_heatmaps",
                name="draw_overlays",
            ),
        ],
        namespace="inference",
        prefix_datasets_with_namespace=False,
    )
