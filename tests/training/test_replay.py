"""A step that is recorded and replayed trains as one that is called.

A tape stands in for the CUDA graph: it notes every operation below autograd with the very tensors it works on, and
does them again in the same memory without running the step's Python, so that whatever Python alone would have
changed from step to step shows here as it would on a GPU.
"""

from __future__ import annotations

import copy
import gc
import logging
import weakref
from collections.abc import Callable

import pytest
import torch
from tests.parts import encoder_parameters, ones, wgan_parameters
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fanogan_pipeline.networks import NetworkSpec, Wgan
from fanogan_pipeline.parameters import AugmentationParameters
from fanogan_pipeline.training.encoder import EncoderPhase
from fanogan_pipeline.training.optimisers import Adam
from fanogan_pipeline.training.replay import WARM_UP, CudaGraph, Replayed
from fanogan_pipeline.training.wgan import WganPhase

CPU = torch.device("cpu")
GPU = torch.device("cuda")
STEPS = WARM_UP + 5
FROM_THE_HOST = ("_local_scalar_dense", "nonzero", "scalar_tensor", "lift_fresh", "repeat_interleave.Tensor", "item")
SHAPES = {f"aten.{name}" for name in ("unsqueeze_", "squeeze_", "transpose_", "t_")}  # no work on a GPU


