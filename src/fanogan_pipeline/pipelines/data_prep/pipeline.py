"""Wiring of the data preparation."""

from kedro.pipeline import Node, Pipeline

from . import nodes


def create_pipeline(**kwargs) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.assign_splits,
                ["raw_images", "params:data_prep", "params:seed"],
                "split_plan",
                name="assign_splits",
            ),
            Node(
                nodes.fit_geometry,
                ["raw_images", "split_plan", "params:data_prep", "params:seed"],
                "geometry",
                name="fit_geometry",
            ),
            Node(
                nodes.fit_images,
                ["raw_images", "split_plan", "geometry", "params:data_prep", "params:seed"],
                "fitted_images",
                name="fit_images",
            ),
            Node(
                nodes.settle_split,
                ["split_plan", "fitted_images", "params:data_prep"],
                "settled_split",
                name="settle_split",
            ),
            Node(
                nodes.build_sets,
                ["raw_images", "settled_split", "fitted_images", "geometry"],
                ["train_set", "selection_set", "calibration_set", "test_set", "split_manifest"],
                name="build_sets",
            ),
        ],
        namespace="data_prep",
        prefix_datasets_with_namespace=False,
    )
