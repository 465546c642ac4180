"""Many images: `python -m benchmarks.scale score 10000` and `python -m benchmarks.scale train 1000000`."""

from __future__ import annotations

import json
import logging
import mmap
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tests.parts import group, mnist

from benchmarks.cases import case
from benchmarks.children import peak_gigabytes
from benchmarks.detectors import detector_of
from fanogan_pipeline.compute import new_pictures
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.networks import NetworkSpec
from fanogan_pipeline.training.devices import settle_in
from fanogan_pipeline.training.wgan import WganPhase

DIGITS = 10_000  # different digits that are repeated
NOISES = 128  # different noises that are laid over them
TRAINING_STEPS = 100


def repeated_digits(count: int) -> ImageSource:
    """`count` pictures that are made when they are read: MNIST's test digits again and again with noise."""
    source = mnist()
    first = int(np.flatnonzero(source.table["part"] == "test")[0])
    digits = np.stack([source.read(first + row) for row in range(min(count, DIGITS))])
    noises = np.random.default_rng(0).integers(0, 32, (NOISES, *digits.shape[1:]), np.uint8)

    def read(row: int) -> np.ndarray:
        digit, noise = digits[row % len(digits)], noises[(row // len(digits) + row) % NOISES]
        return np.where(digit > 255 - noise, np.uint8(255), digit + noise)

    table = pd.DataFrame({"image_id": [f"{row:07}" for row in range(count)], "label": "", "part": "", "group": ""})
    return ImageSource(table.assign(has_mask=False), read)


def score(count: int) -> dict[str, Any]:
    """Seconds and peak memory of the inference pipeline's own computation over `count` pictures."""
    detector, parameters = detector_of(case("default")), group("inference")
    source = repeated_digits(count)
    before = peak_gigabytes()
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        terms, _ = new_pictures.measure(source, detector, {}, parameters, group("compute"), Path(place))
        table = detector.judge(terms.drop(columns="reason"))
        seconds = time.perf_counter() - began
    assert len(table) == count
    assert table["score"].notna().all()
    return {"images": count, "seconds": seconds, "before": before, "peak": peak_gigabytes()}


def train(count: int) -> dict[str, Any]:
    """Seconds a step and peak memory of phase 1 on `count` patches of 64x64 in a memory-mapped file.

    The file's pages are given back after every step, as the system takes them back where it needs room; left alone they
    would count as this process's memory for as long as there is any to spare, in the end the whole file.
    """
    p = group("wgan")
    spec = NetworkSpec(p.architecture, (64, 64), 1, p.latent_dim, p.width)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "patches.npy"
        patches = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 1, 64, 64))  # zeros where nothing is written
        patches[:: max(1, count // 4096)] = np.random.default_rng(0).integers(0, 256, (1, 1, 64, 64), np.uint8)
        del patches
        mapped = np.load(path, mmap_mode="c")
        phase = WganPhase(torch.from_numpy(mapped), spec, p, 0, torch.device("cpu"))
        phase.step(0)
        began = time.perf_counter()
        for step in range(1, TRAINING_STEPS):
            mapped._mmap.madvise(mmap.MADV_DONTNEED)
            phase.step(step)
        seconds = (time.perf_counter() - began) / (TRAINING_STEPS - 1)
        size = path.stat().st_size / 1e9
    return {"images": count, "steps": TRAINING_STEPS, "file": size, "seconds": seconds, "peak": peak_gigabytes()}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    settle_in(0)
    print(json.dumps({"score": score, "train": train}[sys.argv[1]](int(sys.argv[2]))))
