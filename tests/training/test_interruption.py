"""When states are saved, what a new start does with them, and how a person stops a training."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from kedro.framework.session import KedroSession
from omegaconf.errors import OmegaConfBaseException
from tests.in_process import copy_of, run_here
from tests.parts import ones, training_parameters, wgan_parameters
from tests.project import copy_project, newest

from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.errors import TrainingError
from fanogan_pipeline.networks import Checkpoint, NetworkSpec
from fanogan_pipeline.training import interrupt, loop
from fanogan_pipeline.training.distributed import Group
from fanogan_pipeline.training.job import TrainingJob, train_wgan
from fanogan_pipeline.training.state import StateSlot
from fanogan_pipeline.training.wgan import WganPhase

SPEC = NetworkSpec("convolutional", (28, 28), 1, 4, 4)
SELDOM = 1e9
TRAINING = ("--env", "smoke", "--pipelines", "data_prep,wgan", "--params")
SMALL = "wgan.steps=6,encoder.steps=6,data_prep.max_train=40,data_prep.max_test=20"


class Noting(StateSlot):
    """A slot that keeps the steps it was given."""

    def save(self, state: Checkpoint) -> None:
        super().save(state)
        self.facts.setdefault("saved", []).append(state.header["step"])

    @property
    def key(self) -> str:
        return "wgan-test"


def train(slot: StateSlot, steps: int = 7, **changes):
    training = training_parameters(**{"save_every_seconds": SELDOM, "log_every": 3, **changes})
    return train_wgan(TrainingJob(wgan_parameters(steps=steps), training, SPEC, 0, "cpu", slot), ones(60))


def slot_in(folder: Path) -> Noting:
    return Noting(StateStore(folder), "wgan", {})


@pytest.mark.parametrize(
    ("changes", "saved"),
    [
        ({}, [7]),
        ({"save_every_steps": 2}, [2, 4, 6, 7]),
        ({"save_every_steps": 3, "log_every": 100}, [3, 6, 7]),
        ({"save_every_seconds": 0.0}, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_states_are_saved_by_steps_or_by_seconds(changes, saved, tmp_path):
    slot = slot_in(tmp_path)
    train(slot, **changes)
    assert slot.facts["saved"] == saved


def test_seconds_count_from_the_save_before(tmp_path, monkeypatch):
    slot, step, clock = slot_in(tmp_path), WganPhase.step, [0.0]

    def slow(self, at: int):
        clock[0] += 4
        return step(self, at)

    monkeypatch.setattr(WganPhase, "step", slow)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    train(slot, save_every_seconds=10)
    assert slot.facts["saved"] == [3, 6, 7]


def test_a_fresh_start_can_be_forced(tmp_path, caplog):
    slot = slot_in(tmp_path)
    train(slot)
    slot.facts.clear()
    with caplog.at_level(logging.INFO):
        train(slot)
        assert "wgan: going on from step 7" in caplog.text
        caplog.clear()
        train(slot, fresh_start=True, save_every_steps=2)
    assert "going on" not in caplog.text
    assert slot.facts["saved"] == [2, 4, 6, 7]


def test_a_state_of_other_networks_is_not_gone_on_with(tmp_path, caplog):
    slot = slot_in(tmp_path)
    train(slot)
    wider = NetworkSpec("convolutional", (28, 28), 1, 4, 8)
    training = training_parameters(save_every_seconds=SELDOM)
    with caplog.at_level(logging.INFO):
        wgan, _ = train_wgan(TrainingJob(wgan_parameters(steps=2), training, wider, 0, "cpu", slot), ones(60))
    assert "wgan: starting afresh; the state kept here does not fit: generator: found" in caplog.text
    assert wgan.spec.width == 8


def test_a_state_that_is_not_finite_is_never_kept(tmp_path, monkeypatch):
    slot, step = slot_in(tmp_path), WganPhase.step

    def spoil(self, number: int):
        terms = step(self, number)
        if number == 4:
            with torch.no_grad():
                next(self.generator.parameters()).fill_(torch.nan)
        return terms

    monkeypatch.setattr(WganPhase, "step", spoil)
    with pytest.raises(TrainingError, match="wgan step 5: not finite: a weight of the generator; try"):
        train(slot, save_every_steps=1, log_every=100)
    assert slot.facts["saved"] == [1, 2, 3, 4]
    assert slot.load().header["step"] == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_state_of_that_very_step(number, tmp_path, monkeypatch, caplog):
    slot, step, before = slot_in(tmp_path), WganPhase.step, signal.getsignal(signal.SIGINT)

    def interrupt(self, at: int):
        if at == 3:
            os.kill(os.getpid(), number)
        return step(self, at)

    monkeypatch.setattr(WganPhase, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(slot)
    assert slot.facts["saved"] == [4]
    assert "wgan: stopped at step 4, which is kept to go on from" in caplog.text
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("insist", [True, False])
def test_a_second_signal_interrupts_at_once_where_it_is_to(insist):
    with interrupt.polite_interrupt(insist) as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        try:
            signal.raise_signal(signal.SIGINT)
            is_at_once = False
        except KeyboardInterrupt:
            is_at_once = True
    assert is_at_once == insist


def test_a_signal_in_the_last_step_ends_what_comes_after_it_too(tmp_path, monkeypatch):
    slot, step = slot_in(tmp_path), WganPhase.step

    def interrupt(self, at: int):
        if at == self.p.steps - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, at)

    monkeypatch.setattr(WganPhase, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(slot)
    assert slot.load().header["step"] == 7


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), TrainingError("it ran away")], ids=type)
def test_a_training_that_stops_in_a_process_that_lives_on_may_be_gone_on_with_elsewhere(stop, tmp_path, monkeypatch):
    slot, step = slot_in(tmp_path), WganPhase.step

    def end(self, at: int):
        if at == 4:
            raise stop
        return step(self, at)

    monkeypatch.setattr(WganPhase, "step", end)
    with pytest.raises(type(stop)):
        train(slot, save_every_steps=2)
    (state,) = tmp_path.glob("*.safetensors")
    assert not is_held(state)
    monkeypatch.setattr(WganPhase, "step", step)
    train(slot)
    assert is_held(state)  # until its model is stored


def is_held(state: Path) -> bool:
    """Whether another process would find that somebody is at the training."""
    with state.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_complaint_that_is_but_warned_of_keeps_no_state_from_being_kept(tmp_path, monkeypatch):
    slot = slot_in(tmp_path)
    monkeypatch.setattr(WganPhase, "complaint", lambda self, values: "looks odd")
    train(slot, save_every_steps=2, log_every=2, on_failure="warn")
    assert slot.facts["saved"] == [2, 4, 6, 7]


@pytest.mark.parametrize(
    ("params", "way"),
    [
        (SMALL, "--only-missing-outputs"),
        (f"{SMALL},training.fresh_start=true", "--only-missing-outputs and without training.fresh_start"),
    ],
    ids=["as it is", "fresh start"],
)
def test_ctrl_c_on_the_command_exits_130_and_the_command_it_names_goes_on(params, way, tmp_path, monkeypatch, caplog):
    project, step = copy_project(tmp_path / "project"), WganPhase.step

    def interrupt(self, at: int):
        if at == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, at)

    monkeypatch.setattr(WganPhase, "step", interrupt)
    outcome = run_here(project, *TRAINING, params)
    assert outcome.status == 130
    assert outcome.line == f"Interrupted; the same command with {way} goes on from where it stopped."
    (state,) = states(project)
    monkeypatch.setattr(WganPhase, "step", step)
    outcome = run_here(project, *TRAINING, SMALL, "--only-missing-outputs")
    assert outcome.status == 0
    assert "wgan: going on from step 3" in " ".join(outcome.output.split())
    assert not state.exists()  # the model is stored, so the state's work is done
    assert versions(project, "wgan_model") == versions(project, "train_set") == 1


def test_what_another_training_of_the_same_process_stores_leaves_a_stopped_one_its_state(tmp_path, monkeypatch):
    project = copy_project(tmp_path / "project")
    with monkeypatch.context() as during:
        during.setattr(WganPhase, "step", lambda self, at: os.kill(os.getpid(), signal.SIGINT) or {})
        assert run_here(project, *TRAINING, SMALL).status == 130
    (state,) = states(project)
    assert run_here(project, *TRAINING, SMALL.replace("wgan.steps=6", "wgan.steps=4")).status == 0
    assert states(project) == [state]


def test_a_state_stays_until_the_curves_too_are_stored(tmp_path):
    project = copy_project(tmp_path / "project")
    (place := project / "data/07_model_output/wgan_history.parquet").parent.mkdir()
    place.write_text("in the way")
    outcome = run_here(project, *TRAINING, SMALL)
    assert outcome.status == 1
    assert "wgan_history.parquet: not saved" in outcome.line
    assert versions(project, "wgan_model") == 1
    (state,) = states(project)
    assert not is_held(state)
    place.unlink()
    outcome = run_here(project, *TRAINING, SMALL, "--only-missing-outputs")
    assert outcome.status == 0
    assert "wgan: going on from step 6" in " ".join(outcome.output.split())
    assert states(project) == []


def states(project: Path) -> list[Path]:
    """Of unfinished trainings."""
    return list(project.glob("data/06_models/.training_states/wgan-*.safetensors"))


@pytest.mark.parametrize(
    ("fresh_start", "way"),
    [("false", ""), ("true", " without training.fresh_start")],
    ids=["as it is", "fresh start"],
)
def test_before_anything_is_stored_the_very_same_command_goes_on(
    fresh_start, way, smoke_project, tmp_path, monkeypatch
):
    project = copy_of(smoke_project, tmp_path / "project")
    conf = project / "conf/smoke/parameters.yml"
    conf.write_text(conf.read_text().replace("training:", f"training:\n  fresh_start: {fresh_start}"))
    monkeypatch.setattr(WganPhase, "step", lambda self, at: os.kill(os.getpid(), signal.SIGINT) or {})
    outcome = run_here(project, "--env", "smoke", "--pipelines", "wgan", "--params", "seed=4")
    assert outcome.status == 130
    assert outcome.line == f"Interrupted; the same command{way} goes on from where it stopped."


DYING = """
import os
from kedro.framework.cli.cli import main
from fanogan_pipeline.training.encoder import EncoderPhase

