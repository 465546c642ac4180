"""Small real parts: MNIST's ones, and parameter groups as conf/ gives them with a few changes.

Only `mnist` asks for Kedro: the benchmarks use the rest on machines that have none.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tests.project import ROOT

from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.parameters import GROUPS

MNIST = Path("data/01_raw/mnist")


def group(name: str, env: str = "base", **changes: Any) -> Any:
    """A parameter group of conf/base, with those of an environment and some changes over it."""
    files = [ROOT / f"conf/base/parameters_{name}.yml", ROOT / "conf/base/parameters.yml"]
    values = next(
        found[name] for found in (yaml.safe_load(p.read_text()) for p in files if p.exists()) if name in found
    )
    if env != "base":
        over = yaml.safe_load((ROOT / f"conf/{env}/parameters.yml").read_text()).get(name, {})
        values = _merged(values, over)
    return GROUPS[name].model_validate(values | changes)


def _merged(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    nested = {name: _merged(values.get(name) or {}, value) for name, value in over.items() if isinstance(value, dict)}
    return values | over | nested


def wgan_parameters(**changes: Any) -> Any:
    """A small WGAN's; without penalty where the critic has batch norm."""
    small = {"width": 4, "latent_dim": 4, "steps": 6, "batch_size": 16, "critic_steps": 2}
    plain = {"objective": "wgan_plain"} if changes.get("architecture") == "reference" else {}
    return group("wgan", **{**small, **plain, **changes})


def encoder_parameters(**changes: Any) -> Any:
    """A small encoder's."""
    return group("encoder", **{"steps": 6, "batch_size": 16, **changes})


def training_parameters(**changes: Any) -> Any:
    """Of a quick training on one thread."""
    return group("training", **{"threads": 1, "log_every": 2, **changes})


@cache
def mnist() -> ImageSource:
    """All of MNIST, read as the catalog reads it."""
    from fanogan_pipeline.datasets.idx import IdxImageDataset

    return IdxImageDataset(filepath=str(ROOT / MNIST)).load()


@cache
def digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 1, 28, 28] and labels uint8 [N] of MNIST's "train" or "t10k"."""
    images, labels = (
        np.frombuffer(gzip.decompress((ROOT / MNIST / f"{part}-{name}-ubyte.gz").read_bytes()), np.uint8, offset=start)
        for name, start in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return images.reshape(-1, 1, 28, 28), labels


@cache
def ones(count: int) -> torch.Tensor:
    """The first `count` training ones, uint8 [count, 1, 28, 28]."""
    images, labels = digits("train")
    return torch.from_numpy(images[labels == 1][:count])
