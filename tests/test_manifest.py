"""The manifest of a run, and that its command gives the same score tables to the byte."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import torch
import yaml
from kedro.framework.cli.utils import _split_params
from kedro.framework.project import settings
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner, ThreadRunner
from omegaconf import OmegaConf
from omegaconf.resolvers import oc
from tests.damage import VERSION
from tests.in_process import copy_of, run_here, stored_files
from tests.project import newest

from fanogan_pipeline import pipeline_registry, run_command, surroundings

TABLES = ("calibration_scores.parquet", "test_scores.parquet")


def manifest_of(project: Path) -> dict:
    return json.loads(newest(project, "run_manifest.json").read_text())


class TimedRunner(SequentialRunner):
    """Of a user's own."""


def from_python(project: Path, **wanted: Any) -> dict:
    bootstrap_project(project)
    with KedroSession.create(project, env="smoke") as session:
        session.run(**wanted)
    return manifest_of(project)


def test_the_command_repeats_a_run_from_python(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    first = from_python(project, pipeline_names=["reporting"], to_outputs=["metrics"], from_inputs=["test_scores"])
    assert "--runner" not in first["command"]
    expect_repeated(project, first)
    metrics = {"pipeline_names": ["reporting"], "node_names": (name for name in ["reporting.measure_quality"])}
    own = from_python(project, **metrics, runner=TimedRunner())
    assert own["run"]["node_names"] == "reporting.measure_quality"
    assert own["run"]["runner"] == f"{TimedRunner.__module__}.TimedRunner"
    assert own["device"] == surroundings.device(own["parameters"]["device"])["device"]


def test_a_manifest_names_the_card_that_computes_and_its_libraries(monkeypatch):
    for name, value in {"is_available": True, "get_device_name": "NVIDIA H100"}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    assert surroundings.device("auto") == {"device": "NVIDIA H100", "cuda": "13.0", "cudnn": 91002}
    assert surroundings.device("cpu") == {"device": "cpu"}


def test_a_run_that_needs_no_pytorch_does_not_load_it_to_name_what_computes():
    told = "import sys\nfrom fanogan_pipeline import surroundings as s\nprint(s.device('auto'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=120)
    assert done.stdout == "{} False\n", done.stderr


@pytest.mark.parametrize("arguments", [[], ["--only-missing-outputs"]])
def test_manifests_that_a_class_of_another_kind_would_keep_are_refused(arguments, smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    entry = {"type": "json.JSONDataset", "filepath": "data/08_reporting/mine.json", "versioned": True}
    (project / "conf/smoke/catalog.yml").write_text(yaml.safe_dump({"run_manifest": entry}))
    before = stored_files(project)
    done = run_here(project, "--env", "smoke", "--pipelines", "data_prep", *arguments)
    assert done.status == 1
    assert "run_manifest: found a JSONDataset" in done.line
    assert "expected fanogan_pipeline.datasets.JSONDataset" in done.line
    assert stored_files(project) == before


def test_pictures_behind_kedros_cache_are_summed_up_too(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    before = manifest_of(project)["read"]["raw_images"]
    pictures = {"type": "fanogan_pipeline.datasets.IdxImageDataset", "filepath": "data/01_raw/mnist"}
    entry = {"raw_images": {"type": "CachedDataset", "dataset": pictures}}
    (project / "conf/smoke/catalog.yml").write_text(yaml.safe_dump(entry))
    assert run_here(project, "--env", "smoke", "--pipelines", "data_prep").status == 0
    assert manifest_of(project)["read"]["raw_images"] == before


def test_it_tells_what_was_read_and_written(smoke_project):
    found = manifest_of(smoke_project)
    assert found["is_complete"]
    assert found["error"] is None
    assert found["command"] == "kedro run --env smoke"
    assert (found["environment"], found["pipelines"], found["seed"]) == ("smoke", ["__default__"], 0)
    assert found["parameters"]["wgan"]["steps"] == 12
    assert found["packages"]["torch"]
    assert set(found["read"]) == {"raw_images"}
    version = newest(smoke_project, "metrics.json").parent.name
    for name, fact in found["written"].items():
        file = next(smoke_project.glob(f"data/*/{name}.*/{version}/{name}.*"))
        assert fact == {"version": version, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    tables = {"calibration_scores", "test_scores", "detector", "wgan_model", "encoder_model", "train_set", "report"}
    assert tables <= set(found["written"])


def test_the_command_repeats_the_score_tables_to_the_byte(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    arguments = ["--env", "smoke", "--pipelines", "encoder,scoring", "--params", "seed=3,encoder.steps=3"]
    assert run_here(project, *arguments).status == 0
    first = manifest_of(project)
    assert set(first["read"]) >= {"wgan_model", "train_set", "test_set"}
    tables = {name: newest(project, name).read_bytes() for name in TABLES}
    # what a later run writes must not be what the repetition reads
    later = project / "data/06_models/wgan_model.safetensors" / VERSION / "wgan_model.safetensors"
    later.parent.mkdir()
    later.write_bytes(b"of another run")
    words = shlex.split(first["command"])
    assert words[:2] == ["kedro", "run"]
    assert run_here(project, *words[2:]).status == 0
    again = manifest_of(project)
    assert again["written"]["test_scores"]["version"] != first["written"]["test_scores"]["version"]
    assert {name: newest(project, name).read_bytes() for name in TABLES} == tables
    assert again["read"] == first["read"]
    assert again["command"] == first["command"]


def test_a_pin_of_what_the_run_itself_writes_is_read_and_said_in_the_command(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    old = newest(project, "wgan_model.safetensors").parent.name
    nodes, steps = "wgan.train_wgan,encoder.train_encoder", "wgan.steps=3,encoder.steps=3"
    arguments = ["--env", "smoke", "--nodes", nodes, "--params", steps]
    assert run_here(project, *arguments, "--load-versions", f"wgan_model:{old}").status == 0
    first, encoder = manifest_of(project), newest(project, "encoder_model.safetensors").read_bytes()
    assert first["read"]["wgan_model"]["version"] == old != first["written"]["wgan_model"]["version"]
    assert f"wgan_model:{old}" in first["command"]
    # the encoder is of the model that was read, so that the one that was written makes another of it
    outcome = run_here(project, *arguments, "--only-missing-outputs")
    assert "encoder_model is made again: wgan_model is another" in " ".join(outcome.output.split())
    assert newest(project, "encoder_model.safetensors").read_bytes() != encoder
    assert manifest_of(project)["read"]["wgan_model"]["version"] == first["written"]["wgan_model"]["version"]


def test_what_was_kept_and_is_made_again_beside_what_was_missing_is_written_and_not_read(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    newest(project, "encoder_history.parquet").unlink()
    assert run_here(project, "--env", "smoke", "--pipelines", "encoder", "--only-missing-outputs").status == 0
    found = manifest_of(project)
    assert "encoder_model" in found["written"]
    assert "encoder_model" not in found["read"]
    assert "wgan_model" in found["read"]


def test_the_command_of_a_run_that_had_nothing_to_do_does_nothing_either(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    pinned = f"test_set:{newest(project, 'test_set.npz').parent.name}"
    assert run_here(project, "--env", "smoke", "--only-missing-outputs", "--load-versions", pinned).status == 0
    first = manifest_of(project)
    assert first["written"] == {}
    assert first["command"] == f"kedro run --env smoke --load-versions {pinned} --only-missing-outputs"
    place = newest(project, "run_manifest.json").relative_to(project)
    assert run_here(project, "--config", str(place)).status == 0
    again = manifest_of(project)
    assert again["started"] != first["started"]
    assert again["written"] == {}
    assert again["command"] == first["command"]


def test_a_run_that_fails_part_way_says_so(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    before = manifest_of(project)
    outcome = run_here(project, "--env", "smoke", "--pipelines", "data_prep,encoder", "--params", "seed=5")
    assert outcome.status == 1
    found = manifest_of(project)
    assert found != before
    assert not found["is_complete"]
    assert found["error"].startswith("wgan_model was trained on a split of digest")
    assert found["error"].replace("'kedro run", "'kedro run --env smoke --params seed=5") in outcome.line
    assert set(found["written"]) >= {"train_set", "test_set"}
    assert "encoder_model" not in found["written"]


def test_a_value_that_no_option_can_say_goes_by_the_manifest_itself():
    run_params = {
        "env": None,
        "pipeline_names": ["data_prep"],
        "tags": ("a",),
        "runner": str(ThreadRunner()),
    }
    stated = {"data_prep.normal_classes": ["1", "2"], "data_prep.max_train": None, "seed": 4}
    options = run_command.run_options(run_params, stated, {"b": "2", "a": "1"})
    assert run_command.command(options, "place/run_manifest.json") == "kedro run --config place/run_manifest.json"
    assert run_command.as_config(options) == {
        "pipelines": "data_prep",
        "tags": "a",
        "runner": "ThreadRunner",
        "load_versions": "a:1,b:2",
        "params": {"data_prep": {"normal_classes": ["1", "2"], "max_train": None}, "seed": 4},
    }
    del stated["data_prep.normal_classes"]
    words = run_command.command(run_command.run_options(run_params, stated, {}), "x")
    assert words.endswith("--runner ThreadRunner --params data_prep.max_train=null,seed=4")


@pytest.mark.parametrize(
    "value",
    [
        "7",
        "yes",
        "",
        "null",
        "1e3",
        "0x1f",
        "a=b: c",
        "a: b: c",
        "it's #1",
        " around ",
        "two\nlines",
        "[",
        "{a: 1}",
        "*b",
    ],
)
def test_a_text_that_reads_back_as_something_else_goes_by_the_manifest_itself(value):
    assert run_command.command({"params": {"reporting.title": value}}, "m.json") == "kedro run --config m.json"


@pytest.mark.parametrize("value", ["digits", "a=b", "it's", 7, 1e-5, 2.0, -1, True, None, [3], ["a b"], [], "${x}"])
def test_a_value_that_reads_back_as_itself_is_said_in_the_command(value):
    words = shlex.split(run_command.command({"params": {"seed": 4, "reporting.title": value}}, "m.json"))
    assert words[:3] == ["kedro", "run", "--params"]
    context = click.Context(click.Command("run"))
    read = _split_params(context, click.Option(["--params"]), words[3])
    assert repr(read) == repr({"seed": 4, "reporting": {"title": value}})


def expect_repeated(project: Path, first: dict) -> dict:
    """The command that a manifest tells gives its parameters again; returns the manifest of that run."""
    assert run_here(project, *shlex.split(first["command"])[2:]).status == 0
    again = manifest_of(project)
    assert again["parameters"] == first["parameters"]
    return again


def test_the_command_repeats_a_title_that_looks_like_a_number(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/local/parameters.yml").write_text('reporting: {title: "7"}\ndata_prep: {max_train: 50}')
    assert run_here(project, "--pipelines", "data_prep", "--params", "data_prep.max_test=20").status == 0
    first = manifest_of(project)
    (project / "conf/local/parameters.yml").unlink()
    expect_repeated(project, first)


def test_the_manifest_works_as_a_configuration_of_the_command(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    (project / "conf/local").mkdir(exist_ok=True)
    classes = 'data_prep: {normal_classes: ["1", "7"], max_train: 50, max_test: 20}'
    (project / "conf/local/parameters.yml").write_text(classes)
    assert run_here(project, "--pipelines", "data_prep").status == 0
    first = manifest_of(project)
    assert first["command"].startswith("kedro run --config data/08_reporting/run_manifest.json/")
    (project / "conf/local/parameters.yml").unlink()
    again = expect_repeated(project, first)
    sums = [{name: fact["sha256"] for name, fact in one["written"].items()} for one in (first, again)]
    assert sums[0] == sums[1]


def test_configuration_that_lies_elsewhere_is_named_in_the_command(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    (project / "conf").rename(project / "ours")
    (project / "ours/smoke/parameters.yml").write_text("data_prep: {max_train: 50, max_test: 20}")
    arguments = ["--conf-source", "ours", "--env", "smoke", "--pipelines", "data_prep"]
    assert run_here(project, *arguments).status == 0
    first = manifest_of(project)
    assert shlex.split(first["command"]) == ["kedro", "run", *arguments]
    assert first["run"]["conf_source"] == "ours"
    place = newest(project, "run_manifest.json").relative_to(project)
    assert run_here(project, "--config", str(place)).status == 0
    again = manifest_of(project)
    assert (again["command"], again["parameters"]) == (first["command"], first["parameters"])


def test_the_command_repeats_parameters_that_are_taken_from_what_was_said(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    encoder, local = project / "conf/base/parameters_encoder.yml", project / "conf/local/parameters.yml"
    text = re.sub("(?m)^  steps: .*", "  steps: ${runtime_params:wgan.steps}", encoder.read_text())
    text = re.sub("(?m)^  batch_size: .*", "  batch_size: ${runtime_params:wgan.batch_size, 24}", text)
    encoder.write_text(text)
    local.parent.mkdir(exist_ok=True)
    local.write_text("wgan: {batch_size: 40}")
    said = "wgan.steps=7,data_prep.max_train=50,data_prep.max_test=20"
    outcome = run_here(project, "--pipelines", "data_prep", "--params", said)
    assert outcome.status == 0, outcome.output
    first = manifest_of(project)
    assert (first["parameters"]["encoder"]["steps"], first["parameters"]["encoder"]["batch_size"]) == (7, 24)
    local.unlink()
    expect_repeated(project, first)


def test_the_command_repeats_parameters_from_globals_of_the_users_own(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    parameters, local = project / "conf/base/parameters.yml", project / "conf/local"
    parameters.write_text(re.sub("(?m)^seed: .*", "seed: ${globals:my_seed}", parameters.read_text()))
    local.mkdir(exist_ok=True)
    (local / "globals.yml").write_text("my_seed: 7")
    (local / "parameters.yml").write_text("data_prep: {max_train: 50}")
    outcome = run_here(project, "--pipelines", "data_prep", "--params", "data_prep.max_test=20")
    assert outcome.status == 0, outcome.output
    first = manifest_of(project)
    assert (first["seed"], first["parameters"]["data_prep"]["max_test"]) == (7, 20)
    (local / "globals.yml").write_text("my_seed: 8")
    (local / "parameters.yml").unlink()
    expect_repeated(project, first)


def test_a_run_leaves_the_process_with_the_configuration_that_it_had(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/local/globals.yml").write_text("place: data/08_reporting")
    entry = "{type: json.JSONDataset, filepath: '${globals:place}/${oc.env:OWN_FILE}'}"
    (project / "conf/local/catalog.yml").write_text(f"own: {entry}")
    bootstrap_project(project)
    with pytest.MonkeyPatch.context() as settled, KedroSession.create(project) as session:
        settled.setenv("OWN_FILE", "own.json")
        settled.setitem(settings.CONFIG_LOADER_ARGS, "custom_resolvers", {"oc.env": oc.env})
        context = session.load_context()
        session.run(pipeline_names=["reporting"], to_outputs=["metrics"])
        assert str(context.catalog["own"]._filepath).endswith("data/08_reporting/own.json")
        OmegaConf.clear_resolver("oc.env")


def test_versions_of_kedros_own_datasets_are_told_too(smoke_project, tmp_path, monkeypatch):
    project = copy_of(smoke_project, tmp_path / "project")
    table = {"type": "pandas.CSVDataset", "filepath": "data/08_reporting/own.csv"}
    entries = {
        "own_notes": {"type": "json.JSONDataset", "filepath": "data/01_raw/notes.json", "versioned": True},
        "own_table": {"type": "CachedDataset", "versioned": True, "dataset": table},
    }
    (project / "conf/smoke/catalog.yml").write_text(yaml.safe_dump(entries))
    for version in ("2020-01-01T00.00.00.000Z", "2020-01-02T00.00.00.000Z"):
        file = project / f"data/01_raw/notes.json/{version}/notes.json"
        file.parent.mkdir(parents=True)
        file.write_text('"of this version"')
    nodes = [Node(lambda notes, table, logs: table, ["own_notes", "test_scores", "tensorboard"], "own_table")]
    monkeypatch.setattr(pipeline_registry, "register_pipelines", lambda: {"own": Pipeline(nodes)})
    outcome = run_here(project, "--env", "smoke", "--pipelines", "own")
    assert outcome.status == 0, outcome.output
    found = manifest_of(project)
    assert found["read"]["own_notes"] == {"version": version, "sha256": None}
    assert f"--load-versions own_notes:{version},test_scores:" in found["command"]
    assert set(found["read"]) == {"own_notes", "test_scores"}
    (written,) = (path.parent.name for path in project.glob("data/08_reporting/own.csv/*/own.csv"))
    assert found["written"] == {"own_table": {"version": written, "sha256": None}}


def test_the_catalog_may_take_a_key_of_its_own_from_what_was_said(smoke_project, tmp_path):
    project = copy_of(smoke_project, tmp_path / "project")
    (project / "conf/local").mkdir(exist_ok=True)
    entry = "{type: fanogan_pipeline.datasets.IdxImageDataset, filepath: '${runtime_params:raw, nowhere}'}"
    (project / "conf/local/catalog.yml").write_text(f"raw_images: {entry}")
    small = "data_prep.max_train=50,data_prep.max_test=20"
    outcome = run_here(project, "--pipelines", "data_prep", "--params", f"raw=data/01_raw/mnist,{small}")
    assert outcome.status == 0, outcome.output
    assert "raw=data/01_raw/mnist" in manifest_of(project)["command"]
    (project / "conf/local/catalog_mine.yml").write_text("# once: ${runtime_params:ra}")
    (project / "conf/reference/catalog.yml").write_text(
        'detector: {type: json.JSONDataset, filepath: "${runtime_params:ra}"}'
    )
    mistyped = run_here(project, "--pipelines", "data_prep", "--params", f"ra=data/01_raw/mnist,{small}")
    assert (mistyped.status, "parameters: unknown key 'ra'" in mistyped.line) == (1, True)
    archive = shutil.make_archive(str(tmp_path / "conf"), "gztar", project, "conf")  # as `kedro package` packs it
    elsewhere = ("--conf-source", archive, "--env", "local", "--pipelines", "data_prep")
    assert run_here(project, *elsewhere, "--params", f"raw=data/01_raw/mnist,{small}").status == 0


@pytest.mark.parametrize("break_it", ["no git", "no repository"])
def test_a_project_without_git_is_fine(break_it, tmp_path, monkeypatch):
    if break_it == "no git":
        monkeypatch.setenv("PATH", str(tmp_path))
    assert surroundings.git_state(tmp_path) is None


def test_a_repository_is_clean_until_a_file_is_changed(tmp_path):
    def git(*words: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD").strip()
    assert surroundings.git_state(tmp_path) == {"commit": commit, "is_clean": True}
    (tmp_path / "a.py").write_text("12")
    assert surroundings.git_state(tmp_path) == {"commit": commit, "is_clean": False}
