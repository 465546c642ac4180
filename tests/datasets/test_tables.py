"""Tables as parquet files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from fanogan_pipeline.datasets import ParquetDataset

TABLE = pd.DataFrame({"image_id": ["a", "b"], "score": [1.0, 2.0]}, index=[7, 9])


def test_what_is_saved_is_loaded_with_its_notes_and_without_its_index(tmp_path: Path) -> None:
    dataset = ParquetDataset(filepath=str(tmp_path / "table.parquet"))
    noted = TABLE.copy()
    noted.attrs["detector"] = "1234"
    dataset.save(noted)
    found = dataset.load()
    pd.testing.assert_frame_equal(found, TABLE.reset_index(drop=True), check_dtype=False)
    assert found.attrs == {"detector": "1234"}


def test_what_is_no_table_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found dict, expected a DataFrame"):
        ParquetDataset(filepath=str(tmp_path / "table.parquet")).save({"score": [1.0]})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
