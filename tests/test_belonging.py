"""Files that do not belong together are refused, with both versions and the command that mends it."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from kedro.io import Version
from tests.in_process import copy_of, run_here, stored_files
from tests.parts import group

from fanogan_pipeline.datasets import CheckpointDataset, ImageSetDataset, ParquetDataset
from fanogan_pipeline.detection.anomaly_detector import AnomalyDetector
from fanogan_pipeline.errors import MismatchError
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.pipelines.scoring import nodes

SMALL = "wgan.steps=1,encoder.steps=1,data_prep.max_train=40,data_prep.max_test=30,training.log_every=1"
CPU = torch.device("cpu")
# the pipelines or node, the file that is taken from the first run, what is said, the two files it names, what mends it
CASES = {
    "encoder of another WGAN": (
        ("--pipelines", "scoring"),
        "wgan_model",
        "encoder_model was trained on the wgan_model of digest",
        ("wgan_model", "encoder_model"),
        "run 'kedro run --env smoke --pipelines encoder'",
    ),
    "WGAN of another split": (
        ("--pipelines", "encoder"),
        "train_set selection_set",
        "wgan_model was trained on a split of digest",
        ("train_set", "wgan_model"),
        "run 'kedro run --env smoke --only-missing-outputs'",
    ),
    "selection set of another split": (
        ("--pipelines", "scoring"),
        "selection_set",
        "train_set",
        ("selection_set", "train_set"),
        "run 'kedro run --env smoke --pipelines data_prep'",
    ),
    "training set of another split": (
        ("--pipelines", "wgan"),
        "train_set",
        "train_set",
        ("selection_set", "train_set"),
        "run 'kedro run --env smoke --pipelines data_prep'",
    ),
    "calibration set of another split": (
        ("--pipelines", "scoring"),
        "calibration_set",
        "train_set",
        ("calibration_set", "train_set"),
        "run 'kedro run --env smoke --pipelines data_prep'",
    ),
    "scores of another detector": (
        ("--nodes", "reporting.measure_quality"),
        "detector",
        "test_scores was judged by the detector of digest",
        ("detector", "test_scores"),
        "run 'kedro run --env smoke --pipelines scoring'",
    ),
    "pixel numbers of another detector": (
        ("--nodes", "reporting.measure_quality"),
        "pixel_quality",
        "pixel_quality was measured with the detector of digest",
        ("pixel_quality", "detector"),
        "run 'kedro run --env smoke --pipelines scoring'",
    ),
    "maps of another detector": (
        ("--nodes", "reporting.draw_heatmap_gallery"),
        "residual_maps",
        "residual_maps was measured with the detector of digest",
        ("residual_maps", "detector"),
        "run 'kedro run --env smoke --pipelines scoring'",
    ),
    "scores of another split": (
        ("--nodes", "reporting.draw_decision_gallery"),
        "test_set",
        "test_scores was made on a split of digest",
        ("test_set", "test_scores"),
        "run 'kedro run --env smoke --only-missing-outputs'",
    ),
}


def versions(project: Path, name: str) -> list[str]:
    return sorted(path.parent.name for path in project.glob(f"data/*/{name}.*/*/{name}.*"))


def stored(project: Path, kind: type, name: str, version: int) -> object:
    place = next(project.glob(f"data/*/{name}.*"))
    return kind(filepath=str(place), version=Version(versions(project, name)[version], None)).load()


@pytest.fixture(scope="module")
def twice(smoke_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole runs of different seeds: every file has two versions, of different splits too."""
    project = copy_of(smoke_project, tmp_path_factory.mktemp("twice") / "project")
    pipelines = "data_prep,wgan,encoder,scoring"
    outcome = run_here(project, "--env", "smoke", "--pipelines", pipelines, "--params", f"seed=1,{SMALL}")
    assert outcome.status == 0, outcome.line
    return project


@pytest.mark.parametrize("case", CASES)
def test_a_mixture_is_refused_with_both_versions_and_what_mends_it(case, twice):
    arguments, old, said, named, mends = CASES[case]
    before = stored_files(twice)
    olds = old.split()
    pinned = ",".join(f"{name}:{versions(twice, name)[0]}" for name in olds)
    outcome = run_here(twice, "--env", "smoke", *arguments, "--load-versions", pinned)
    assert outcome.status == 1
    assert outcome.line.startswith(f"Error: {said}")
    for name in named:
        assert f"{name} {versions(twice, name)[0 if name in olds else 1]}" in outcome.line
    assert mends in outcome.line
    assert "--load-versions" in outcome.line
    assert stored_files(twice) == before


