"""How much faster two Dask workers of one thread each score than one, and what a million images cost.

    python benchmarks/scoring_speedup.py [--images 16384] [--rounds 3]

Untrained networks of conf/base on MNIST's test digits: what they cost does not depend on what they have learnt.
Starting workers and loading PyTorch is left out, as on a cluster that stands. Run it on a quiet machine: the
load before each round is shown beside its time. On a busy one only the CPU seconds say something: of the workers,
which more of them share, and of this process, which they wait for.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from fanogan_pipeline.compute import shards, terms
from fanogan_pipeline.compute.executors import cluster_of
from fanogan_pipeline.datasets.idx_format import read_idx
from fanogan_pipeline.detection.anomaly_detector import load_restorer
from fanogan_pipeline.detection.picture_maps import Pooling
from fanogan_pipeline.detection.statistics import fit_statistics
from fanogan_pipeline.detection.training_set import fit_training_set
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_encoder, build_generator
from fanogan_pipeline.networks.models import encoder_checkpoint, wgan_checkpoint
from fanogan_pipeline.parameters import ComputeParameters, ScoringParameters, WganParameters

ROOT = Path(__file__).resolve().parents[1]
SHARD = 1024


def parameters(name: str) -> dict:
    return yaml.safe_load((ROOT / f"conf/base/parameters_{name}.yml").read_text())[name]


def prepare(folder: Path, count: int) -> terms.Settings:
    """Images and models where the workers look for them; the settings."""
    digits = read_idx(str(ROOT / "data/01_raw/mnist/t10k-images-idx3-ubyte.gz"), 3)[:, None]
    images = np.resize(digits, (count, *digits.shape[1:]))
    p, scoring = WganParameters(**parameters("wgan")), ScoringParameters(**parameters("scoring"))
    spec = NetworkSpec(p.architecture, images.shape[2:], images.shape[1], p.latent_dim, p.width)
    wgan = wgan_checkpoint(Wgan(spec, p.latent_prior, build_generator(spec), build_critic(spec)), {})
    encoder = encoder_checkpoint(build_encoder(spec, "linear"), wgan, {"parameters": parameters("encoder")})
    restorer = load_restorer(wgan, encoder, torch.device("cpu"))
    fitted = fit_statistics(
        images[:512],
        restorer,
        fit_training_set(images, restorer, scoring.batch_size, scoring.poses),
        scoring.batch_size,
        True,
    ).to_checkpoint({})
    names = np.array([str(row) for row in range(count)])
    some = ImageSet(images, names, np.zeros(count, bool), names)
    pooling = Pooling.from_settings(scoring.model_dump())
    models = {"wgan_model": wgan, "encoder_model": encoder, "residual_statistics": fitted}
    terms.write(folder, some, models)
    return terms.Settings("cpu", scoring.batch_size, pooling, scoring.score == "map")


def timed(folder: str, notes: str, settings: terms.Settings, pictures: slice) -> pd.DataFrame:
    """Terms of a shard; notes the CPU seconds that its worker took."""
    began = time.process_time()
    table = terms.terms_from(folder, settings, pictures)
    (Path(notes) / str(pictures.start)).write_text(str(time.process_time() - began))
    return table


def seconds(
    folder: Path, settings: terms.Settings, count: int, parts: str, executor: Executor
) -> tuple[float, float, float]:
    """On the clock; of the workers' CPU; of this process's CPU."""
    notes = folder / f"notes-{parts}"
    notes.mkdir()
    work = partial(timed, str(folder), str(notes), settings)
    began, own = time.perf_counter(), time.process_time()
    shards.table_of_parts(shards.cut(count, SHARD), work, folder / parts, executor)
    took, own = time.perf_counter() - began, time.process_time() - own
    return took, sum(float(note.read_text()) for note in notes.iterdir()), own


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=int, default=16_384)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = prepare(folder, given.images)
        took: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
        for round_ in range(given.rounds):
            for workers in took:  # in turn, so that a busy spell of the machine meets both
                compute = ComputeParameters(engine="dask", scheduler="", workers=workers, shard_size=SHARD)
                with cluster_of(compute) as executor:
                    some = min(given.images, 4 * workers * SHARD)
                    seconds(folder, settings, some, f"warm-{workers}-{round_}", executor)
                    load = os.getloadavg()[0]
                    took[workers].append(seconds(folder, settings, given.images, f"parts-{workers}-{round_}", executor))
                clock, theirs, own = took[workers][-1]
                cpu = f"CPU {theirs:.2f} s of workers, {own:.2f} s here"
                print(f"{workers} workers: {clock:6.2f} s; {cpu}; load {load:.1f}", flush=True)
        size = sum(part.stat().st_size for part in (folder / "parts-1-0").iterdir())
    one, two = min(took[1])[0], min(took[2])[0]
    cpu = min(theirs for _, theirs, _ in took[1])
    print(f"speed-up {one / two:.2f} (best of {given.rounds}); {given.images / cpu:,.0f} images a CPU second")
    print(f"a million images: {cpu / given.images * 1e6 / 60:.1f} CPU minutes, {size / given.images:.1f} MB of parts")


if __name__ == "__main__":
    main()
