"""Wiring of phase 1."""

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
                    "params:wgan",
                    "params:training",
                    "params:data_prep",
                    "params:seed",
                    "params:device",
                    "params:precision",
                    "training_states",
                    "tensorboard",
                ],
                ["wgan_model", "wgan_history"],
                name="train_wgan",
                preview_fn=diagrams.wgan,
            ),
            Node(
                nodes.draw_samples,
                ["wgan_model", "params:reporting", "params:seed"],
                "generated_samples",
                name="draw_generated_samples",
            ),
            Node(
                nodes.draw_walk,
                ["wgan_model", "params:reporting", "params:seed"],
                "latent_walk",
                name="draw_latent_walk",
            ),
        ],
        namespace="wgan",
        prefix_datasets_with_namespace=False,
    )
