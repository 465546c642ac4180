"""Both phases on real ones: repeatable, resumable, and the frozen stay frozen."""

from __future__ import annotations

import copy
import logging
import sys

import pytest
import torch
from tests.parts import encoder_parameters, group, ones, training_parameters, wgan_parameters
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.errors import TrainingError
from fanogan_pipeline.networks import NetworkSpec, Wgan
from fanogan_pipeline.training import health
from fanogan_pipeline.training.encoder import EncoderPhase
from fanogan_pipeline.training.job import TrainingJob, train_encoder, train_wgan
from fanogan_pipeline.training.loop import run_phase
from fanogan_pipeline.training.state import StateSlot, facts_of
from fanogan_pipeline.training.wgan import WganPhase

CPU = torch.device("cpu")
SPEC = NetworkSpec("convolutional", (28, 28), 1, 4, 4)


class PowerCutError(Exception):
    pass


def cut_at(last: int):
    def observe(step: int, values: dict[str, float]) -> None:
        if step >= last:
            raise PowerCutError

    return observe


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def trained(steps: int = 6, seed: int = 0, slot: StateSlot | None = None, observe=None, **changes) -> Wgan:
    parameters = wgan_parameters(steps=steps, **changes)
    training = training_parameters(save_every_seconds=0.0, log_every=2)
    return train_wgan(TrainingJob(parameters, training, SPEC, seed, "cpu", slot), ones(60), observe)


@pytest.mark.parametrize("objective", ["wgan_gp", "wgan_clip", "wgan_plain"])
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(objective):
    first, history = trained(objective=objective)
    again, _ = trained(objective=objective)
    other, _ = trained(objective=objective, seed=1)
    assert same(weights(first.generator), weights(again.generator))
    assert same(weights(first.critic), weights(again.critic))
    assert not same(weights(first.generator), weights(other.generator))
    assert history["step"].tolist() == [2, 4, 6]
    assert history[["term_real", "term_fake", "loss_critic", "loss_generator"]].notna().all().all()
    assert history["gradient_penalty"].notna().all() == (objective == "wgan_gp")


@pytest.mark.parametrize(
    ("architecture", "objective", "is_told"),
    [("convolutional", "wgan_gp", False), ("reference", "wgan_gp", True), ("reference", "wgan_plain", False)],
)
def test_a_penalty_through_batch_norm_earns_a_warning(architecture, objective, is_told, caplog):
    parameters = wgan_parameters(architecture=architecture, objective=objective)
    WganPhase(ones(60), NetworkSpec(architecture, (28, 28), 1, 4, 4), parameters, 0, CPU)
    assert ("no image a gradient of its own" in caplog.text) == is_told


def test_whoever_watches_a_training_that_goes_on_is_told_of_every_logged_step_from_the_first(tmp_path):
    def told(**slot) -> list[tuple[int, dict[str, float]]]:
        seen = []
        trained(**slot, observe=lambda *row: seen.append(row))
        return seen

    slot = StateSlot(StateStore(tmp_path), "wgan", {})
    with pytest.raises(PowerCutError):
        trained(slot=slot, observe=cut_at(4))
    again = told(slot=slot)
    assert [step for step, _ in again] == [2, 4, 6]
    assert again == told()


@pytest.mark.parametrize("architecture", ["convolutional", "reference"])
def test_a_wgan_that_was_cut_off_ends_with_the_very_same_weights(architecture, tmp_path):
    spec, parameters = NetworkSpec(architecture, (28, 28), 1, 4, 4), wgan_parameters(architecture=architecture, steps=8)
    training = training_parameters(save_every_seconds=0.0, log_every=2)

    def run(slot=None, observe=None):
        return train_wgan(TrainingJob(parameters, training, spec, 0, "cpu", slot), ones(60), observe)

    whole, history = run()
    slot = StateSlot(StateStore(tmp_path), "wgan", {"a": 1})
    with pytest.raises(PowerCutError):
        run(slot, cut_at(6))
    assert slot.load().header["step"] == 5
    resumed, history_resumed = run(slot)
    assert same(weights(whole.generator), weights(resumed.generator))
    assert same(weights(whole.critic), weights(resumed.critic))
    assert history.equals(history_resumed)