def test_what_mends_it_has_the_parameters_of_the_run(twice, tmp_path):
    pinned = f"wgan_model:{versions(twice, 'wgan_model')[0]}"
    arguments = ["--env", "smoke", "--pipelines", "scoring", "--load-versions", pinned]
    said = "wgan.objective=wgan_gp,data_prep.normal_classes=['8']"
    line = run_here(twice, *arguments, "--conf-source", str(twice / "conf"), "--params", said).line
    command = line.split("run '", 1)[1].split("' to make one that fits")[0]
    source = ["--conf-source", str(twice / "conf")]
    assert shlex.split(command) == ["kedro", "run", *source, *arguments[:2], "--params", said, "--pipelines", "encoder"]
    (tmp_path / "run.yml").write_text("run: {params: {data_prep: {normal_classes: ['1', '8']}}}")
    line = run_here(twice, *arguments, "--config", str(tmp_path / "run.yml")).line
    assert "run 'kedro run --env smoke --config ... --pipelines encoder'" in line  # no option says a list of two


@pytest.mark.parametrize("node", ["draw_score_boxplot", "draw_score_histogram", "write_report"])
def test_numbers_of_another_detector_go_into_no_figure_and_no_report(node, twice):
    before = stored_files(twice)
    outcome = run_here(twice, "--env", "smoke", "--nodes", f"reporting.{node}")
    assert outcome.status == 1
    assert outcome.line.startswith("Error: metrics was measured with the detector of digest")
    assert f"metrics {versions(twice, 'metrics')[0]}" in outcome.line
    assert "run 'kedro run --env smoke --pipelines reporting'" in outcome.line
    assert stored_files(twice) == before


