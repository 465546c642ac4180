"""Real schedulers and workers as processes of their own: killed, they cost nothing that was finished."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.compute import jobs, work
from tests.project import ROOT

from fanogan_pipeline.compute import shards, terms
from fanogan_pipeline.compute.executors import cluster_of, threads
from fanogan_pipeline.detection.anomaly_detector import load_restorer
from fanogan_pipeline.detection.latents import fit_latents
from fanogan_pipeline.detection.pictures import Pooling
from fanogan_pipeline.detection.statistics import fit_statistics
from fanogan_pipeline.errors import ClusterError, InputError
from fanogan_pipeline.images import ImageSet, Tiles
from fanogan_pipeline.networks import build_critic, build_encoder, build_generator
from fanogan_pipeline.parameters import ComputeParameters
from fanogan_pipeline.training.models import encoder_checkpoint, wgan_checkpoint
from fanogan_pipeline.training.wgan import Wgan

distributed = pytest.importorskip("distributed")


class Cluster:
    """A scheduler and one worker of one thread, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "scheduler.json"
        place = ["--scheduler-file", str(self.file)]
        self.processes = [self._start("scheduler", *place, "--port", "0", "--no-dashboard", "--host", "127.0.0.1")]
        self.processes.append(
            self._start("worker", *place, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder))
        )
        with distributed.Client(scheduler_file=str(self.file), timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
        self.address = json.loads(self.file.read_text())["address"]

    @staticmethod
    def _start(part: str, *arguments: str) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
        environment |= {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3"}
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", *arguments]
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster") / "dask") as started:
        yield started


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, str]:
    for name in ("notes", "parts"):
        (tmp_path / name).mkdir()
    return str(tmp_path / "notes"), str(tmp_path / "parts")


def times_computed(notes: str) -> dict[int, int]:
    """First row of a shard -> how often it was computed."""
    return {int(p.name.removeprefix("computed-")): p.stat().st_size for p in Path(notes).glob("computed-*")}


def assert_whole(found: pd.DataFrame) -> None:
    assert found["row"].tolist() == list(range(work.COUNT))
    assert found["square"].tolist() == [float(row) ** 2 for row in range(work.COUNT)]


ALL = {start: 1 for start in range(0, work.COUNT, work.SIZE)}


def test_a_killed_worker_is_replaced(cluster, places):
    assert_whole(work.client(cluster.address, *places, "worker"))
    assert times_computed(places[0]) == ALL


def test_a_killed_client_goes_on_with_what_is_missing(cluster, places):
    command = [sys.executable, "-m", "tests.compute.work", cluster.address, *places, "client"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    assert subprocess.run(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    before = times_computed(places[0])
    assert_whole(work.client(cluster.address, *places, ""))
    after = times_computed(places[0])
    assert after.keys() == ALL.keys()
    assert all(after[start] == 1 for start in before)  # nothing that was finished is done again


def test_a_killed_scheduler_is_told_and_nothing_finished_is_lost(places, tmp_path, cluster):
    with running(tmp_path / "dask") as doomed:
        scheduler = doomed.processes[0].pid
        with pytest.raises(ClusterError, match="was lost") as caught:
            work.client(doomed.address, *places, str(scheduler))
    assert "\n" not in str(caught.value)
    kept = {path.name: path.stat().st_mtime_ns for path in Path(places[1]).glob("part-*")}
    assert kept
    assert_whole(work.client(cluster.address, *places, ""))
    assert {name: (Path(places[1]) / name).stat().st_mtime_ns for name in kept} == kept


def test_no_scheduler_at_the_address_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr("fanogan_pipeline.compute.executors.CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match="no Dask scheduler answers"), cluster_of(work.compute("tcp://127.0.0.1:1")):
        pass


def test_local_shards_are_whole_and_in_order(tmp_path, places):
    with threads(2) as pool:
        assert_whole(shards.table(shards.cut(work.COUNT, work.SIZE), work.Squares(places[0]), pool))
        assert_whole(
            shards.table_of_parts(shards.cut(work.COUNT, work.SIZE), work.Squares(places[0]), Path(places[1]), pool)
        )


def test_cuts():
    assert shards.cut(10, 4) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert shards.cut(0, 4) == [slice(0, 0)]


# Residual terms: the same bytes whatever the engine.


def scene(tiled: bool) -> tuple:
    """A set of digits, whole or as tiles of bigger pictures, with models that have learnt nothing."""
    torch.manual_seed(3)
    spec, images = jobs.spec("convolutional"), jobs.digits()
    wgan_model = wgan_checkpoint(Wgan(spec, "normal", build_generator(spec), build_critic(spec)), {})
    encoder_model = encoder_checkpoint(build_encoder(spec, "linear"), wgan_model, {})
    restorer = load_restorer(wgan_model, encoder_model, "squared", jobs.CPU)
    models = {"wgan_model": wgan_model, "encoder_model": encoder_model}
    models["residual_statistics"] = fit_statistics(
        images, restorer, fit_latents(images, restorer, 16), 16, not tiled
    ).to_checkpoint({})
    return image_set(images, tiled), restorer, models


def image_set(images, tiled: bool) -> ImageSet:
    names = np.array([f"{row:03}" for row in range(len(images))])
    tiles = None
    if tiled:  # four tiles a picture of 32x32
        places = np.tile(np.array([[0, 0], [0, 16], [16, 0], [16, 16]], np.int32), (len(images) // 4, 1))
        size = np.full(len(images), 32, np.int32)
        tiles = Tiles(np.repeat(names[: len(images) // 4], 4), places[:, 0].copy(), places[:, 1].copy(), size, size)
    return ImageSet(images, names, np.zeros(len(images), bool), names, "split", tiles=tiles)


@pytest.mark.parametrize("tiled", [False, True])
def test_terms_are_the_same_bytes_on_every_engine(tiled, cluster, tmp_path):
    some, restorer, models = scene(tiled)
    settings = terms.Settings("squared", "cpu", 16, Pooling("mean", 1.0, 1.0), True)

    def measured(**engine) -> bytes:
        compute = ComputeParameters(**{"engine": "dask", "scheduler": "", "workers": 2, "shard_size": 7, **engine})
        return terms.measure(some, restorer, models, settings, compute, tmp_path / engine["engine"]).to_parquet()

    local = measured(engine="local")
    assert len(pd.read_parquet(io.BytesIO(local))) == (15 if tiled else 60)
    assert measured(engine="dask", scheduler=cluster.address) == local
    if not tiled:
        for folder in (tmp_path / "dask").glob("scoring-*/*"):
            assert not (folder / "images.npy").exists()
            for part in sorted(folder.glob("parts/*"))[::2]:
                part.unlink()
        assert measured(engine="dask") == local  # two workers do what is missing
