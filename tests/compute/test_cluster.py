"""Real schedulers and workers as processes of their own: killed, they cost nothing that was finished."""

from __future__ import annotations

import io
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.compute import work
from tests.compute.scenes import scene
from tests.project import ROOT

from fanogan_pipeline import own_code
from fanogan_pipeline.compute import executors, shards, terms
from fanogan_pipeline.compute.executors import cluster_of, processes, threads
from fanogan_pipeline.detection.picture_maps import Pooling
from fanogan_pipeline.errors import ClusterError, InputError
from fanogan_pipeline.parameters import ComputeParameters

distributed = pytest.importorskip("distributed")
from tests.compute.dask_cluster import running  # noqa: E402


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


def test_work_that_fails_is_not_done_again(cluster, places):
    with cluster_of(work.compute(cluster.address)) as executor, pytest.raises(InputError, match="would mend"):
        executor.submit(work.fail, places[0]).result()
    assert (Path(places[0]) / "failed").read_text() == "x"


def test_workers_of_other_code_compute_nothing(cluster, places, monkeypatch):
    monkeypatch.setattr(own_code, "code_digest", lambda: "of an edit since they were started")
    with pytest.raises(InputError, match=r"other code .* start the workers again"):
        work.client(cluster.address, *places, "")
    assert times_computed(places[0]) == {}


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


def test_a_killed_process_is_told_and_nothing_finished_is_lost(places):
    notes, parts = places
    task, cuts = work.Squares(notes, "worker"), shards.cut(work.COUNT, work.SIZE)
    said = pytest.raises(ClusterError, match=r"a process was killed.* give one process more memory")
    with said as caught, processes(1) as one:
        shards.table_of_parts(cuts, task, Path(parts), one)
    assert "\n" not in str(caught.value)
    before = times_computed(notes)
    assert before == {start: 1 for start in ALL if start < work.FATAL}
    with threads(1) as one:
        assert_whole(shards.table_of_parts(cuts, task, Path(parts), one))
    assert times_computed(notes) == ALL


def test_where_several_processes_compute_fewer_may_do(places):
    task, cuts = work.Squares(places[0], "worker"), shards.cut(work.COUNT, work.SIZE)
    with (
        pytest.raises(ClusterError, match=r"a process was killed.* lower compute\.workers \(here 2\)"),
        processes(2) as two,
    ):
        shards.table_of_parts(cuts, task, Path(places[1]), two)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_a_worker_keeps_its_memory_for_the_next_batch(cluster):
    with cluster_of(work.compute(cluster.address)) as executor:
        assert executor.submit(work.pages_asked_for, 50).result() < 2048  # those of one filling


def test_what_the_user_has_set_for_workers_stays(monkeypatch):
    dask = pytest.importorskip("dask")
    monkeypatch.setattr(executors, "_OWN", {})
    monkeypatch.setattr(distributed, "LocalCluster", lambda **options: options)
    with dask.config.set({"distributed.worker.memory.monitor-interval": "7s"}):
        executors._own_cluster(1)
        assert dask.config.get("distributed.worker.memory.monitor-interval") == "7s"
        assert dask.config.get("distributed.worker.profile.enabled") is False


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


@pytest.mark.parametrize("tiled", [False, True])
def test_terms_are_the_same_bytes_on_every_engine(tiled, cluster, tmp_path):
    some, restorer, models = scene(tiled)
    settings = terms.Settings("cpu", 16, Pooling("mean", 1.0, 1.0), True)

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