@pytest.fixture(scope="module")
def reported(twice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole runs, reports and all."""
    project = copy_of(twice, tmp_path_factory.mktemp("reported") / "project")
    outcome = run_here(project, "--env", "smoke", "--pipelines", "reporting")
    assert outcome.status == 0, outcome.line
    return project


# what is taken from the first run, the nodes that run, what is refused then, and of what it is
OF_WGAN, OF_ENCODER = "--pipelines encoder,scoring,reporting", "--pipelines scoring,reporting"
REPORTED = {
    "class_recall": ([], "class_recall was judged by the detector", "--pipelines reporting"),
    "roc_curve": ([], "roc_curve shows the detector", "--pipelines reporting"),
    "generated_samples": ([], "generated_samples shows the wgan_model", OF_WGAN),
    "latent_walk": ([], "latent_walk shows the wgan_model", OF_WGAN),
    "restoration": ([], "restoration shows the encoder_model", OF_ENCODER),
    "wgan_history": (["draw_wgan_curves"], "wgan_curves shows the wgan_model", OF_WGAN),
    "encoder_history": (["draw_encoder_curves"], "encoder_curves shows the encoder_model", OF_ENCODER),
    # nothing of these is shown but what they were made with, which stands there as the detector's
    "wgan_model": ([], "detector was made with the wgan_model", OF_WGAN),
    "encoder_model": ([], "detector was made with the encoder_model", OF_ENCODER),
    "split_manifest": ([], "detector was calibrated on a split", "--only-missing-outputs"),
}


@pytest.mark.parametrize("old", REPORTED)
def test_a_report_shows_one_training_and_one_detector(old, reported):
    drawn, said, mends = REPORTED[old]
    nodes = ",".join(f"reporting.{node}" for node in [*drawn, "write_report"])
    pinned = f"{old}:{versions(reported, old)[0]}"
    outcome = run_here(reported, "--env", "smoke", "--nodes", nodes, "--load-versions", pinned)
    assert outcome.status == 1
    assert outcome.line.startswith(f"Error: {said} of digest")
    assert f"run 'kedro run --env smoke {mends}'" in outcome.line
    for curves in drawn:  # what was drawn of the pinned one is not what later runs read
        name = curves.removeprefix("draw_")
        version = versions(reported, name)[-1]
        shutil.rmtree(next(reported.glob(f"data/*/{name}.png/{version}")))


def test_residuals_are_not_fitted_on_sets_of_different_splits(twice):
    sets = [stored(twice, ImageSetDataset, name, k) for k, name in enumerate(("train_set", "selection_set"))]
    wgan_model = stored(twice, CheckpointDataset, "wgan_model", 0)
    with pytest.raises(MismatchError, match=r"train_set is of a split of digest.*--pipelines data_prep'"):
        nodes.fit_residuals(*sets, None, wgan_model, None, group("scoring"))


def test_two_score_tables_of_different_detectors_are_not_drawn_together(twice):
    from fanogan_pipeline.pipelines.reporting.nodes import draw_histogram

    tables = [stored(twice, ParquetDataset, name, k) for k, name in enumerate(("test_scores", "calibration_scores"))]
    with pytest.raises(MismatchError, match="test_scores was judged by the detector of digest"):
        draw_histogram(*tables, {"threshold": 1.0})


@pytest.mark.parametrize("other", ["wgan_model", "encoder_model"])
def test_terms_are_not_measured_with_the_statistics_of_other_models(other, twice):
    image_set = stored(twice, ImageSetDataset, "test_set", 1)
    kept = {"wgan_model": 1, "encoder_model": 0, "residual_statistics": 0 if other == "wgan_model" else 1}
    wgan_model, encoder_model, statistics = (stored(twice, CheckpointDataset, *file) for file in kept.items())
    with pytest.raises(MismatchError, match=f"residual_statistics was made with the {other} of digest") as caught:
        nodes.measure(image_set, None, statistics, wgan_model, encoder_model, group("scoring"), None, None)
    assert f"version {versions(twice, other)[kept[other]]}" in str(caught.value)


def test_a_detector_judges_only_the_split_that_it_was_calibrated_on(twice):
    detector = json.loads(next(twice.glob(f"data/*/detector.json/{versions(twice, 'detector')[0]}/*")).read_text())
    with pytest.raises(MismatchError, match="detector was calibrated on a split of digest"):
        nodes.judge(stored(twice, ImageSetDataset, "test_set", 1), None, detector)


@pytest.mark.parametrize("measure", [nodes.map_sample, nodes.measure_pixels])
def test_maps_are_measured_only_with_the_statistics_and_on_the_split_of_their_detector(measure, twice):
    image_sets = [stored(twice, ImageSetDataset, "test_set", k) for k in (0, 1)]
    statistics = [stored(twice, CheckpointDataset, "residual_statistics", k) for k in (0, 1)]
    detector = json.loads(next(twice.glob(f"data/*/detector.json/{versions(twice, 'detector')[1]}/*")).read_text())
    seed = {"seed": 0} if measure is nodes.map_sample else {}
    with pytest.raises(MismatchError, match="detector was calibrated on a split of digest"):
        measure(image_sets[0], None, statistics[1], detector, group("scoring"), **seed)
    with pytest.raises(MismatchError, match="detector was made with the residual_statistics of digest"):
        measure(image_sets[1], None, statistics[0], detector, group("scoring"), **seed)


@pytest.mark.parametrize(
    ("others", "said", "mends"),
    [
        # as while a retraining is under way, when scoring would refuse the pair
        (["wgan_model"], "encoder_model was trained on the wgan_model", "encoder"),
        (["encoder_model"], "encoder_model was trained on the wgan_model", "encoder"),
        (["wgan_model", "encoder_model"], "detector was made with the wgan_model", "scoring"),
        (["residual_statistics"], "detector was made with the residual_statistics", "scoring"),
    ],
)
def test_a_detector_works_only_with_the_files_it_was_made_with(others, said, mends, twice):
    names = ("wgan_model", "encoder_model", "residual_statistics")
    files: list[Checkpoint] = [stored(twice, CheckpointDataset, name, 0 if name in others else 1) for name in names]
    detector = json.loads(next(twice.glob(f"data/*/detector.json/{versions(twice, 'detector')[1]}/*")).read_text())
    with pytest.raises(MismatchError, match=f"{said} of digest") as caught:
        AnomalyDetector.load(*files, detector, CPU)
    assert f"version {versions(twice, others[0])[0]}" in str(caught.value)
    assert f"run 'kedro run --pipelines {mends}'" in str(caught.value)
