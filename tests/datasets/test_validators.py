"""Every stored dataset of the catalog has a validator, and each refuses what is not its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from kedro.utils import load_obj
from tests.project import ROOT

from fanogan_pipeline.datasets import validators
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import SOURCE_COLUMNS, ImageSet, ImageSource
from fanogan_pipeline.networks import Checkpoint

CATALOG = yaml.safe_load((ROOT / "conf/base/catalog.yml").read_text())
STORED = sorted(
    name
    for name, entry in CATALOG.items()
    if not name.startswith("_") and not str(entry.get("type")).endswith("MemoryDataset")
)
VALIDATORS = sorted({CATALOG[name].get("validator", "") for name in STORED})


@pytest.mark.parametrize("name", STORED)
def test_every_stored_dataset_has_a_validator(name):
    assert callable(load_obj(CATALOG[name]["validator"]))


@pytest.mark.parametrize("path", VALIDATORS)
@pytest.mark.parametrize("data", [None, 3, [], "text", pd.DataFrame({"a": [1]})], ids=str)
def test_each_refuses_what_is_of_another_kind(path, data):
    with pytest.raises(InputError, match=r"found|lacks"):
        load_obj(path)(data)


def image_set(n: int = 3, names: list[str] | None = None, anomalous: bool = False) -> ImageSet:
    ids = np.array([f"i{k}" for k in range(n)] if names is None else names, dtype=str)
    return ImageSet(np.zeros((n, 1, 8, 8), np.uint8), np.array(["1"] * n, dtype=str), np.full(n, anomalous), ids)


def manifest(**changes: object) -> pd.DataFrame:
    table = {"image_id": ["a", "b"], "split": ["train", "test"], "label": ["1", "2"], "is_anomaly": [False, True]}
    return pd.DataFrame({**table, "sha256": ["x", "y"], **changes})


def scores(**changes: object) -> pd.DataFrame:
    table = manifest()[["image_id", "label", "is_anomaly"]]
    numbers = {name: [1.0, 2.0] for name in ("image_residual", "feature_residual", "latent_residual", "score")}
    return table.assign(**{**numbers, "p_value": [0.5, 0.1], "is_flagged": [False, True], **changes})


NOTHING = ImageSource(pd.DataFrame({name: [] for name in SOURCE_COLUMNS}), lambda row: np.zeros((8, 8), np.uint8))

REFUSED = {
    "no pictures": (validators.image_source, NOTHING, "found no pictures, expected at least one"),
    "none left": (
        validators.image_source,
        replace(NOTHING, skipped=pd.DataFrame({"image_id": ["a.png"], "reason": ["damaged"]})),
        "found no pictures, expected at least one",
    ),
    "no images": (validators.image_set, image_set(0), "found no images"),
    "a name twice": (validators.image_set, image_set(2, ["a", "a"]), "image_id: found 1 repeated names"),
    "anomalies": (validators.normal_set, image_set(anomalous=True), "found 3 anomalous images, expected normal"),
    "strange split": (validators.split_manifest, manifest(split=["train", "tset"]), "split: found 'tset', expected"),
    "on two sides": (validators.split_manifest, manifest(image_id=["a", "a"]), "image_id: found 1 repeated"),
    "infinite score": (validators.score_table, scores(score=[1.0, np.inf]), "score: found float64 .* finite numbers"),
    "no probability": (validators.score_table, scores(p_value=[0.5, 1.5]), "p_value: .* expected probabilities"),
    "lacking": (validators.score_table, scores().drop(columns="score"), "lacks score, found image_id"),
    "empty": (validators.score_table, scores()[:0], "found no rows, expected at least one"),
    "steps backwards": (validators.history, pd.DataFrame({"step": [2, 1]}), "step: found steps out of order"),
    "weights": (
        validators.checkpoint,
        Checkpoint({"w": torch.tensor([torch.nan])}, {"kind": "wgan"}),
        "w: found weights that are NaN or infinite",
    ),
    "headless": (validators.checkpoint, Checkpoint({"w": torch.zeros(1)}, {}), "found 1 tensors and 0 facts"),
    "threshold": (
        validators.detector,
        {"rule": {}, "threshold": float("nan"), "promised_false_alarm_rate": 0.1, "belongs_to": {}},
        "threshold: found nan, expected a finite number",
    ),
    "promise": (
        validators.detector,
        {"rule": {}, "threshold": 1.0, "promised_false_alarm_rate": 2.0, "belongs_to": {}},
        "promised_false_alarm_rate: found 2.0, expected above 0 and below 1",
    ),
    "page": (validators.report, "no page", "found no <html>"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_broken_promise_is_said(case):
    validator, data, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        validator(data)


def test_good_data_pass():
    validators.normal_set(image_set())
    validators.split_manifest(manifest())
    validators.score_table(scores())
    validators.history(pd.DataFrame({"step": [1, 2]}))
    validators.checkpoint(Checkpoint({"w": torch.zeros(1)}, {"kind": "wgan"}))
    validators.report("<!doctype html><html></html>")
