"""`kedro run --only-missing-outputs` makes again what has changed, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import AbstractDataset
from tests.in_process import Outcome, copy_of, run_here
from tests.project import newest

from fanogan_pipeline import own_code
from fanogan_pipeline.freshness import Freshness
from fanogan_pipeline.parameters import WITHOUT_EFFECT

# Values other than those of conf/smoke; where runs are logged has a test of its own.
LIKEWISE: dict[str, dict[str, Any]] = {
    "data_prep": {"workers": 7},
    "inference": {"workers": 7, "shard_size": 7},
    "training": {
        **{"processes": 2, "machines": 2, "rendezvous": "here:1", "restarts": 0, "threads": 3, "cuda_graph": False},
        **{"save_every_seconds": 0.5, "save_every_steps": 7, "keep_unfinished": 0, "fresh_start": True},
        "on_failure": "warn",
    },
    "compute": {"engine": "dask", "scheduler": "here:1", "workers": 7, "shard_size": 7},
    "tracking": {},
}
PARTLY = "data_prep.normal_classes=[1],data_prep.augmentation.shift=1"  # a number for a name, and one of five


@pytest.fixture(scope="module")
def project(smoke_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of(smoke_project, tmp_path_factory.mktemp("fresh") / "project")


def run(project: Path, *arguments: str) -> tuple[Outcome, dict[str, Any]]:
    """The run's outcome and its manifest."""
    done = run_here(project, "--env", "smoke", "--only-missing-outputs", *arguments)
    assert done.status == 0, done.output
    return done, json.loads(newest(project, "run_manifest.json").read_text())


@pytest.fixture
def stale(project: Path) -> Callable[..., dict[str, str]]:
    def look(**changes: Any) -> dict[str, str]:
        bootstrap_project(project)
        pipelines.set_requested(None)
        with KedroSession.create(project, env="smoke", runtime_params=changes) as session:
            context = session.load_context()
            return Freshness(pipelines["__default__"], context.catalog).out_of_date()

    return look


def test_nothing_runs_where_nothing_has_changed_and_then_only_what_has(project: Path) -> None:
    assert run(project)[1]["written"] == {}
    versions = {path: path.stat().st_mtime_ns for path in project.glob("data/06_models/*/*/*")}
    _, manifest = run(project, "--params", "reporting.walk_steps=4")
    assert {"latent_walk", "report"} <= set(manifest["written"])
    assert not {"train_set", "wgan_model", "encoder_model", "detector", "roc_curve"} & set(manifest["written"])
    assert "wgan_model" in manifest["read"]
    assert "raw_images" not in manifest["read"]
    assert "draw_latent_walk" in manifest["command"]
    assert "train_wgan" not in manifest["command"]
    assert {path: path.stat().st_mtime_ns for path in project.glob("data/06_models/*/*/*")} == versions
    # what was made from kept outputs is itself recognised next time
    assert run(project, "--params", "reporting.walk_steps=4")[1]["written"] == {}


def test_a_password_in_a_parameter_which_no_manifest_holds_makes_no_difference(
    smoke_project: Path, tmp_path: Path
) -> None:
    project, title = copy_of(smoke_project, tmp_path / "project"), "reporting.title=Line 3 ftp://ann:pw@host/x"
    assert [*run(project, "--nodes", "reporting.write_report", "--params", title)[1]["written"]] == ["report"]
    assert run(project, "--nodes", "reporting.write_report", "--params", title)[1]["written"] == {}


def test_how_parameters_are_written_and_which_pipelines_run_makes_no_difference(
    smoke_project: Path, tmp_path: Path
) -> None:
    project, said = copy_of(smoke_project, tmp_path / "project"), ("--params", PARTLY)
    assert "train_set" in run(project, *said)[1]["written"]
    assert run(project, "--pipelines", "scoring,reporting", *said)[1]["written"] == {}
    done = run_here(project, "--env", "smoke", "--pipelines", "reporting", "--nodes", "reporting.write_report", *said)
    assert done.status == 0, done.output
    assert "given other values" not in newest(project, "report.html").read_text()
    assert run(project, *said)[1]["written"] == {}


def test_a_changed_parameter_reaches_what_is_made_from_it(stale: Callable[..., dict[str, str]]) -> None:
    found = stale(encoder={"steps": 13})
    assert found["encoder_model"] == "encoder.steps has changed"
    assert found["roc_curve"] == "test_scores is out of date"
    assert {"detector", "test_scores", "metrics", "score_histogram"} <= set(found)
    assert not {"train_set", "test_set", "wgan_model", "wgan_history", "wgan_curves"} & set(found)


def test_a_parameter_that_only_steps_in_memory_read_reaches_what_they_lead_to(
    stale: Callable[..., dict[str, str]],
) -> None:
    assert stale(data_prep={"max_train": 300})["train_set"] == "data_prep.max_train has changed"


