"""From raw images to four sets of one size."""

import logging

import numpy as np

from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import DataPrepParameters
from fanogan_pipeline.pipelines.hints import DataFrame, ImageSet, ImageSource

with lazily():
    from fanogan_pipeline.preprocessing import geometry, prepare, splits

logger = logging.getLogger(__name__)


def assign_splits(raw_images: ImageSource, parameters: DataPrepParameters, seed: int) -> DataFrame:
    """The images that are used, each with its side of the split."""
    return splits.split_images(raw_images.table, parameters, raw_images.normal_label, seed)


def fit_images(raw_images: ImageSource, split_plan: DataFrame, parameters: DataPrepParameters) -> np.ndarray:
    """Every image of the plan, decoded and brought to one size: uint8 [N, C, H, W]."""
    return prepare.read_images(
        raw_images, split_plan.index.to_numpy(), _geometry(parameters), parameters.workers, "reading images"
    )


def settle_split(split_plan: DataFrame, fitted_images: np.ndarray, parameters: DataPrepParameters) -> DataFrame:
    """The split manifest: no image on two sides, each named by the hash of its pixels."""
    plan = split_plan.assign(sha256=prepare.image_sums(fitted_images), raw_row=split_plan.index)
    kept = prepare.settle_duplicates(plan.reset_index(drop=True), parameters.duplicates)
    if len(kept) < len(plan):
        logger.warning("data_prep: %d copies of images on another side of the split dropped", len(plan) - len(kept))
    for split in splits.SPLITS:
        part = kept[kept["split"] == split]
        logger.info("%s: %d images, %d of them anomalous", split, len(part), int(part["is_anomaly"].sum()))
    return kept


def build_sets(
    raw_images: ImageSource, settled_split: DataFrame, fitted_images: np.ndarray, parameters: DataPrepParameters
) -> tuple[ImageSet, ImageSet, ImageSet, ImageSet, DataFrame]:
    """The four sets and the manifest."""
    shape = _geometry(parameters)
    digest = prepare.split_digest(settled_split, shape)
    sets = []
    for split in splits.SPLITS:
        part = settled_split[settled_split["split"] == split]
        masks = prepare.read_masks(raw_images, part["raw_row"].to_numpy(), shape) if split == "test" else None
        sets.append(prepare.image_set(fitted_images[part.index.to_numpy()], part, digest, shape, masks))
    manifest = settled_split[["image_id", "split", "label", "is_anomaly", "sha256"]].reset_index(drop=True)
    return (*sets, manifest)


def _geometry(parameters: DataPrepParameters) -> "geometry.Geometry":
    return geometry.Geometry(parameters.image_size, parameters.channels, parameters.fit)
