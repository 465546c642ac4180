"""Wiring of the benchmark."""

from kedro.pipeline import Node, Pipeline

from . import nodes


def create_pipeline(**kwargs) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.prepare_all,
                ["raw_images", "params:data_prep", "params:scoring"],
                "benchmark_pictures",
                name="prepare_pictures",
            ),
            Node(
                nodes.score_cells,
                [
                    "benchmark_pictures",
                    "params:data_prep",
                    "params:wgan",
                    "params:encoder",
                    "params:scoring",
                    "params:training",
                    "params:benchmark",
                    "params:compute",
                    "params:device",
                    "params:precision",
                    "training_states",
                ],
                "benchmark_scores",
                name="score_cells",
            ),
            Node(nodes.tabulate, ["benchmark_scores", "params:benchmark"], "benchmark_table", name="tabulate"),
            Node(
                nodes.summarise,
                ["benchmark_scores", "benchmark_table", "params:benchmark", "params:seed"],
                "benchmark_summary",
                name="summarise",
            ),
            Node(nodes.compare, "benchmark_scores", "benchmark_comparisons", name="compare"),
            Node(nodes.draw_table, "benchmark_table", "benchmark_figure", name="draw_table"),
        ],
        namespace="benchmark",
        prefix_datasets_with_namespace=False,
    )