def test_a_parameter_that_is_there_no_more_makes_a_difference(
    stale: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Freshness._load_manifest

    def with_another(self: Freshness, version: str | None) -> dict[str, Any] | None:
        if made := load(self, version):
            made["parameters"]["data_prep"]["contrast"] = 2.0
        return made

    monkeypatch.setattr(Freshness, "_load_manifest", with_another)
    assert stale()["train_set"] == "data_prep.contrast has changed"


def test_where_runs_are_logged_makes_no_difference(stale: Callable[..., dict[str, str]]) -> None:
    before = set(stale())
    assert set(stale(tracking={"experiment": "another"})) - before <= {"report"}


def test_how_it_is_computed_and_saved_makes_no_difference(stale: Callable[..., dict[str, str]]) -> None:
    assert {name: set(values) for name, values in LIKEWISE.items()} == {**WITHOUT_EFFECT, "tracking": set()}
    assert stale(**LIKEWISE) == stale()


@pytest.mark.parametrize(
    ("change", "why"),
    [({"training": {"log_every": 7}}, "training.log_every"), ({"device": "cpu"}, "device")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rows_of_curves_and_the_device_make_a_difference(
    change: dict[str, Any], why: str, stale: Callable[..., dict[str, str]]
) -> None:
    found = stale(**change)
    assert found["wgan_history"] == f"{why} has changed"
    assert "train_set" not in found


def test_changed_code_makes_all_of_it_again(
    stale: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_code, "code_digest", lambda: "another")
    found = stale()
    assert found["train_set"] == found["report"] == "the code has changed"


def test_other_pictures_make_all_of_it_again(
    stale: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Freshness, "_sum_of", lambda self, name: "another")
    found = stale()
    assert found["train_set"] == "raw_images is another"
    assert found["wgan_model"] == "train_set is out of date"


@contextmanager
def raw_images_from(project: Path, **entry: Any) -> Iterator[None]:
    catalog = project / "conf/smoke/catalog.yml"
    catalog.write_text(yaml.safe_dump({"raw_images": entry}))
    try:
        yield
    finally:
        catalog.unlink()


def test_other_pictures_behind_kedros_cache_are_seen(
    project: Path, stale: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    others = shutil.copytree(project / "data/01_raw/mnist", tmp_path / "others")
    shutil.copy(others / "train-labels-idx1-ubyte.gz", others / "t10k-labels-idx1-ubyte.gz")
    before = stale()
    for folder, expected in ((project / "data/01_raw/mnist", before), (others, {"train_set": "raw_images is another"})):
        pictures = {"type": "fanogan_pipeline.datasets.IdxImageDataset", "filepath": str(folder)}
        with raw_images_from(project, type="CachedDataset", dataset=pictures):
            found = stale()
        assert {name: found.get(name) for name in ("train_set", *expected)} == {"train_set": None, **expected}


def test_what_is_made_from_an_input_without_a_sum_is_made_again(
    project: Path, stale: Callable[..., dict[str, str]]
) -> None:
    with raw_images_from(project, type="pandas.CSVDataset", filepath="data/01_raw/pictures.csv"):
        assert stale()["train_set"] == "nothing tells whether raw_images is the same"


class OwnPictures(AbstractDataset):
    """A source of a contributor's own, in the package where such belong, without `contents`."""

    __module__ = "fanogan_pipeline.datasets.own"

    def load(self) -> Any: ...

    def save(self, data: Any) -> None: ...

    def _describe(self) -> dict[str, Any]:
        return {}


def test_a_source_of_ones_own_that_gives_no_contents_is_not_taken_for_the_same(
    project: Path, stale: Callable[..., dict[str, str]]
) -> None:
    with raw_images_from(project, type="tests.test_freshness.OwnPictures"):
        assert stale()["train_set"] == "nothing tells whether raw_images is the same"


@contextmanager
def gone(place: Path, meanwhile: Path) -> Iterator[None]:
    """Something stored that lies in another folder for a while."""
    place.rename(meanwhile / place.name)
    try:
        yield
    finally:
        (meanwhile / place.name).rename(place)


def test_what_no_manifest_tells_of_is_made_again(
    project: Path, stale: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    before = set(stale())
    assert "wgan_model" not in before
    with gone(project / "data/08_reporting/run_manifest.json", tmp_path):
        assert stale()["wgan_model"] == "no manifest says how it was made"


def test_a_damaged_manifest_tells_of_nothing(
    project: Path, stale: Callable[..., dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    version = newest(project, "wgan_model.safetensors").parent.name
    manifest = project / f"data/08_reporting/run_manifest.json/{version}/run_manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(content[:100])
    try:
        assert stale()["wgan_model"] == "no manifest says how it was made"
    finally:
        manifest.write_bytes(content)
    assert f"{manifest}: cannot be read (" in caplog.text


def test_what_is_made_from_a_model_that_is_gone_is_made_again(
    project: Path, stale: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    with gone(project / "data/06_models/wgan_model.safetensors", tmp_path):
        assert stale()["encoder_model"] == "wgan_model is another"


def test_what_is_stored_in_another_way_than_the_projects_own_is_always_made_again(project: Path) -> None:
    catalog, file = project / "conf/smoke/catalog.yml", project / "data/08_reporting/metrics_of_another_run.json"
    catalog.write_text(f"metrics: {{type: json.JSONDataset, filepath: {file}}}")
    file.write_text("{}")
    try:
        done, manifest = run(project, "--nodes", "reporting.measure_quality,reporting.draw_roc_curve")
    finally:
        catalog.unlink()
    assert "metrics is made again: no manifest tells of a JSONDataset" in " ".join(done.output.split())
    assert "auroc" in json.loads(file.read_text())
    assert "roc_curve" not in manifest["written"]
