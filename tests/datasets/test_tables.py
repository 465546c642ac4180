"""Tables as parquet files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from fanogan_pipeline.datasets import CSVDataset, ParquetDataset
from fanogan_pipeline.datasets.validators import new_verdicts
from fanogan_pipeline.detection.batch import verdict_list

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


@pytest.mark.parametrize("skipped", [[], ["NA"], ["null", "", "nan"]])
def test_a_list_of_verdicts_is_loaded_as_it_was_saved(tmp_path: Path, skipped: list[str]) -> None:
    scores = pd.DataFrame({"image_id": ["b.png", "a.png"], "verdict": "normal", "p_value": 1 / 3, "score": [2.0, 1.3]})
    listed = verdict_list(scores, [{"image_id": name, "reason": "the folder cannot be read"} for name in skipped])
    dataset = CSVDataset(filepath=str(tmp_path / "verdicts.csv"))
    dataset.save(listed)
    pd.testing.assert_frame_equal(dataset.load(), listed, check_exact=True)
    new_verdicts(dataset.load())


def test_numbers_with_gaps_and_texts_of_any_kind_come_back_from_text(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"n": [1, 2, 3], "x": [0.1 + 0.2, None, 1e-300], "t": ["", "1", "one"], "yes": [True, False, True]}
    )
    for rows in (3, 0):
        dataset = CSVDataset(filepath=str(tmp_path / f"{rows}.csv"))
        dataset.save(table[:rows])
        pd.testing.assert_frame_equal(dataset.load(), table[:rows], check_exact=True, check_dtype=rows > 0)
