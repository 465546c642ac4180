"""The exported detector says what the detector says."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import Version
from PIL import ExifTags, Image
from tests.compute import scenes
from tests.cut_off import cut_off
from tests.damage import moving_picture, png_promising
from tests.in_process import copy_of, run_here
from tests.project import ROOT, newest

from fanogan_pipeline.datasets import CheckpointDataset, ImageSetDataset, JSONDataset, OnnxDataset, ParquetDataset
from fanogan_pipeline.detection import export
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.detection.residuals import residual_terms
from fanogan_pipeline.detection.scoring import LOG_FLOOR, ScoreRule, calibrate, p_values
from fanogan_pipeline.detection.statistics import ResidualStatistics
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.preprocessing.geometry import Geometry

onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
KINDS = {"safetensors": CheckpointDataset, "json": JSONDataset, "npz": ImageSetDataset, "parquet": ParquetDataset}


def load(project: Path, folder: str, name: str) -> Any:
    kind = KINDS[name.rsplit(".", 1)[1]]
    return kind(filepath=str(project / "data" / folder / name), version=Version(None, None)).load()


@pytest.fixture(scope="module")
def files(smoke_project: Path) -> list[Any]:
    names = ("wgan_model.safetensors", "encoder_model.safetensors", "residual_statistics.safetensors", "detector.json")
    return [load(smoke_project, "06_models", name) for name in names]


@pytest.fixture(scope="module")
def test_set(smoke_project: Path) -> ImageSet:
    return load(smoke_project, "05_model_input", "test_set.npz")


@pytest.fixture(scope="module")
def test_scores(smoke_project: Path) -> pd.DataFrame:
    return load(smoke_project, "07_model_output", "test_scores.parquet")


@pytest.fixture(scope="module")
def exported(smoke_project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[OnnxDataset, list[tuple]]:
    """What the documented command has stored, and what it has tried to speak to."""
    project = copy_of(smoke_project, tmp_path_factory.mktemp("export") / "project")
    with cut_off() as tried:
        done = run_here(project, "--env", "smoke", "--pipelines", "export")
    assert done.status == 0, done.output
    return OnnxDataset(filepath=str(newest(project, "onnx_detector.onnx"))), tried


@pytest.fixture(scope="module")
def model(exported: tuple[OnnxDataset, list[tuple]]) -> OnnxDataset:
    return exported[0]


@pytest.fixture(scope="module")
def session(model: OnnxDataset) -> Any:
    return onnxruntime.InferenceSession(model.load())


def test_scores_are_the_same(session: Any, test_set: ImageSet, test_scores: pd.DataFrame, files: list[Any]) -> None:
    score, p_value, is_flagged = session.run(None, {"images": test_set.images})
    assert score.dtype == np.float64
    assert float(np.ptp(score)) > 1
    np.testing.assert_allclose(score, test_scores["score"], rtol=1e-5, atol=1e-5)
    calibration_scores = np.asarray(files[3]["calibration_scores"])
    np.testing.assert_allclose(p_value, p_values(score, calibration_scores), rtol=0, atol=1e-12)
    # a calibration score that lies between the two scores makes a rank's difference, and only that
    between = np.abs(calibration_scores - score[:, None]).min(1) < 1e-5
    assert between.mean() < 0.02
    np.testing.assert_allclose(p_value[~between], test_scores["p_value"][~between], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(is_flagged, test_scores["is_flagged"])
    assert 0 < is_flagged.sum() < len(is_flagged)


def test_the_command_opens_no_connection(exported: tuple[OnnxDataset, list[tuple]]) -> None:
    assert exported[1] == []


def test_the_number_of_images_is_free(session: Any, test_set: ImageSet) -> None:
    whole = session.run(["score"], {"images": test_set.images[:9]})[0]
    parts = [session.run(["score"], {"images": test_set.images[rows]})[0] for rows in (slice(0, 1), slice(1, 9))]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-5)


def test_the_file_says_what_it_is(model: OnnxDataset, session: Any, files: list[Any]) -> None:
    facts = json.loads(model.preview())
    assert facts["inputs"] == {"images": ["N", 1, 28, 28]}
    assert list(facts["outputs"]) == ["score", "p_value", "is_flagged"]
    assert float(facts["threshold"]) == files[3]["threshold"]
    assert json.loads(facts["geometry"])["image_size"] == [28, 28]
    assert json.loads(facts["belongs_to"])["wgan_model"] == files[0].digest
    assert session.get_modelmeta().custom_metadata_map["geometry"] == facts["geometry"]


def test_the_script_scores_a_folder(
    model: OnnxDataset, test_set: ImageSet, test_scores: pd.DataFrame, tmp_path: Path
) -> None:
    for row in range(3):
        Image.fromarray(test_set.images[row, 0]).save(tmp_path / f"{row}.png")
    Image.fromarray(test_set.images[3, 0]).resize((56, 56)).convert("RGB").save(tmp_path / "large.png")
    (tmp_path / "bomb.png").write_bytes(png_promising(100_000, 100_000))
    (tmp_path / "moving.webp").write_bytes(moving_picture())
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 3  # lies upside down in the file
    Image.fromarray(test_set.images[4, 0, ::-1, ::-1]).save(tmp_path / "turned.PNG", exif=turned)
    Image.fromarray(test_set.images[5, 0].astype(np.uint16) * 257).save(tmp_path / "wide.png")
    (tmp_path / "wrong.png").write_text("not a picture")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".cache").mkdir()
    for hidden in (".hidden.png", ".cache/inside.png"):  # passed over by the pipeline too
        Image.fromarray(test_set.images[0, 0]).save(tmp_path / hidden)
    rows = told(model._filepath, tmp_path)
    others = ["bomb.png", "moving.webp", "wide.png", "wrong.png"]
    assert sorted(rows) == sorted(["0.png", "1.png", "2.png", "large.png", "turned.PNG", *others])
    assert float(rows["turned.PNG"][0].split()[0]) == pytest.approx(test_scores["score"][4], rel=1e-5, abs=2e-5)
    assert all(rows[name][1].startswith("not judged: ") for name in others)
    digits = [rows[f"{row}.png"] for row in range(3)]
    found = [float(values.split()[0]) for values, _ in digits]
    np.testing.assert_allclose(found, test_scores["score"][:3], rtol=1e-5, atol=2e-5)
    assert [verdict == "anomalous" for _, verdict in digits] == test_scores["is_flagged"][:3].tolist()


def told(model: PurePath, folder: Path) -> dict[str, list[str]]:
    """Of each picture what the script says."""
    done = scored(model, folder)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {Path(name).name: said for name, *said in rows}


def scored(model: PurePath, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs/score_with_onnx.py"), str(model), str(folder)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_script_goes_on_past_a_name_that_is_not_utf_8(model: OnnxDataset, tmp_path: Path) -> None:
    for name in (b"b\xfc.png", b"z.png"):
        Image.new("L", (28, 28)).save(tmp_path / os.fsdecode(name), "PNG")
    assert sorted(told(model._filepath, tmp_path)) == [r"b\udcfc.png", "z.png"]


def test_the_script_says_that_there_is_no_such_folder(model: OnnxDataset, tmp_path: Path) -> None:
    done = scored(model._filepath, tmp_path / "gone")
    assert done.returncode == 1
    assert done.stderr.strip() == f"{tmp_path}/gone: found no folder of this name; correct the path."


def test_the_script_pads_as_the_pipeline_does(model: OnnxDataset, session: Any, tmp_path: Path) -> None:
    padding = onnx.load_from_string(model.load())
    geometry = next(entry for entry in padding.metadata_props if entry.key == "geometry")
    geometry.value = json.dumps({**json.loads(geometry.value), "fit": "pad"})
    (tmp_path / "padding.onnx").write_bytes(padding.SerializeToString())
    rng, expected = np.random.default_rng(0), {}
    for name, size in (("line.png", (2, 200)), ("wide.png", (30, 41))):  # the line comes to less than a pixel
        picture = rng.integers(0, 256, size, np.uint8)
        Image.fromarray(picture).save(tmp_path / name)
        images = Geometry((28, 28), 1, "pad").apply(picture)[None]
        expected[name] = float(session.run(["score"], {"images": images})[0][0])
    found = {name: float(said[0].split()[0]) for name, said in told(tmp_path / "padding.onnx", tmp_path).items()}
    assert found == pytest.approx(expected, rel=1e-5, abs=2e-5)


@pytest.mark.parametrize("architecture", ["reference", "residual"])
def test_scores_of_other_architectures_are_the_same(architecture: str, caplog: pytest.LogCaptureFixture) -> None:
    image_set, restorer, models = scenes.scene(False, architecture)
    statistics = ResidualStatistics.from_checkpoint(models["residual_statistics"])
    terms = residual_terms(image_set.images, restorer, statistics, 16)
    # networks as they are initialised may restore a z to the seventh digit: what lies below the floor is rounding
    scale = terms.mean().clip(lower=LOG_FLOOR).to_dict()
    rule = ScoreRule(dict.fromkeys(terms, 1.0), dict.fromkeys(terms, 0.0), scale)
    scores = rule.score(terms)
    settings, digests = {**scenes.SETTINGS, "score": "chosen"}, {name: file.digest for name, file in models.items()}
    judged = Detector(rule, calibrate(scores, 0.1), tuple(scores), settings, digests, "", 1.0)
    graph = onnxruntime.InferenceSession(export.to_onnx(AnomalyDetector(restorer, statistics, judged)))
    assert len(terms.columns) > 8
    np.testing.assert_allclose(graph.run(["score"], {"images": image_set.images})[0], scores, rtol=1e-5)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_script_needs_three_packages_only() -> None:
    source = (ROOT / "docs/score_with_onnx.py").read_text()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= {"json", "sys", "pathlib", "numpy", "onnxruntime", "PIL"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"method": "iterative"}}, "a search by gradient for z, expected scoring.method: encoder"),
        ({"geometry": {"tiling": {"stride": [16, 16]}}}, r"tiles \(data_prep.tiling\), expected whole pictures"),
        ({"rule": {key: {"map_residual": 1.0} for key in ("weight", "centre", "scale")}}, "a score of map_residual"),
    ],
)
def test_what_no_graph_can_hold_is_refused(files: list[Any], changes: dict[str, Any], message: str) -> None:
    detector = {**files[3], **{key: {**files[3][key], **value} for key, value in changes.items()}}
    other = AnomalyDetector.load(*files[:3], detector, torch.device("cpu"))
    with pytest.raises(InputError, match=message):
        export.DetectorModule(other)


def test_without_onnx_the_way_out_is_named(files: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(
        InputError, match=r"no_such_package: not installed, run: pip install 'fanogan_pipeline\[export\]'"
    ):
        export.to_onnx(AnomalyDetector.load(*files, torch.device("cpu")))


def test_what_is_no_model_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="expected the bytes of an ONNX model"):
        OnnxDataset(filepath=str(tmp_path / "model.onnx")).save("text")  # type: ignore[arg-type]
    assert not (tmp_path / "model.onnx").exists()
