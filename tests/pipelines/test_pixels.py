"""The pixel numbers of pictures that are smaller than what the networks see and were padded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.compute import scenes
from tests.parts import group

from fanogan_pipeline.detection import pictures, pixel_metrics
from fanogan_pipeline.detection.detector import Detector
from fanogan_pipeline.images import ImageSet, ImageSource
from fanogan_pipeline.pipelines.scoring import nodes
from fanogan_pipeline.preprocessing import ground_truth, prepare
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.tiling import Tiling

SIZE = (32, 10)  # of every picture
GEOMETRIES = {
    "whole": (Geometry((16, 16), 1, "pad"), (slice(None), slice(5, 10))),  # and where it then holds the picture
    "tiled": (Geometry((16, 16), 1, tiling=Tiling((8, 8))), (slice(None), slice(3, 13))),
}


def chipped(geometry: Geometry) -> ImageSet:
    """Two good pictures and two that are chipped at the right rim, which goes on in the padding."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 256, (4, *SIZE), np.uint8)
    chip = np.zeros(SIZE, bool)
    chip[20:26, 7:] = True
    table = pd.DataFrame({"image_id": list("abcd"), "label": "", "group": "", "is_anomaly": [False, False, True, True]})
    table["has_mask"] = table["is_anomaly"]
    source, rows = ImageSource(table, lambda row: found[row], lambda row: chip), np.arange(4)
    images, tiles, _, sizes = prepare.prepare_split(source, rows, geometry, 1, np.zeros(4, int), 0)
    masks = ground_truth.read_masks(source, rows, geometry, tiles, np.arange(4) > 1)
    return prepare.image_set(images, table, "split", geometry, sizes, masks, tiles)


@pytest.fixture(scope="module")
def judge():
    return scenes.detector(tiled=True)


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_padding_counts_for_nothing_where_it_is_known(kind, judge):
    (detector, models), (geometry, inside) = judge, GEOMETRIES[kind]
    test_set, parameters = chipped(geometry), group("scoring", batch_size=16, map_smoothing=1.0)
    judged = detector.detector.to_json()
    judged["belongs_to"] |= {"split": test_set.split_digest}

    def measured(some: ImageSet) -> dict:
        found = nodes.measure_pixels(some, detector.restorer, models["residual_statistics"], judged, parameters)
        assert found.pop("detector") == Detector.from_json(judged).digest
        return found

    def expected(where: tuple[slice, slice]) -> dict:
        counts, threshold = pixel_metrics.PixelCounts(), detector.detector.pixel_threshold
        maps = detector.maps(test_set.images, test_set.tiles)
        for found, mask in zip(maps, pictures.whole_masks(test_set), strict=True):
            counts.add(found[where], mask[where])
        return pixel_metrics.pixel_metrics(counts, threshold) | {"pixel_threshold": threshold}

    everywhere = (slice(None), slice(None))
    assert measured(test_set) == expected(inside) != expected(everywhere)
    assert measured(replace(test_set, sizes=None)) == expected(everywhere)
