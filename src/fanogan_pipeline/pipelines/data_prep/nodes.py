"""From raw images to four sets of one size."""

import logging
from typing import Any

import numpy as np

from fanogan_pipeline.errors import plural
from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import WITHOUT_EFFECT, DataPrepParameters
from fanogan_pipeline.pipelines.hints import DataFrame, Geometry, ImageSet, ImageSource

with lazily():
    from fanogan_pipeline.preprocessing import copies, ground_truth, prepare, splits

logger = logging.getLogger(__name__)

# images uint8 [N, C, H, W]; `Tiles` where pictures are cut; of each picture its sum and its own size, int32 [.., 2]
Fitted = tuple[Any, Any, list[str], Any]


def assign_splits(raw_images: ImageSource, parameters: DataPrepParameters, seed: int) -> DataFrame:
    """The images that are used, each with its side of the split."""
    return splits.split_images(raw_images.table, parameters, raw_images.normal_label, seed)


def fit_geometry(raw_images: ImageSource, split_plan: DataFrame, parameters: DataPrepParameters, seed: int) -> Geometry:
    """How pictures become what the networks see; what of it is fitted, on training pictures alone."""
    splits.expect_unchanged(raw_images.table, split_plan.index.to_numpy(), split_plan["image_id"])
    rows = split_plan.index[split_plan["split"] == "train"].to_numpy()
    return prepare.fit_geometry(raw_images, rows, parameters, seed)


def fit_images(
    raw_images: ImageSource, split_plan: DataFrame, geometry: Geometry, parameters: DataPrepParameters, seed: int
) -> Fitted:
    """Every picture of the plan, decoded and brought to the networks' size, whole or as tiles."""
    rows = split_plan.index.to_numpy()
    splits.expect_unchanged(raw_images.table, rows, split_plan["image_id"])
    most = (parameters.tiling and parameters.tiling.max_train_tiles) or 0
    each = np.where(split_plan["split"] == "train", most, 0)
    return prepare.prepare_split(raw_images, rows, geometry, parameters.workers, each, seed)


def settle_split(split_plan: DataFrame, fitted_images: Fitted, parameters: DataPrepParameters) -> DataFrame:
    """The split manifest: no picture on two sides, each named by the hash of its pixels; its attributes tell of how."""
    plan = split_plan.assign(sha256=fitted_images[2], raw_row=split_plan.index).reset_index(drop=True)
    kept = copies.settle_duplicates(plan, parameters.duplicates)
    copies.warn_of_copies(plan, kept)
    copies.expect_enough_left(plan, kept)
    for split in splits.SPLITS:
        part = kept[kept["split"] == split]
        images = plural(len(part), "image")
        logger.info("%s: %s, %d of them anomalous", split, images, int(part["is_anomaly"].sum()))
    kept.attrs["data_prep"] = parameters.model_dump(mode="json", exclude=set(WITHOUT_EFFECT["data_prep"]))
    return kept


def build_sets(
    raw_images: ImageSource, settled_split: DataFrame, fitted_images: Fitted, geometry: Geometry
) -> tuple[ImageSet, ImageSet, ImageSet, ImageSet, DataFrame]:
    """The four sets and the manifest."""
    splits.expect_unchanged(raw_images.table, settled_split["raw_row"].to_numpy(), settled_split["image_id"])
    digest = splits.split_digest(settled_split, geometry.to_text())
    images, tiles, _, sizes = fitted_images
    runs = prepare.picture_runs(images, tiles)
    sets = []
    for split in splits.SPLITS:
        part = settled_split[settled_split["split"] == split]
        each = [runs[place] for place in part.index]
        rows = np.concatenate([np.empty(0, int), *(np.arange(run.start, run.stop) for run in each)])
        here = None if tiles is None else tiles.take(rows)
        masks = None
        if split == "test":
            raw_rows, is_anomaly = part["raw_row"].to_numpy(), part["is_anomaly"].to_numpy(dtype=bool)
            masks = ground_truth.read_masks(raw_images, raw_rows, geometry, here, is_anomaly)
        sets.append(prepare.image_set(images[rows], part, digest, geometry, sizes[part.index], masks, here))
    manifest = settled_split[["image_id", "split", "label", "is_anomaly", "sha256"]].reset_index(drop=True)
    manifest.attrs = settled_split.attrs
    return (*sets, manifest)
