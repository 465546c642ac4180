"""A training run at rest, complete enough to go on where it stood: bit by bit on a CPU, to rounding on a GPU."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fanogan_pipeline.networks.checkpoint import Checkpoint
from fanogan_pipeline.parameters import DataPrepParameters, EncoderParameters, Precision, WganParameters
from fanogan_pipeline.training.curves import Curves
from fanogan_pipeline.training.optimisers import Optimiser

CODE = ("networks", "training")  # the packages that weights are made by


class StateStore(Protocol):
    """Where unfinished training is kept. A key names the parameters, data and code it belongs to."""

    @property
    def folder(self) -> Path: ...

    def load(self, key: str) -> Checkpoint | None: ...

    def save(self, key: str, state: Checkpoint) -> None: ...

    def discard(self, key: str) -> None: ...

    def release(self, key: str) -> None: ...

    def keys(self) -> list[str]: ...

    def unheld(self, key: str) -> str: ...

    def sweep(self, prefix: str, keep: str, most: int) -> None: ...


@dataclass(frozen=True)
class StateSlot:
    """The place of one phase of one run: the same facts, the same place; any change starts afresh.

    Attributes:
        store: where all states are kept.
        phase: "wgan" or "encoder".
        facts: what weights and curves depend on: parameters, seed, digests of data and models, device,
            precision, spacing of the curves' rows, and the code that makes them.
        own_key: the key, where it is not the facts' own.
    """

    store: StateStore
    phase: str
    facts: dict[str, Any]
    own_key: str = ""

    @classmethod
    def of(
        cls, store: StateStore, phase: str, facts: dict[str, Any], device: str, log_every: int, code: str
    ) -> StateSlot:
        """The slot of a training of its own.

        Args:
            store, phase: as above.
            facts: what the model depends on.
            device: "cpu" or "cuda".
            log_every: steps a row of the curves.
            code: digest of the packages `CODE`.
        """
        slot = cls(store, phase, {**facts, "device": device, "log_every": log_every, "code": code})
        return replace(slot, own_key=store.unheld(slot.key))  # its own where another living run trains the very same

    @property
    def key(self) -> str:
        if self.own_key:
            return self.own_key
        facts = {**self.facts, "torch": torch.__version__}  # another one may round otherwise
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{self.phase}-{digest[:32]}"

    def load(self) -> Checkpoint | None:
        return self.store.load(self.key)

    def save(self, state: Checkpoint) -> None:
        self.store.save(self.key, state)

    def discard(self) -> None:
        self.store.discard(self.key)

    @contextmanager
    def let_go_on_error(self) -> Iterator[None]:
        """Whatever stops the training, any process may go on from its state, though this one may live on."""
        try:
            yield
        except BaseException:
            self.store.release(self.key)
            raise

    def sweep(self, most: int) -> None:
        """Remove the states of other facts but for the `most` last saved; those of living runs stay."""
        self.store.sweep(f"{self.phase}-", self.key, most)

    def others(self) -> list[str]:
        """Keys of unfinished runs of this phase with other facts."""
        found = self.store.keys()
        return [key for key in found if key.startswith(f"{self.phase}-") and key != self.key]


def facts_of(
    parameters: WganParameters | EncoderParameters,
    data_prep: DataPrepParameters,
    seed: int,
    split_digest: str,
    precision: Precision,
) -> dict[str, Any]:
    """What either phase's weights depend on, models and device aside, as JSON holds it."""
    facts = {"parameters": parameters.model_dump(mode="json"), "seed": seed, "split_digest": split_digest}
    if data_prep.augmentation:
        facts["augmentation"] = data_prep.augmentation.model_dump(mode="json")
    if data_prep.tiling:
        facts["max_train_tiles"] = data_prep.tiling.max_train_tiles
    return {**facts, "precision": precision}


def pack(
    modules: dict[str, nn.Module],
    optimisers: dict[str, Optimiser],
    noise: torch.Generator,
    step: int,
    curves: Curves,
) -> Checkpoint:
    """Weights, optimisers, source of randomness, position and curves as one checkpoint."""
    tensors: dict[str, Tensor] = {"noise": noise.get_state()}
    tensors |= {f"sum/{name}": value for name, value in curves.sums.items()}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors |= {f"optimiser/{name}/{key}": value for key, value in _kept(optimiser)}
    copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
    return Checkpoint(copies, {"step": step, "history": list(curves.rows), "since": curves.since})


def misfit_of(state: Checkpoint, modules: dict[str, nn.Module]) -> str:
    """The first weight of the modules that a packed state lacks or has in another shape, or "" where all fit."""
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            found = state.tensors.get(f"module/{name}/{key}")
            if found is None or found.shape != value.shape:
                shape = "nothing" if found is None else list(found.shape)
                return f"{name}: found {shape} for {key}, expected {list(value.shape)}"
    return ""


def unpack(
    state: Checkpoint,
    modules: dict[str, nn.Module],
    optimisers: dict[str, Optimiser],
    noise: torch.Generator,
) -> tuple[int, Curves]:
    """Put a packed state back in place; returns the step it stood at and the curves so far."""
    noise.set_state(state.tensors["noise"])
    for name, module in modules.items():
        prefix = f"module/{name}/"
        module.load_state_dict({k.removeprefix(prefix): v for k, v in state.tensors.items() if k.startswith(prefix)})
    for name, optimiser in optimisers.items():
        for key, value in _kept(optimiser):
            value.copy_(state.tensors[f"optimiser/{name}/{key}"])
    sums = {key.removeprefix("sum/"): value for key, value in state.tensors.items() if key.startswith("sum/")}
    on_device = {name: value.to(noise.device) for name, value in sums.items()}
    return int(state.header["step"]), Curves(list(state.header["history"]), on_device, int(state.header["since"]))


def _kept(optimiser: Optimiser) -> Iterator[tuple[str, Tensor]]:
    """What an optimiser keeps, tensor by tensor under a name of its own."""
    return ((f"{kind}/{n}", value) for kind, values in optimiser.kept.items() for n, value in enumerate(values))
