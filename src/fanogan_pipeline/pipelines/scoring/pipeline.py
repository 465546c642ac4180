"""Wiring of the scoring."""

from collections.abc import Callable

from kedro.pipeline import Node, Pipeline

from . import nodes


def measured(split: str, measure: Callable = nodes.measure) -> Node:
    """The residual terms of one set."""
    return Node(
        measure,
        [
            f"{split}_set",
            "restorer",
            "residual_statistics",
            "wgan_model",
            "encoder_model",
            "params:scoring",
            "params:compute",
            "training_states",
        ],
        f"{split}_terms",
        name=f"measure_{split}",
    )


def judged(split: str, judge: Callable = nodes.judge) -> Node:
    """The score table of one set."""
    return Node(judge, [f"{split}_set", f"{split}_terms", "detector"], f"{split}_scores", name=f"judge_{split}")


def create_pipeline(**kwargs) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.load_restorer,
                ["wgan_model", "encoder_model", "params:scoring", "params:training", "params:device"],
                "restorer",
                name="load_restorer",
            ),
            Node(
                nodes.fit_residuals,
                ["train_set", "selection_set", "restorer", "wgan_model", "encoder_model", "params:scoring"],
                "residual_statistics",
                name="fit_residual_statistics",
            ),
            measured("selection"),
            measured("calibration", nodes.measure_with_map),
            measured("test"),
            Node(
                nodes.choose_score,
                ["selection_set", "restorer", "residual_statistics", "wgan_model", "params:scoring", "params:seed"],
                "score_choice",
                name="choose_score",
            ),
            Node(
                nodes.calibrate_detector,
                [
                    "score_choice",
                    "selection_terms",
                    "calibration_terms",
                    "calibration_set",
                    "wgan_model",
                    "encoder_model",
                    "residual_statistics",
                    "params:scoring",
                ],
                "detector",
                name="calibrate_detector",
            ),
            judged("calibration", nodes.judge_calibration),
            judged("test"),
            Node(
                nodes.map_sample,
                ["test_set", "restorer", "residual_statistics", "detector", "params:scoring", "params:seed"],
                "residual_maps",
                name="map_residuals",
            ),
            Node(
                nodes.measure_pixels,
                ["test_set", "restorer", "residual_statistics", "detector", "params:scoring"],
                "pixel_quality",
                name="measure_pixels",
            ),
        ],
        namespace="scoring",
        prefix_datasets_with_namespace=False,
    )