step = EncoderPhase.step

def die(self, at):
    if at == 2:
        os.kill(os.getpid(), {number})
    return step(self, at)

EncoderPhase.step = die
main()
"""


@pytest.mark.parametrize(
    ("number", "status", "goes_on"),
    [(signal.SIGINT, 130, "encoder: going on from step 3"), (signal.SIGKILL, -signal.SIGKILL, "")],
    ids=["Ctrl-C", "kill -9"],
)
def test_a_run_stopped_in_the_second_phase_does_not_train_the_first_again(number, status, goes_on, tmp_path):
    project = copy_project(tmp_path / "project")
    arguments = ("--env", "smoke", "--pipelines", "data_prep,wgan,encoder", "--params", SMALL)
    done = subprocess.run(
        [sys.executable, "-c", DYING.format(number=int(number)), "run", *arguments],
        **{"cwd": project, "env": {**os.environ, "PYTHONPATH": str(project / "src")}},
        **{"capture_output": True, "text": True, "timeout": 300},
    )
    assert done.returncode == status, done.stderr
    manifest = json.loads(newest(project, "run_manifest.json").read_text())
    assert not manifest["is_complete"]
    assert {"train_set", "wgan_model", "wgan_history"} <= set(manifest["written"])
    assert "encoder_model" not in manifest["written"]
    outcome = run_here(project, *arguments, "--only-missing-outputs")
    assert outcome.status == 0, outcome.output
    assert goes_on in " ".join(outcome.output.split())
    assert versions(project, "wgan_model") == versions(project, "encoder_model") == 1
    assert not list(project.glob("data/**/.partial-*"))


def versions(project: Path, name: str) -> int:
    """How often an output has been stored."""
    return len(list(project.glob(f"data/*/{name}.*/*/{name}.*")))


@pytest.mark.parametrize(
    ("step_seconds", "expected"),
    [(0.01, [1, 100, 200]), (0.125, [1, 41, 81, 100, 140, 180, 200]), (9.0, [*range(1, 201)])],
)
def test_several_processes_ask_one_another_at_logged_steps_and_every_few_seconds(step_seconds, expected, monkeypatch):
    clock, asked = [0.0], []

    class Pair(Group):
        def most(self, numbers):
            asked.append(round(clock[0] / step_seconds))
            return [float(number) for number in numbers]

    monkeypatch.setattr(interrupt, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    is_stopping = interrupt.Stopping(Pair(0, 2), lambda: True, 0, log_every=100)
    stops = []
    for step in range(1, 201):
        clock[0] = step * step_seconds
        stops += [step] if is_stopping(step) else []
    assert stops == asked == expected


def test_an_interrupt_that_comes_out_as_an_error_of_a_clean_up_is_one(smoke_project, monkeypatch):
    def configure(self):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise OmegaConfBaseException("found a node without a parent")  # noqa: B904, as a clean-up that fails

    monkeypatch.setattr(KedroSession, "load_context", configure)
    outcome = run_here(smoke_project, "--env", "smoke", "--pipelines", "wgan")
    assert outcome.status == 130
    assert outcome.line.startswith("Interrupted; ")