@pytest.mark.parametrize("objective", ["izi_f", "izi", "ziz"])
def test_an_encoder_that_was_cut_off_ends_with_the_very_same_weights(objective, tmp_path, caplog):
    wgan, _ = trained()
    parameters = encoder_parameters(objective=objective, steps=8)
    training = training_parameters(save_every_seconds=0.0, log_every=2)

    def run(slot=None, observe=None):
        return train_encoder(TrainingJob(parameters, training, SPEC, 0, "cpu", slot, wgan), ones(60), observe)

    whole, history = run()
    slot = StateSlot(StateStore(tmp_path), "encoder", {"a": 1})
    with pytest.raises(PowerCutError):
        run(slot, cut_at(4))
    with caplog.at_level(logging.INFO):
        resumed, history_resumed = run(slot)
    assert "encoder: going on from step 3" in caplog.text
    assert same(weights(whole), weights(resumed))
    assert history.equals(history_resumed)
    used = {"izi_f": {"term_izi", "term_features"}, "izi": {"term_izi"}, "ziz": {"term_ziz"}}[objective]
    assert {name for name in ("term_izi", "term_ziz", "term_features") if history[name].notna().all()} == used


def test_changed_parameters_start_afresh_and_say_so(tmp_path, caplog):
    store = StateStore(tmp_path)
    with pytest.raises(PowerCutError):
        trained(slot=StateSlot(store, "wgan", {"width": 4}), observe=cut_at(4))
    with caplog.at_level(logging.INFO):
        trained(slot=StateSlot(store, "wgan", {"width": 8}))
    assert "starting afresh" in caplog.text


def test_generator_and_critic_stay_as_they_are_while_the_encoder_trains():
    wgan, _ = trained()
    before = weights(wgan.generator) + weights(wgan.critic)  # batch norm's running statistics among them
    train_encoder(TrainingJob(encoder_parameters(steps=4), training_parameters(), SPEC, 0, "cpu", wgan=wgan), ones(60))
    assert same(before, weights(wgan.generator) + weights(wgan.critic))
    assert not wgan.generator.training


def test_training_that_runs_away_stops_with_words_and_keeps_the_last_good_state(tmp_path):
    slot = StateSlot(StateStore(tmp_path), "wgan", {})
    with pytest.raises(TrainingError, match=r"wgan step \d+: .*(not finite|ran away).*try"):
        trained(steps=200, objective="wgan_plain", learning_rate=1.0, critic_learning_rate=1.0, slot=slot)
    kept = slot.load()
    assert kept is None or all(tensor.isfinite().all() for name, tensor in kept.tensors.items() if "module" in name)


def test_what_stops_a_training_is_told_below_its_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    job = TrainingJob(wgan_parameters(steps=9), training_parameters(log_every=1), SPEC, 0, "cpu")
    with pytest.raises(PowerCutError) as stopped:
        train_wgan(job, ones(60), cut_at(2))
    assert capsys.readouterr().err.endswith("\n"), stopped  # which keeps the bar: let go of it would end by itself


def test_a_state_that_is_not_finite_takes_no_good_one_s_place_where_training_goes_on(tmp_path, caplog):
    phase, slot = WganPhase(ones(60), SPEC, wgan_parameters(), 0, CPU), StateSlot(StateStore(tmp_path), "wgan", {})

    def poison(step: int, values: dict[str, float]) -> None:
        next(phase.modules["critic"].parameters()).data.fill_(float("nan"))

    run_phase(phase, 6, training_parameters(log_every=4, save_every_steps=1, on_failure="warn"), slot, poison)
    assert slot.load().header["step"] == 3
    assert "wgan step 6: " in caplog.text


def test_losses_and_weights_that_are_not_finite_are_named():
    module = nn.Linear(2, 1)
    assert health.finite_complaint({"loss_critic": 1.0}, {"critic": module}) == ""
    assert "not finite: loss_critic;" in health.finite_complaint({"loss_critic": float("nan")}, {"critic": module})
    module.weight.data[0, 1] = float("inf")
    assert "not finite: a weight of the critic;" in health.finite_complaint({}, {"critic": module})


@pytest.mark.parametrize("on_failure", ["stop", "warn"])
def test_a_complaint_stops_or_warns_as_the_parameter_says(on_failure, caplog):
    complaint = health.runaway_complaint({"term_real": 1e9})
    assert "ran away" in complaint
    assert "ran away" in health.runaway_complaint({"term_real": 0.0, "term_fake": -1e9})
    if on_failure == "stop":
        with pytest.raises(TrainingError, match="wgan step 7: the critic ran away"):
            health.act(complaint, "wgan", 7, on_failure)
    else:
        health.act(complaint, "wgan", 7, on_failure)
        assert "wgan step 7: the critic ran away" in caplog.text


def test_a_generator_that_shows_one_image_is_noticed_and_a_varied_one_is_not():
    real = torch.rand(32, 1, 8, 8)
    assert "one image only" in health.collapse_complaint(real, real[:1].expand(32, -1, -1, -1))
    assert health.collapse_complaint(real, torch.rand(32, 1, 8, 8)) == ""


@pytest.mark.filterwarnings("error")
def test_batches_of_one_image_tell_nothing_of_a_generator_and_warn_of_nothing():
    assert health.collapse_complaint(torch.rand(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)) == ""


