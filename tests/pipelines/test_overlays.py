"""Overlays of new pictures under whatever names these have, and of those that are still there."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.runner import SequentialRunner
from PIL import Image
from tests.compute import scenes
from tests.parts import group

from fanogan_pipeline.datasets.figure import FigureFolderDataset, picture_names
from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.pipelines.inference import create_pipeline, nodes

LONG = "缺" * 83 + ".jpg"  # 253 bytes, which leaves no room for .png
NAMES = ["a\\b.png", "lot\\1/a.jpg", LONG, "lot/x.png", "x.jpg", "x.jpg.png", "y.jpg"]


def folder_of(place: Path, names: list[str]) -> ImageSource:
    for seed, name in enumerate(names):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24), np.uint8)
        Image.fromarray(pixels).save(path, format="PNG")
    return ImageFolderDataset(filepath=str(place), layout="flat").load()


def saved(source: ImageSource, place: Path, tiled: bool = False) -> dict[str, bytes]:
    """The overlays of all pictures, by way of the folder that they are saved in."""
    names = source.table["image_id"]
    scores = pd.DataFrame({"image_id": names, "score": np.arange(len(names), 0, -1.0), "is_flagged": True})
    detector, _ = scenes.detector(tiled)
    overlays = nodes.draw_overlays(source, scores, detector, group("inference", shard_size=4))
    stored = FigureFolderDataset(filepath=str(place / "new_heatmaps"), version=Version(None, None))
    stored.save(overlays)
    return stored.load()


def test_every_name_of_a_picture_makes_an_overlay_of_its_own(tmp_path):
    source = folder_of(tmp_path / "new", NAMES)
    assert set(source.table["image_id"]) == set(NAMES)
    found = saved(source, tmp_path)
    assert len(found) == len(set(found.values())) == len(NAMES)
    assert {"lot/x.png", "x.jpg.png", "y.jpg.png"} < set(found)


def test_names_that_serve_stay_and_others_are_made_safe_in_whatever_order():
    names = dict(zip(NAMES, picture_names(NAMES), strict=True))
    assert names["lot\\1/a.jpg"].startswith("lot_1/a.jpg-")
    assert names["x.jpg"].startswith("x.jpg-")
    assert picture_names(NAMES[::-1]) == picture_names(NAMES)[::-1]
    assert picture_names([".hidden/x.png"])[0].startswith("_hidden/x-")
    assert picture_names(["x.jpg", "x.jpg.png/y.png"])[1] == "x.jpg.png/y.png"  # there x.jpg.png is a folder
    assert len(set(picture_names(["x.jpg", "x.jpg.png/y.png", "a\\b.png", "a_b.png"]))) == 4


def test_a_picture_that_is_gone_or_damaged_since_costs_its_own_overlay_alone(tmp_path, caplog):
    source = folder_of(tmp_path / "new", ["cut.png", "gone.png", "whole.png"])
    (tmp_path / "new/gone.png").unlink()
    (tmp_path / "new/cut.png").write_bytes((tmp_path / "new/cut.png").read_bytes()[:80])
    with caplog.at_level(logging.WARNING):
        found = saved(source, tmp_path)
    assert list(found) == ["whole.png"]
    assert "gone.png: cannot be read" in caplog.text
    assert "cut.png: found a picture that is cut short" in caplog.text


def test_a_picture_that_is_scored_and_not_listed_any_more_is_told_of(tmp_path, caplog):
    source, (detector, _) = folder_of(tmp_path / "new", ["whole.png"]), scenes.detector(False)
    scores = pd.DataFrame({"image_id": ["a.png", "b.png", "whole.png"], "score": [3.0, 2.0, 1.0], "is_flagged": True})
    overlays = nodes.draw_overlays(source, scores, detector, group("inference"))
    assert list(overlays) == ["whole.png"]
    assert caplog.messages[1:] == [
        "inference: no overlay of 2 pictures, scored and no longer in the folder, such as a.png"
    ]


@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_folder_that_changes_before_its_overlays_are_drawn_costs_those_of_what_has_changed(
    tmp_path, caplog, is_emptied
):
    folder, detector, parameters = tmp_path / "new", scenes.detector(False), group("inference", workers=1)
    folder_of(folder, ["gone.png", "late.png", "other.png", "whole.png"])
    whole = (folder / "late.png").read_bytes()
    (folder / "late.png").write_bytes(whole[:20])
    dataset = ImageFolderDataset(filepath=str(folder), layout="flat", on_error="skip")
    more = (parameters, group("compute", engine="local"), StateStore(tmp_path / "states"))
    terms, measured = nodes.measure_pictures(dataset.load(), detector[0], *detector[1].values(), *more)
    scores, summary, _ = nodes.judge_pictures(terms, detector[0], parameters)
    assert scores["image_id"].tolist() == ["gone.png", "other.png", "whole.png"]
    assert [skipped["image_id"] for skipped in summary["skipped"]] == ["late.png"]
    (folder / "late.png").write_bytes(whole)
    Image.new("L", (24, 20)).save(folder / "other.png")  # under the name of one that was scored
    (folder / "gone.png").unlink()
    if is_emptied:
        for picture in folder.iterdir():
            picture.unlink()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        overlays = nodes.draw_overlays(measured, scores.assign(is_flagged=True), detector[0], parameters)
        drawn = [name for name, draw in overlays.items() if draw()]
    assert drawn == ([] if is_emptied else ["whole.png"])
    gone = ["gone.png", "other.png", "whole.png"] if is_emptied else ["gone.png"]
    reasons = [f"{folder}/{name}: cannot be read (No such file or directory); check its place" for name in gone]
    reasons += [] if is_emptied else ["other.png: the file has changed since"]
    assert len(caplog.messages) == len(reasons)
    assert all(f"inference: no overlay of a picture that was scored, {reason}" in caplog.text for reason in reasons)


@pytest.mark.parametrize("tiled", [False, True], ids=["whole", "tiled"])
def test_maps_are_computed_for_some_pictures_at_a_time_and_are_those_of_each_alone(tiled, tmp_path, monkeypatch):
    source = folder_of(tmp_path / "new", [f"{row}.png" for row in range(6)])
    original, together = AnomalyDetector.maps, []

    def watched(self, images, tiles=None):
        together.append(len(images) if tiles is None else len(tiles.runs()))
        return original(self, images, tiles)

    monkeypatch.setattr(AnomalyDetector, "maps", watched)
    found = saved(source, tmp_path, tiled)
    assert together == [4, 2]
    monkeypatch.setattr(nodes, "TOGETHER", 1)
    assert saved(source, tmp_path / "alone", tiled) == found
    assert len(set(found.values())) == 6


def test_the_list_of_verdicts_is_there_whatever_becomes_of_the_overlays(tmp_path, monkeypatch):
    source, detector = folder_of(tmp_path / "new", ["a.png", "b.png"]), scenes.detector(False)[0]
    terms = pd.DataFrame({"image_id": ["a.png", "b.png"], "map_residual": [9.0, 0.0], "reason": ""})
    inputs = {"measured_images": source, "new_terms": terms, "anomaly_detector": detector}
    catalog = DataCatalog({name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()})
    catalog["params:inference"] = group("inference")
    catalog["new_verdicts"] = MemoryDataset()
    catalog["new_heatmaps"] = FigureFolderDataset(filepath=str(tmp_path / "new_heatmaps"), version=Version(None, None))

    def failing(*_):
        raise RuntimeError("no more ink")

    monkeypatch.setattr(nodes.overlay, "overlay", failing)
    with pytest.raises(Exception, match="no more ink"):
        SequentialRunner().run(create_pipeline().from_inputs("new_terms"), catalog)
    assert catalog.load("new_verdicts")["verdict"].tolist() == ["anomalous", "normal"]
