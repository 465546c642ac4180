"""A model at rest: named tensors and a header that says what they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True)
class Checkpoint:
    """All weights of a model, and the facts needed to build it again.

    Attributes:
        tensors: name -> tensor on the CPU.
        header: what JSON can hold: architecture, parameters, digests of what it was trained on.
        origin: where it was loaded from (a version's path), for messages; no part of the digest.
    """

    tensors: dict[str, torch.Tensor]
    header: dict[str, Any]
    origin: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over header and tensors, the same for the same content wherever it lies."""
        sha = hashlib.sha256(json.dumps(self.header, sort_keys=True).encode())
        for name in sorted(self.tensors):
            tensor = self.tensors[name].detach().cpu().contiguous()
            sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
        return sha.hexdigest()
