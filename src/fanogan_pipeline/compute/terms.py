"""Residual terms of a set, shard by shard: the same bytes whatever computes them and in whatever order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch

from fanogan_pipeline import own_code
from fanogan_pipeline.compute import shards
from fanogan_pipeline.compute.executors import cluster_of, threads
from fanogan_pipeline.compute.files import work_file
from fanogan_pipeline.compute.folders import MODELS, digest, held, read_models, write_models
from fanogan_pipeline.detection.anomaly_detector import load_restorer
from fanogan_pipeline.detection.picture_maps import Pooling, picture_terms
from fanogan_pipeline.detection.refinement import UNREFINED, Refinement
from fanogan_pipeline.detection.restorer import Restorer
from fanogan_pipeline.detection.statistics import ResidualStatistics
from fanogan_pipeline.images import ImageSet, Tiles, of_runs, picture_runs
from fanogan_pipeline.networks import Checkpoint
from fanogan_pipeline.parameters import ComputeParameters
from fanogan_pipeline.training import devices


@dataclass(frozen=True)
class Settings:
    """What terms depend on besides images and models; small, for it travels with the work.

    Attributes:
        device: "cpu" or "cuda".
        batch_size: images computed at once.
        pooling: of tiles and maps.
        with_map: whether the map's terms are wanted.
        refinement: how z is found.
    """

    device: str
    batch_size: int
    pooling: Pooling
    with_map: bool
    refinement: Refinement = UNREFINED


@dataclass(frozen=True)
class Terms:
    """Pictures [a, b) of a set -> their residual terms."""

    images: np.ndarray
    tiles: Tiles | None
    restorer: Restorer
    statistics: ResidualStatistics
    settings: Settings

    @cached_property
    def runs(self) -> list[slice]:
        """The rows of each picture."""
        return picture_runs(self.images, self.tiles)

    def __call__(self, pictures: slice) -> pd.DataFrame:
        images, tiles = of_runs(self.images, self.tiles, self.runs[pictures])
        s = self.settings
        return picture_terms(images, tiles, self.restorer, self.statistics, s.batch_size, s.pooling, s.with_map)


def terms_from(folder: str, settings: Settings, pictures: slice) -> pd.DataFrame:
    """The same from what lies in a folder, which a worker reads once."""
    return _read(folder, settings)(pictures)


def measure(
    image_set: ImageSet,
    restorer: Restorer,
    models: dict[str, Checkpoint],
    settings: Settings,
    compute: ComputeParameters,
    place: Path,
) -> pd.DataFrame:
    """Residual terms of a set, a row per picture.

    Args:
        image_set: what to measure.
        restorer: the networks.
        models: the checkpoints of `MODELS`.
        settings: everything else that counts.
        compute: engine and size of a shard.
        place: a local folder, seen by all workers, for the parts of unfinished work on a cluster.

    Raises:
        InputError: there is no cluster to be had, or a file for it cannot be written.
        ClusterError: the cluster was lost; its finished parts are kept for the next try.
    """
    statistics = ResidualStatistics.from_checkpoint(models["residual_statistics"]).to(restorer.device)
    local = Terms(image_set.images, image_set.tiles, restorer, statistics, settings)
    cuts = shards.cut(len(local.runs), compute.shard_size)
    with cluster_of(compute) as cluster:
        if cluster is None:
            with threads(torch.get_num_threads() if settings.device == "cpu" else 1) as pool:
                return shards.table(cuts, local, pool)
        work = [joblib.hash(image_set, "sha1"), asdict(settings), compute.shard_size, torch.__version__]
        # of other models or code than these, unfinished work is of no use any more
        with held(place, "scoring", [own_code.code_digest(), *(models[name].digest for name in MODELS)]) as root:
            folder = root / digest(work)
            write(folder, image_set, models)
            there = partial(terms_from, str(folder), settings)
            found = shards.table_of_parts(cuts, there, folder / "parts", cluster)
            (folder / "images.npy").unlink(missing_ok=True)
            return found


def write(folder: Path, image_set: ImageSet, models: dict[str, Checkpoint]) -> None:
    """Images and models for workers, as plain files; whole ones, for workers of a run before may still be reading."""
    with work_file(folder / "images.npy") as draft:
        np.save(draft, image_set.images, allow_pickle=False)
    if image_set.tiles is not None:
        with work_file(folder / "tiles.npz") as draft:
            np.savez(draft, allow_pickle=False, **vars(image_set.tiles))
    write_models(folder, models)


@lru_cache(maxsize=2)
def _read(folder: str, settings: Settings) -> Terms:
    """What `write` left, ready to compute on one thread; the images stay in their file."""
    place, device = Path(folder), devices.choose_device(settings.device)
    devices.settle_in(1)
    wgan, encoder, fitted = read_models(place)
    tiles = Tiles(**np.load(place / "tiles.npz", allow_pickle=False)) if (place / "tiles.npz").exists() else None
    return Terms(
        np.load(place / "images.npy", mmap_mode="c", allow_pickle=False),
        tiles,
        load_restorer(wgan, encoder, device, settings.refinement),
        ResidualStatistics.from_checkpoint(fitted).to(device),
        settings,
    )
