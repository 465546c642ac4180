"""Several processes train one model: the same weights, whatever dies; nothing is left behind."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tests.compute import jobs
from tests.damage import no_file_above
from torch.distributed.elastic.rendezvous import c10d_rendezvous_backend

from fanogan_pipeline.compute import job_files, worker
from fanogan_pipeline.compute.side_by_side import FRESH_STORE, _as_it_was, processes_here, train_first
from fanogan_pipeline.errors import InputError, TrainingError
from fanogan_pipeline.training.distributed import SOLO
from fanogan_pipeline.training.job import train_wgan

CLOSE = {"rtol": 1e-6, "atol": 1e-6}  # in float64; a step moves a weight by about 1e-4


@pytest.fixture(autouse=True, scope="module")
def _server() -> None:
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.compute.jobs"])


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, torch.Tensor]]:
    """Every case trained by one process."""
    torch.set_num_threads(1)
    return {case: jobs.train_case(case, SOLO) for case in jobs.CASES}


def launch(processes: int, folder: Path) -> None:
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(1, 1, processes, rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="localhost")
    config.start_method, config.run_id = "forkserver", "cases"
    with _as_it_was():
        elastic_launch(config, jobs.train_cases)(str(folder))


@pytest.mark.parametrize("processes", [2, 4])
def test_any_number_of_processes_gives_the_same_weights(processes, alone, tmp_path):
    launch(processes, tmp_path)
    for case in jobs.CASES:
        together = safetensors.torch.load_file(tmp_path / f"{case}-{processes}")
        assert together.keys() == alone[case].keys()
        for name, tensor in alone[case].items():
            torch.testing.assert_close(together[name], tensor, **CLOSE, msg=lambda text: f"{case} {name}: {text}")  # noqa: B023


@pytest.fixture(scope="module")
def finished() -> dict[str, torch.Tensor]:
    """Phase 1 of the job, trained by one process from beginning to end, and its curves."""
    return weights(jobs.job(Path("unused")), None)


def weights(job, slot) -> dict[str, torch.Tensor]:
    """What the training node would store, given what the slot holds."""
    torch.set_num_threads(1)
    images = torch.from_numpy(jobs.digits())
    trained, curves = train_wgan(replace(job, slot=slot), images)
    named = {f"g.{name}": tensor for name, tensor in trained.generator.state_dict().items()}
    named |= {f"c.{name}": tensor for name, tensor in trained.critic.state_dict().items()}
    return {**named, "curves": torch.from_numpy(curves.to_numpy("float64"))}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-3, msg=lambda text: f"{name}: {text}")  # noqa: B023


def remains(folder: Path) -> list[str]:
    """All that a launch has left beside states, and processes that it has left running."""
    processes = [child.name for child in multiprocessing.active_children() if "Dask" not in child.name]
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".safetensors" and p.name != "begun") + processes


def test_a_killed_process_starts_again_from_the_last_state(finished, tmp_path):
    job = jobs.job(tmp_path, processes=2, fresh_start=True)
    rest = train_first(job, jobs.digits(), jobs.work_and_die_once)
    assert (tmp_path / "begun").read_text() == str(jobs.RESUMED_STEP)
    (tmp_path / "begun").unlink()
    assert remains(tmp_path) == []
    assert not rest.training.fresh_start
    assert_same(weights(job, job.slot), finished)


@pytest.mark.parametrize(
    ("log_every", "entry"), [(5, jobs.work_and_interrupt), (jobs.STEPS, jobs.work_slowly_and_interrupt)]
)
def test_an_interrupt_keeps_the_state_and_the_same_command_goes_on(log_every, entry, finished, tmp_path, caplog):
    job = jobs.job(tmp_path, processes=2, save_every_steps=0, log_every=log_every)
    (tmp_path / "launcher").write_text(str(os.getpid()))
    with pytest.raises(KeyboardInterrupt):
        train_first(job, jobs.digits(), entry)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("torch.distributed")] == []
    (tmp_path / "launcher").unlink()
    assert remains(tmp_path) == []
    assert jobs.DYING_STEP < job.slot.load().header["step"] < jobs.STEPS
    found = weights(job, job.slot)  # by one process, where two have begun
    assert_same(found, {name: tensor for name, tensor in finished.items() if log_every == 5 or name != "curves"})


def test_a_process_that_cannot_start_is_told_in_one_line(tmp_path, capfd):
    job = jobs.job(tmp_path, processes=2, restarts=0, fresh_start=True)
    with pytest.raises(TrainingError) as caught:
        train_first(job, jobs.digits(), jobs.work_never)
    assert str(caught.value).startswith("wgan: process 1 of 2 failed (RuntimeError: no such library)")
    assert "with --only-missing-outputs and without training.fresh_start goes on" in str(caught.value)
    assert "restarts" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert remains(tmp_path) == []
    assert job.slot.load() is None


@pytest.mark.parametrize(("limit", "file"), [(8000, "images.npy"), (16000, "wgan.safetensors")])
def test_what_processes_need_and_the_disk_does_not_take_is_told_in_one_line(limit, file, tmp_path):
    job = replace(jobs.job(tmp_path, processes=2), wgan=jobs.frozen_wgan())
    with no_file_above(limit), pytest.raises(InputError, match=rf"{file}: cannot be written \("):
        train_first(job, jobs.digits())
    assert remains(tmp_path) == []


def test_a_place_where_processes_can_be_given_nothing_is_told_in_one_line(tmp_path):
    (tmp_path / "states").write_text("no folder")
    with pytest.raises(
        InputError, match=r"states: cannot be written \(.* with --only-missing-outputs goes on from there"
    ):
        train_first(jobs.job(tmp_path / "states", processes=2), jobs.digits())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has GPUs")
def test_words_reach_the_user_and_no_restart_is_tried(tmp_path):
    job = jobs.job(tmp_path, processes=2, restarts=5)
    with pytest.raises(InputError, match=r"found more than the GPUs of .* \(0\), expected one for each process"):
        train_first(type(job)(**{**vars(job), "device": "cuda"}), jobs.digits())
    assert remains(tmp_path) == []


def test_a_process_of_other_code_does_not_train(tmp_path):
    job = jobs.job(tmp_path, processes=2)
    elsewhere = replace(job, slot=replace(job.slot, facts={**job.slot.facts, "code": "of another machine"}))
    with pytest.raises(InputError, match="other code of fanogan_pipeline"):
        train_first(elsewhere, jobs.digits())
    assert elsewhere.slot.load() is None


def test_two_machines(finished, tmp_path, caplog, unused_port):
    """Two launchers on one machine, the second as a user would type it elsewhere."""
    job = jobs.job(tmp_path, processes=1, machines=2, rendezvous=f"localhost:{unused_port}")
    others: list[subprocess.Popen] = []

    class Elsewhere(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if found := re.search(rf"{FRESH_STORE}=1 torchrun (.*)", record.getMessage()):
                command = [sys.executable, "-m", "torch.distributed.run", *found[1].split()]
                environment = {**os.environ, FRESH_STORE: "1"}
                others.append(
                    subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                )

    handler, told = Elsewhere(), logging.getLogger("fanogan_pipeline")
    told.setLevel(logging.INFO)
    told.addHandler(handler)
    try:
        train_first(job, jobs.digits())
    finally:
        told.removeHandler(handler)
        words = [other.communicate(timeout=60)[0].decode() for other in others]
    assert [other.returncode for other in others] == [0], words
    assert "waiting for 1 of 2 machines, each with: " in caplog.text
    assert remains(tmp_path) == []
    assert_same(weights(job, job.slot), finished)


def test_a_meeting_point_that_is_not_there_is_told_in_one_line(tmp_path, monkeypatch):
    connect = c10d_rendezvous_backend.TCPStore
    quickly = lambda *place, **how: connect(*place, **{**how, "timeout": timedelta(seconds=1)})  # noqa: E731
    monkeypatch.setattr(c10d_rendezvous_backend, "TCPStore", quickly)
    job = jobs.job(tmp_path, processes=1, machines=2, rendezvous="no-such-host.invalid:29400")
    with pytest.raises(TrainingError, match=r"cannot start \(.*no-such-host.*\); check training.rendezvous") as caught:
        train_first(job, jobs.digits())
    assert "\n" not in str(caught.value)
    assert remains(tmp_path) == []


@pytest.mark.parametrize(("asked", "of_environment", "count"), [(0, "", 3), (0, "2", 2), (1, "2", 1)])
def test_processes_that_torchrun_starts_take_the_threads_that_the_run_was_asked_for(
    asked, of_environment, count, tmp_path, unused_port, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", of_environment)
    job_files.write(jobs.job(tmp_path, threads=asked), tmp_path, jobs.digits())
    place = {"MASTER_ADDR": "localhost", "MASTER_PORT": f"{unused_port}", "RANK": "0", "WORLD_SIZE": "1"}
    for name, value in {**place, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)  # as torchrun does on another machine, for two processes of which this is one
    monkeypatch.setattr(worker.joblib, "cpu_count", lambda: 6)
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(worker, "run_phase", lambda *how: seen.append(torch.get_num_threads()))
    try:
        worker.work(str(tmp_path))
    finally:
        torch.set_num_threads(before)
    assert seen == [count]


def test_processes_divide_the_batch(tmp_path):
    with pytest.raises(
        InputError, match=r"training.processes: found 3, expected a number that divides wgan.batch_size"
    ):
        processes_here(jobs.job(tmp_path, processes=3))
    with pytest.raises(InputError, match=r"divides wgan.penalty_images \(4\)"):
        processes_here(jobs.job(tmp_path, processes=8))
    clipped = jobs.job(tmp_path, processes=8)
    clipped = replace(clipped, parameters=clipped.parameters.model_copy(update={"objective": "wgan_clip"}))
    assert processes_here(clipped) == 8  # where there is no penalty, its images need not be divided
    assert processes_here(jobs.job(tmp_path, processes=4)) == 4
    assert processes_here(jobs.job(tmp_path, processes="auto")) == 1
    with pytest.raises(InputError, match=r"found auto on each of 3 machines, expected a number that, 3 times, divides"):
        processes_here(jobs.job(tmp_path, processes="auto", machines=3, rendezvous="localhost:1"))


def test_auto_is_a_process_a_gpu_where_steps_are_launched_kernel_by_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    recorded = replace(jobs.job(tmp_path, processes="auto"), device="cuda")
    launched = replace(recorded, training=recorded.training.model_copy(update={"cuda_graph": False}))
    spread = recorded.training.model_copy(update={"machines": 2, "rendezvous": "localhost:1"})
    assert [processes_here(job) for job in (recorded, launched, replace(recorded, training=spread))] == [1, 2, 2]


def test_training_that_has_gone_wrong_at_its_end_leaves_a_model_where_a_warning_is_all_that_is_wanted(tmp_path):
    wild = {"objective": "wgan_plain", "learning_rate": 1.0, "critic_learning_rate": 1.0, "drift": 0.0}
    warned, stopped = (
        jobs.job(tmp_path / how, processes=2, on_failure=how, log_every=jobs.STEPS) for how in ("warn", "stop")
    )
    warned, stopped = (replace(job, parameters=job.parameters.model_copy(update=wild)) for job in (warned, stopped))
    with pytest.raises(TrainingError, match=rf"wgan step {jobs.STEPS}: the (generator|critic)"):
        train_first(stopped, jobs.digits())
    train_first(warned, jobs.digits())
    assert warned.slot.load().header["step"] == jobs.STEPS
    weights(warned, warned.slot)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]