class Tape(TorchDispatchMode):
    """Notes operations, and does them again."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if str(func.overloadpacket) not in SHAPES:
            self.calls.append((func, args, kwargs or {}, found))
        return found

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, places in self.calls:
            found = func(*args, **kwargs)
            for place, value in zip(tree_leaves(places), tree_leaves(found), strict=True):
                if isinstance(place, Tensor) and place.data_ptr() != value.data_ptr():
                    # in the memory, whatever shape was given to it in place later on
                    place.as_strided(value.shape, value.stride(), place.storage_offset()).copy_(value)


class TapeRecorder:
    """A recorder on the CPU. What the tape did while it noted is undone, for a GPU does nothing while it records."""

    def __init__(self, noise: torch.Generator) -> None:
        self.noise, self.tape = noise, Tape()
        self.lasting: Callable[[], list[Tensor]] = list

    def warm_up(self, function):
        return function()

    def record(self, function):
        before = [(place, place.detach().clone()) for place in self.lasting()]
        drawn_so_far = self.noise.get_state()
        try:
            with self.tape:
                terms = function()
        finally:
            with torch.no_grad():
                for place, value in before:
                    place.copy_(value)
            self.noise.set_state(drawn_so_far)
        return self.tape.replay, terms


class NoRecorder(TapeRecorder):
    """One that breaks off in the last update of a step."""

    def record(self, function):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Adam, "step", self.broken_off)
            return super().record(function)

    def broken_off(self, *arguments):
        raise RuntimeError("operation not permitted\nwhen stream is capturing")


def lasting(phase) -> list[Tensor]:
    """All that a step changes for good."""
    weights = [value for module in phase.modules.values() for value in module.state_dict().values()]
    kept = [values for optimiser in phase.optimisers.values() for values in optimiser.kept.values()]
    return weights + [value for values in kept for value in values]


SPEC = NetworkSpec("convolutional", (28, 28), 1, 4, 4)
SHIFTS = AugmentationParameters(flip_horizontal=False, flip_vertical=False, shift=2, brightness=0.1, contrast=0.1)


def wgan_phase(record, device=CPU, **changes) -> WganPhase:
    parameters = wgan_parameters(
        **{"steps": STEPS, "rate_decay": 0.9, "critic_steps": 2, "penalty_images": 5, **changes}
    )
    spec = NetworkSpec(parameters.architecture, (28, 28), 1, 4, 4)
    return WganPhase(ones(60), spec, parameters, 0, device, SHIFTS, record=record)


def encoder_phase(record, device=CPU, **changes) -> EncoderPhase:
    phase = wgan_phase(None, device)
    pair = Wgan(SPEC, "normal", phase.average.eval().requires_grad_(False), copy.deepcopy(phase.critic).eval())
    parameters = encoder_parameters(**{"steps": STEPS, "rate_decay": 0.9, "latent_weight": 0.1, **changes})
    return EncoderPhase(ones(60), pair, parameters, 0, device, SHIFTS, record=record)


CASES = [
    (wgan_phase, {}),
    (wgan_phase, {"architecture": "residual"}),
    (wgan_phase, {"architecture": "reference", "objective": "wgan_clip", "latent_prior": "uniform"}),
    (encoder_phase, {}),
    (encoder_phase, {"objective": "ziz"}),
    (encoder_phase, {"optimiser": "rmsprop"}),
]


def trained(phase) -> list[dict[str, Tensor]]:
    """The terms of every step."""
    return [phase.step(number) for number in range(STEPS)]


def assert_trained_alike(replayed, curves, called, other_curves) -> None:
    for ours, theirs in zip(lasting(replayed), lasting(called), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(curves, other_curves, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5)
    assert torch.equal(replayed.noise.get_state(), called.noise.get_state())


@pytest.mark.parametrize(("make", "changes"), CASES)
def test_a_replayed_step_trains_as_a_called_one(make, changes):
    called, replayed = make(None, **changes), make(TapeRecorder, **changes)
    recorder = replayed.updates.recorder
    recorder.lasting = lambda: lasting(replayed)
    curves, other_curves = trained(replayed), trained(called)
    assert len(recorder.tape.calls) > 100
    assert_trained_alike(replayed, curves, called, other_curves)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize(("make", "changes"), CASES)
def test_a_cuda_graph_trains_as_kernels_launched_one_by_one(make, changes, monkeypatch, caplog):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    called, replayed = make(None, GPU, **changes), make(CudaGraph, GPU, **changes)
    curves, other_curves = trained(replayed), trained(called)
    assert replayed.updates.replay is not None
    assert not caplog.records
    assert_trained_alike(replayed, curves, called, other_curves)


@pytest.mark.parametrize(("make", "changes"), CASES)
def test_no_recorded_step_needs_the_host(make, changes):
    """A number read off, a size that depends on values or a number copied from the CPU ends the recording on a GPU."""
    phase = make(None, **changes)
    updates, tape = phase.updates, Tape()

    def taped(function, *batches):
        updates(function, *batches)
        with tape:
            return function(*batches)

    phase.updates = taped
    phase.step(0)
    assert len(tape.calls) > 100
    assert not [str(func) for func, *_ in tape.calls if any(name in str(func) for name in FROM_THE_HOST)]


def test_where_nothing_can_be_recorded_the_steps_are_called_and_a_line_says_so(caplog):
    called, replayed = wgan_phase(None), wgan_phase(NoRecorder)
    replayed.updates.recorder.lasting = lambda: lasting(replayed)
    with caplog.at_level(logging.WARNING):
        curves, other_curves = trained(replayed), trained(called)
    assert [record.getMessage() for record in caplog.records] == [
        "steps cannot be recorded as a CUDA graph here (operation not permitted when stream is capturing); they are "
        "launched kernel by kernel, which takes longer; training.cuda_graph: false does so from the start"
    ]
    assert_trained_alike(replayed, curves, called, other_curves)


def test_terms_of_one_replay_outlast_the_next():
    replayed = Replayed(TapeRecorder(torch.Generator()))
    sums = [replayed(lambda x: {"sum": x.sum()}, torch.full((2,), float(n))) for n in range(WARM_UP + 3)]
    assert [float(terms["sum"]) for terms in sums] == [2.0 * number for number in range(WARM_UP + 3)]


@pytest.mark.parametrize("make", [wgan_phase, encoder_phase])
@pytest.mark.parametrize("record", [None, TapeRecorder])
def test_a_phase_that_nobody_holds_leaves_memory_at_once(make, record):
    """Its images are as large as the training set, and the next phase has them once more."""
    phase = make(record)
    phase.step(0)
    gc.disable()
    try:
        left = weakref.ref(phase)
        del phase
        assert left() is None
    finally:
        gc.enable()
