"""Arrays with texts beside them, in one npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError
from stored_forms import OPTIONS, example, refusal
from tests import damage

from fanogan_pipeline.datasets import ArrayDataset, ImageSetDataset


@pytest.fixture
def maps(tmp_path: Path) -> ArrayDataset:
    return ArrayDataset(filepath=str(tmp_path / "maps.npz"), texts=["detector"], **OPTIONS["ArrayDataset"])


def test_texts_come_back_beside_the_arrays(maps):
    data = example("ArrayDataset")
    maps.save({**data, "detector": "12ab"})
    found = maps.load()
    assert found["detector"] == "12ab"
    assert np.array_equal(found["maps"], data["maps"])
    assert set(found) == {"maps", "image_id", "detector"}


def test_a_text_is_asked_for_when_arrays_are_saved_and_may_lack_where_they_were_before(maps, tmp_path):
    data = example("ArrayDataset")
    with pytest.raises(DatasetError, match="lacks detector"):
        maps.save(data)
    ArrayDataset(filepath=str(tmp_path / "maps.npz"), **OPTIONS["ArrayDataset"]).save(data)
    assert "detector" not in maps.load()


def test_what_is_not_one_text_is_refused(maps, tmp_path):
    for strange in (np.array(["a", "b"]), np.array(3)):
        (tmp_path / "maps.npz").write_bytes(damage.npz(**example("ArrayDataset"), detector=strange))
        with pytest.raises(DatasetError, match=r"detector: found .*, expected one text"):
            maps.load()


def test_a_set_that_is_too_large_to_be_saved_says_what_makes_it_smaller(tmp_path):
    with pytest.raises(DatasetError) as caught:
        ImageSetDataset(filepath=str(tmp_path / "set.npz"), max_bytes=100).save(example("ImageSetDataset"))
    line = refusal(caught.value)
    assert "expected at most 100, see max_bytes in the catalog; or have fewer images by data_prep.max_train," in line
    assert line.endswith("max_test and tiling.max_train_tiles")