def test_a_look_at_the_generator_reads_no_other_batch(monkeypatch):
    """Another one would be of another pass over the data, which is drawn anew."""
    phase = WganPhase(ones(60), SPEC, wgan_parameters(), 0, CPU)
    phase.step(3)
    order = phase.real.batches._orders
    monkeypatch.setattr(phase.real.batches, "rows", None)
    assert phase.complaint({}) == health.collapse_complaint(phase._last_real, phase._last_fake)
    assert phase.real.batches._orders is order


def test_the_penalty_may_be_taken_over_part_of_the_batch():
    phase = WganPhase(ones(60), SPEC, wgan_parameters(penalty_images=3), 0, CPU)
    drawn = []
    original = torch.rand

    def counted(*size, **kwargs):
        drawn.append(size)
        return original(*size, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", counted)
        phase.step(0)
    assert (3,) in drawn


class Recorder(TorchDispatchMode):
    """Names of the operations that go by."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("architecture", ["convolutional", "reference", "residual"])
def test_no_step_waits_for_a_number_of_its_own(architecture):
    """A number read off (`.item()`, `if tensor:`) or a size that depends on values would have a GPU stand idle."""
    spec, parameters = NetworkSpec(architecture, (28, 28), 1, 4, 4), wgan_parameters(architecture=architecture)
    phase = WganPhase(ones(60), spec, parameters, 0, CPU)
    pair = Wgan(phase.spec, "normal", phase.average.eval().requires_grad_(False), copy.deepcopy(phase.critic).eval())
    for one in (phase, EncoderPhase(ones(60), pair, encoder_parameters(latent_weight=0.1), 0, CPU)):
        one.step(0)
        with Recorder() as seen:
            one.step(1)
        assert len(seen.names) > 100
        assert not [name for name in seen.names if "_local_scalar_dense" in name or "nonzero" in name]


def test_the_units_of_the_loss_are_those_of_the_whole_set():
    """Folders come class by class, tiles picture by picture: the first of them are of one kind."""
    dark, bright = torch.zeros(400, 1, 28, 28, dtype=torch.uint8), torch.full((400, 1, 28, 28), 255, dtype=torch.uint8)
    phase = WganPhase(ones(60), SPEC, wgan_parameters(), 0, CPU)
    pair = Wgan(SPEC, "normal", phase.average.eval().requires_grad_(False), phase.critic.eval().requires_grad_(False))
    one_kind, both = (
        EncoderPhase(images, pair, encoder_parameters(), 0, CPU) for images in (dark, torch.cat([dark, bright]))
    )
    assert one_kind.image_unit < 1e-6
    assert both.image_unit == pytest.approx(1, rel=0.01)
    assert both.fill == -1


def test_a_blanked_block_of_a_grey_picture_is_grey():
    grey = torch.full((40, 1, 28, 28), 200, dtype=torch.uint8)
    grey[:, :, :8, :8] = 0
    phase = WganPhase(grey, SPEC, wgan_parameters(), 0, CPU)
    pair = Wgan(SPEC, "normal", phase.average.eval().requires_grad_(False), phase.critic.eval().requires_grad_(False))
    encoder = EncoderPhase(grey, pair, encoder_parameters(corruption={"noise": 0, "blank": 0.5, "block": 4}), 0, CPU)
    x = encoder.real.batch(0)
    found = encoder._corrupted(x)
    assert (found != x).any()
    assert (found[found != x] == x[0, 0, 20, 20]).all()


def tiled(most: int, shift: int = 1):
    """Parameters of `data_prep` with so many training tiles and images shifted so far."""
    return group("data_prep", tiling={"stride": [14, 14], "max_train_tiles": most}, augmentation={"shift": shift})


@pytest.mark.parametrize(
    "change",
    [
        *({"parameters": wgan_parameters(steps=7)}, {"data_prep": tiled(10, shift=2)}, {"data_prep": tiled(11)}),
        *({"seed": 1}, {"split_digest": "other"}, {"precision": "bfloat16"}),
        *({"phase": "encoder"}, {"device": "cuda"}, {"log_every": 3}, {"code": "other"}, {"torch": "other"}),
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_weights_depend_on_has_a_place_of_its_own(change, tmp_path, monkeypatch):
    def key(change: dict) -> str:
        monkeypatch.setattr(torch, "__version__", change.get("torch", "2"))
        facts = {"parameters": wgan_parameters(), "data_prep": tiled(10), "seed": 0, "split_digest": "one"}
        facts |= {"precision": "float32"}
        slot = {"phase": "wgan", "device": "cpu", "log_every": 2, "code": "one"}
        facts, slot = ({name: change.get(name, value) for name, value in given.items()} for given in (facts, slot))
        return StateSlot.of(StateStore(tmp_path), facts=facts_of(**facts), **slot).key

    assert key(change) != key({})
    assert key({}) == key({})
