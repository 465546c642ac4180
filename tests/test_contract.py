"""The names that users and scripts rely on."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog
from tests.parts import group
from tests.project import ROOT

PIPELINES = {
    "data_prep": (["raw_images"], ["train_set", "selection_set", "calibration_set", "test_set", "split_manifest"]),
    "wgan": (["train_set"], ["wgan_model", "wgan_history", "generated_samples", "latent_walk"]),
    "encoder": (["train_set", "wgan_model"], ["encoder_model", "encoder_history", "restoration"]),
    "scoring": (
        ["wgan_model", "encoder_model", "selection_set", "calibration_set", "test_set"],
        ["calibration_scores", "detector", "test_scores", "residual_maps"],
    ),
    "reporting": (["test_scores", "wgan_history", "encoder_history", "wgan_model"], ["metrics", "report"]),
    "inference": (["new_images", "wgan_model", "encoder_model", "detector"], ["new_scores", "new_heatmaps"]),
    "benchmark": (["raw_images"], ["benchmark_scores", "benchmark_table"]),
    "export": (["wgan_model", "encoder_model", "detector"], ["onnx_detector"]),
}
FIGURES = [
    *("wgan_curves", "encoder_curves", "generated_samples", "latent_walk", "restoration", "score_boxplot"),
    *("score_histogram", "roc_curve", "precision_recall_curve", "decision_gallery", "heatmap_gallery"),
]
LAYERS = {
    "raw": ["raw_images", "new_images"],
    "model_input": ["train_set", "selection_set", "calibration_set", "test_set", "split_manifest"],
    "models": ["wgan_model", "encoder_model", "detector", "onnx_detector"],
    "model_output": [
        *("wgan_history", "encoder_history", "calibration_scores", "test_scores", "new_scores", "new_heatmaps"),
        *("residual_maps", "benchmark_scores", "benchmark_table"),
    ],
    "reporting": ["metrics", "report", *FIGURES],
}
PARAMETERS = {
    "data_prep": {
        *("normal_classes", "protocol", "image_size", "channels", "selection_fraction", "calibration_fraction"),
        "tiling",
    },
    "wgan": {
        *("objective", "architecture", "latent_dim", "latent_prior", "steps", "batch_size", "learning_rate"),
        "critic_steps",
    },
    "encoder": {"objective", "steps", "batch_size", "learning_rate", "kappa"},
    "scoring": {"false_alarm_rate", "method", "refinement_steps"},
    "benchmark": {"classes", "seeds"},
    "training": {"processes"},
    "compute": {"engine", "scheduler"},
}
ENVIRONMENTS = ("base", "local", "smoke", "reference", "paper", "example", "metal", "fashion")
# What counts in the environments that reimplement another system, from conf/base too: with any other value it is not
# that system any more.
PROMISED: dict[str, dict[str, dict[str, Any]]] = {
    "reference": {
        "data_prep": {
            **{"normal_classes": ["1"], "protocol": "reference", "reference_count": 1000, "augmentation": None},
            **{"image_size": (28, 28), "channels": 1, "local_contrast": None, "tiling": None, "max_train": None},
        },
        "wgan": {
            **{"architecture": "reference", "width": 16, "latent_dim": 2, "latent_prior": "uniform"},
            **{"objective": "wgan_plain", "critic_steps": 1, "drift": 0.0, "ema_half_life": 0.0, "rate_decay": 0.0},
            **{"steps": 100 * 1000 // 32, "batch_size": 32},  # 100 passes
            **{"learning_rate": 1e-4, "critic_learning_rate": 2e-5, "adam_betas": (0.9, 0.999)},
        },
        "encoder": {
            **{"objective": "izi", "image_distance": "absolute", "latent_weight": 0.1, "normalise": False},
            **{"head": "linear", "corruption": {"noise": 0.0, "blank": 0.0}, "steps": 3125, "batch_size": 32},
            **{"optimiser": "adam", "learning_rate": 1e-4, "rate_decay": 0.0},
        },
        "scoring": {"score": "image", "method": "encoder", "refinement_steps": 0},
    },
    "paper": {
        "data_prep": {"image_size": (64, 64), "channels": 1, "local_contrast": None, "augmentation": None},
        "wgan": {
            **{"architecture": "residual", "width": 64, "latent_dim": 128, "latent_prior": "normal"},
            **{"objective": "wgan_gp", "gradient_penalty": 10.0, "penalty_images": 0, "drift": 0.0, "critic_steps": 5},
            **{"steps": 20_000, "batch_size": 64, "ema_half_life": 0.0, "rate_decay": 0.0},
            **{"learning_rate": 1e-4, "critic_learning_rate": 1e-4, "adam_betas": (0.0, 0.9)},
        },
        "encoder": {
            **{"objective": "izi_f", "image_distance": "squared", "kappa": 1.0, "latent_weight": 0.0},
            **{"normalise": False, "head": "tanh", "corruption": {"noise": 0.0, "blank": 0.0}},
            **{"steps": 50_000, "batch_size": 64, "optimiser": "rmsprop", "learning_rate": 5e-5, "rate_decay": 0.0},
        },
        "scoring": {"score": "article", "method": "encoder", "refinement_steps": 0},
    },
}


@cache
def configuration(kind: str, env: str = "base") -> dict[str, Any]:
    loader = OmegaConfigLoader(
        str(ROOT / "conf"),
        env=env,
        base_env="base",
        default_run_env="base",
        merge_strategy={"parameters": "soft", "catalog": "soft"},
    )
    return loader[kind]


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_each_pipeline_reads_and_writes_what_it_says(name):
    configure_project("fanogan_pipeline")
    reads, writes = PIPELINES[name]
    assert set(reads) <= pipelines[name].inputs()
    assert set(writes) <= pipelines[name].all_outputs()


def test_the_default_is_the_five_stages_and_draws_every_figure():
    configure_project("fanogan_pipeline")
    nodes = [pipelines[name].nodes for name in ("data_prep", "wgan", "encoder", "scoring", "reporting")]
    assert set(pipelines["__default__"].nodes) == {node for stage in nodes for node in stage}
    assert set(FIGURES) <= pipelines["__default__"].all_outputs()


@pytest.mark.parametrize(("layer", "name"), [(layer, name) for layer, names in LAYERS.items() for name in names])
def test_each_dataset_stands_in_its_layer_and_has_versions(layer, name):
    catalog = configuration("catalog")
    assert catalog[name]["metadata"]["kedro-viz"]["layer"] == layer
    assert catalog[name]["type"].startswith("fanogan_pipeline.datasets.")
    if layer != "raw":
        assert catalog[name]["versioned"] is True
        folder = {"model_input": "05_", "models": "06_", "model_output": "07_", "reporting": "08_"}[layer]
        assert catalog[name]["filepath"].startswith(f"data/{folder}")


def test_what_nobody_reads_in_memory_has_a_layer_and_what_is_kept_a_validator():
    for name, entry in configuration("catalog").items():
        if name.startswith("_") or entry["type"] == "MemoryDataset":
            continue
        assert "layer" in entry["metadata"]["kedro-viz"], name
        if entry.get("versioned") and "TensorBoard" not in entry["type"]:
            assert "validator" in entry, name


def test_the_numbers_behind_each_figure_are_stored():
    configure_project("fanogan_pipeline")
    drawn = {node.outputs[0]: node for node in pipelines["__default__"].nodes if node.outputs[0] in FIGURES}
    assert set(drawn) == set(FIGURES)
    for name, node in drawn.items():
        sources = [source for source in node.inputs if not source.startswith("param")]
        assert sources, name
        assert all(configuration("catalog")[source].get("versioned") for source in sources), name


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_each_group_has_its_parameters(name):
    parameters = configuration("parameters")
    assert PARAMETERS[name] <= set(parameters[name])
    assert {"seed", "device", "precision"} <= set(parameters)


def test_the_defaults_that_are_promised():
    parameters = configuration("parameters")
    assert parameters["data_prep"]["normal_classes"] == ["1"]
    assert parameters["data_prep"]["protocol"] == "official"
    assert parameters["wgan"]["objective"] == "wgan_gp"
    assert parameters["encoder"]["objective"] == "izi_f"
    assert parameters["scoring"]["false_alarm_rate"] == 0.01
    assert parameters["device"] == "auto"


def cut_to(wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was found under the names that are wanted, in the groups inside too."""
    return {
        name: cut_to(value, found[name]) if isinstance(value, dict) else found[name] for name, value in wanted.items()
    }


@pytest.mark.parametrize(("env", "name"), [(env, name) for env, groups in PROMISED.items() for name in groups])
def test_the_systems_that_are_reimplemented_keep_their_settings(env, name):
    wanted = PROMISED[env][name]
    assert cut_to(wanted, group(name, env).model_dump()) == wanted


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_each_environment_is_there(env):
    assert (ROOT / "conf" / env).is_dir()


@pytest.mark.parametrize("env", [env for env in ENVIRONMENTS if (ROOT / "conf" / env / "catalog.yml").exists()])
def test_every_dataset_of_every_environment_can_be_made(env):
    catalog = DataCatalog.from_config(configuration("catalog", env))
    for name in catalog:
        assert catalog.get(name) is not None
