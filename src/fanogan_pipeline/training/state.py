"""A training run at rest, complete enough to go on bit by bit where it stood."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fanogan_pipeline.networks.checkpoint import Checkpoint


class StateStore(Protocol):
    """Where unfinished training is kept. A key names the parameters and data it belongs to."""

    def load(self, key: str) -> Checkpoint | None: ...

    def save(self, key: str, state: Checkpoint) -> None: ...

    def discard(self, key: str) -> None: ...

    def keys(self) -> list[str]: ...


@dataclass(frozen=True)
class StateSlot:
    """The place of one phase of one run: the same facts, the same place; any change starts afresh.

    Attributes:
        store: where all states are kept.
        phase: "wgan" or "encoder".
        facts: what the weights depend on: parameters, seed, digest of the data, kind of device.
    """

    store: StateStore
    phase: str
    facts: dict[str, Any]

    @property
    def key(self) -> str:
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()
        return f"{self.phase}-{digest[:32]}"

    def load(self) -> Checkpoint | None:
        return self.store.load(self.key)

    def save(self, state: Checkpoint) -> None:
        self.store.save(self.key, state)

    def discard(self) -> None:
        self.store.discard(self.key)

    def others(self) -> list[str]:
        """Keys of unfinished runs of this phase with other facts."""
        found = self.store.keys()
        return [key for key in found if key.startswith(f"{self.phase}-") and key != self.key]


def pack(
    modules: dict[str, nn.Module],
    optimisers: dict[str, torch.optim.Optimizer],
    noise: torch.Generator,
    step: int,
    history: list[dict[str, float]],
) -> Checkpoint:
    """Weights, optimisers, source of randomness, position and curves as one checkpoint."""
    tensors: dict[str, Tensor] = {"noise": noise.get_state()}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for number, slots in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{name}/{number}/{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
    return Checkpoint(copies, {"step": step, "history": history})


def unpack(
    state: Checkpoint,
    modules: dict[str, nn.Module],
    optimisers: dict[str, torch.optim.Optimizer],
    noise: torch.Generator,
) -> tuple[int, list[dict[str, float]]]:
    """Put a packed state back in place; returns the step it stood at and the curves so far."""
    noise.set_state(state.tensors["noise"])
    for name, module in modules.items():
        prefix = f"module/{name}/"
        module.load_state_dict({k.removeprefix(prefix): v for k, v in state.tensors.items() if k.startswith(prefix)})
    for name, optimiser in optimisers.items():
        slots: dict[int, dict[str, Tensor]] = {}
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        for key, value in state.tensors.items():
            if key.startswith(f"optimiser/{name}/"):
                number, slot = key.removeprefix(f"optimiser/{name}/").split("/")
                slots.setdefault(int(number), {})[slot] = _laid_out_as(weights[int(number)], value)
        optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(state.header["step"]), list(state.header["history"])


def _laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """The value with the weight's strides: a fused optimiser walks both in memory order, files keep no strides."""
    if value.shape != weight.shape:
        return value
    return torch.empty_like(weight, dtype=value.dtype, device=value.device, requires_grad=False).copy_(value)
