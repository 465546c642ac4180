"""Wiring of phase 2."""

from kedro.pipeline import Node, Pipeline

from fanogan_pipeline.pipelines import diagrams

from . import nodes


def create_pipeline(**kwargs) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.train,
                [
                    "train_set",
                    "wgan_model",
                    "params:encoder",
                    "params:training",
                    "params:data_prep",
                    "params:seed",
                    "params:device",
                    "params:precision",
                    "training_states",
                    "tensorboard",
                ],
                ["encoder_model", "encoder_history"],
                name="train_encoder",
                preview_fn=diagrams.encoder,
            ),
            Node(
                nodes.draw_restoration,
                ["selection_set", "wgan_model", "encoder_model"],
                "restoration",
                name="draw_restoration",
            ),
        ],
        namespace="encoder",
        prefix_datasets_with_namespace=False,
    )
