"""Small real parts: MNIST's ones, and parameter groups as conf/ gives them with a few changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from omegaconf import OmegaConf
from tests.project import ROOT

from fanogan_pipeline.datasets.idx import IdxImageDataset
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
        values = OmegaConf.to_container(OmegaConf.merge(values, over))
    return GROUPS[name].model_validate(values | changes)


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
    return IdxImageDataset(filepath=str(ROOT / MNIST)).load()


@cache
def ones(count: int) -> torch.Tensor:
    """The first `count` training ones, uint8 [count, 1, 28, 28]."""
    source = mnist()
    rows = np.flatnonzero(source.table["label"] == "1")[:count]
    return torch.from_numpy(np.stack([source.read(int(row)) for row in rows])[:, None])
