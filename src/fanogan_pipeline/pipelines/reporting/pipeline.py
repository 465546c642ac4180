"""Wiring of the report."""

from kedro.pipeline import Node, Pipeline

from . import nodes


def create_pipeline(**kwargs) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.measure_quality,
                ["test_scores", "pixel_quality", "detector", "params:reporting"],
                "metrics",
                name="measure_quality",
            ),
            Node(nodes.catch_by_class, ["test_scores", "params:reporting"], "class_recall", name="catch_by_class"),
            Node(nodes.draw_wgan_curves, "wgan_history", "wgan_curves", name="draw_wgan_curves"),
            Node(nodes.draw_encoder_curves, "encoder_history", "encoder_curves", name="draw_encoder_curves"),
            Node(nodes.draw_boxplot, ["test_scores", "metrics"], "score_boxplot", name="draw_score_boxplot"),
            Node(
                nodes.draw_histogram,
                ["test_scores", "calibration_scores", "metrics"],
                "score_histogram",
                name="draw_score_histogram",
            ),
            Node(nodes.draw_roc_curve, "test_scores", "roc_curve", name="draw_roc_curve"),
            Node(
                nodes.draw_precision_recall_curve,
                "test_scores",
                "precision_recall_curve",
                name="draw_precision_recall_curve",
            ),
            Node(
                nodes.measure_refinement,
                [
                    "selection_set",
                    "test_set",
                    "wgan_model",
                    "encoder_model",
                    "residual_statistics",
                    "detector",
                    "score_choice",
                    "params:reporting",
                    "params:training",
                    "params:device",
                    "params:seed",
                ],
                "refinement_quality",
                name="measure_refinement",
            ),
            Node(
                nodes.draw_refinement,
                ["refinement_quality", "params:reporting"],
                "refinement_curve",
                name="draw_refinement_curve",
            ),
            Node(
                nodes.draw_decision_gallery,
                ["test_set", "test_scores"],
                "decision_gallery",
                name="draw_decision_gallery",
            ),
            Node(
                nodes.draw_heatmaps,
                [
                    "test_set",
                    "test_scores",
                    "residual_maps",
                    "wgan_model",
                    "encoder_model",
                    "residual_statistics",
                    "detector",
                ],
                "heatmap_gallery",
                name="draw_heatmap_gallery",
            ),
            Node(
                nodes.write_report,
                [
                    "metrics",
                    "class_recall",
                    "split_manifest",
                    "wgan_model",
                    "encoder_model",
                    "detector",
                    "score_choice",
                    "refinement_quality",
                    "parameters",
                    *nodes.FIGURES,
                ],
                "report",
                name="write_report",
            ),
        ],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )
