"""Pictures with masked defects from the folder to the report, the way of the example and the user's own way."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from tests.project import copy_project, kedro, newest

from fanogan_pipeline.example.picture_set import write_example

QUICK = (
    "training.threads=1,"
    "wgan.steps=6,wgan.batch_size=16,wgan.critic_steps=1,wgan.width=8,encoder.steps=6,encoder.batch_size=16,"
    "reporting.walk_steps=3,reporting.gallery_images=4,data_prep.tiling.max_train_tiles=10"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project after `kedro run --env example` on few small pictures."""
    project = copy_project(tmp_path_factory.mktemp("example") / "project")
    catalog = project / "conf/example/catalog.yml"
    entries = yaml.safe_load(catalog.read_text())
    entries["raw_images"] |= {"train": 20, "test": 3, "defective": 2, "sides": [48, 60]}
    catalog.write_text(yaml.safe_dump(entries))
    kedro(project, "run", "--env", "example", "--params", QUICK)
    return project


def test_scores_maps_and_metrics_are_of_pictures_not_of_tiles(project):
    scores = pd.read_parquet(newest(project, "test_scores.parquet"))
    files = sorted(
        path.relative_to(project / "data/01_raw/example") for path in project.glob("data/01_raw/example/test/*/*")
    )
    assert sorted(scores["image_id"]) == [str(file) for file in files]
    assert scores["is_anomaly"].sum() == 6
    maps = np.load(newest(project, "residual_maps.npz"))
    assert set(maps["image_id"]) == set(scores["image_id"])
    for name, height, width in zip(maps["image_id"], maps["height"], maps["width"], strict=True):
        assert Image.open(project / "data/01_raw/example" / name).size == (width, height)
    metrics = json.loads(newest(project, "metrics.json").read_text())
    assert metrics["n_regions"] >= 6
    assert 0 <= metrics["aupro"] <= 1
    assert 0 <= metrics["dice"] <= metrics["dice_best"] <= 1
    assert 0 <= metrics["pixel_auroc"] <= 1
    assert newest(project, "report.html").stat().st_size > 100_000


def test_training_took_some_tiles_of_each_picture_and_the_others_all(project):
    train, test = (np.load(newest(project, f"{name}_set.npz")) for name in ("train", "test"))
    manifest = pd.read_parquet(newest(project, "split_manifest.parquet"))
    _, counts = np.unique(train["tile_picture_id"], return_counts=True)
    assert len(counts) == (manifest["split"] == "train").sum()
    assert (counts <= 10).all()
    for name in np.unique(test["tile_picture_id"]):
        here = test["tile_picture_id"] == name
        assert (test["tile_top"][here].max(), test["tile_left"][here].max()) == (
            test["tile_height"][here][0] - 32,
            test["tile_width"][here][0] - 32,
        )


def test_an_entry_in_conf_local_is_enough_for_a_folder_of_one_s_own(tmp_path):
    project = copy_project(tmp_path / "project")
    (project / "mine").mkdir()
    write_example(project / "mine", "cloth", 24, 2, 1, (40, 60), 3)
    local = project / "conf/local"
    local.mkdir(exist_ok=True)
    (local / "catalog.yml").write_text(
        "raw_images:\n  type: fanogan_pipeline.datasets.ImageFolderDataset\n  filepath: mine\n"
    )
    (local / "parameters.yml").write_text("data_prep:\n  image_size: [32, 48]\n  fit: pad\n")
    kedro(project, "run", "--pipelines", "data_prep")
    test = np.load(newest(project, "test_set.npz"))
    assert test["images"].shape == (5, 1, 32, 48)
    assert test["masks"].any(axis=(1, 2)).tolist() == test["is_anomaly"].tolist()
    own = [Image.open(project / "mine" / name).size[::-1] for name in test["image_id"]]
    assert test["sizes"].tolist() == [list(size) for size in own]
