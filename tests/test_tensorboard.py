"""TensorBoard finds the curves, the sample sheets and the graphs of a run in the folder of its version."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.damage import no_file_above
from tests.project import newest

from fanogan_pipeline.datasets.tensorboard import TensorBoardDataset, TensorBoardLogs
from fanogan_pipeline.errors import InputError


def logged(folder: Path) -> EventAccumulator:
    """What TensorBoard reads in one folder, all of it."""
    return EventAccumulator(str(folder), {"scalars": 0, "images": 0}).Reload()


@pytest.fixture(scope="module")
def logs(smoke_project) -> Path:
    """The one run's folder, named after the version of what the run saved."""
    version = newest(smoke_project, "wgan_history.parquet").parent.name
    (folder,) = (smoke_project / "data/08_reporting/tensorboard").iterdir()
    assert folder.name == version
    return folder


@pytest.mark.parametrize("phase", ["wgan", "encoder"])
def test_the_curves_are_those_of_the_history(phase, smoke_project, logs):
    history = pd.read_parquet(newest(smoke_project, f"{phase}_history.parquet")).dropna(axis="columns", how="all")
    found = logged(logs / phase)
    assert set(found.Tags()["scalars"]) == {f"{phase}/{name}" for name in history.columns if name != "step"}
    for name in history.columns.drop("step"):
        points = found.Scalars(f"{phase}/{name}")
        assert [point.step for point in points] == history["step"].tolist()
        assert [point.value for point in points] == pytest.approx(history[name].tolist(), rel=1e-5)


def test_a_sheet_of_generated_images_shows_more_than_one_shade(logs, smoke_project):
    (sheet,) = logged(logs / "wgan").Images("wgan/generated_samples")
    assert sheet.step >= pd.read_parquet(newest(smoke_project, "wgan_history.parquet"))["step"].max()
    assert np.asarray(Image.open(io.BytesIO(sheet.encoded_image_string))).std() > 0


@pytest.mark.parametrize("network", ["wgan/generator", "wgan/critic", "encoder/encoder"])
def test_the_graph_of_each_network_is_there(network, logs):
    graph = logged(logs / network).Graph()
    assert any("onvolution" in node.op for node in graph.node)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of TensorBoard's own thread
def test_logs_that_the_disk_does_not_take_are_told_in_one_line(tmp_path):
    said = pytest.raises(InputError, match=f"{tmp_path}/wgan: cannot be written \\(File too large\\); ")
    with no_file_above(4096), said as caught, TensorBoardLogs(tmp_path).run("wgan") as log:
        for step in range(200):
            log.scalars(step, {"loss_critic": 0.5})
    assert "\n" not in str(caught.value)


def test_a_url_in_place_of_a_folder_is_refused():
    with pytest.raises(InputError, match="s3://bucket/tensorboard: found a URL, expected a local folder"):
        TensorBoardDataset(filepath="s3://bucket/tensorboard")
