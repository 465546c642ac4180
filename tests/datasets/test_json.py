"""JSON files: their bytes, and what JSON cannot hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DatasetError
from stored_forms import refusal

from fanogan_pipeline.datasets import JSONDataset


def test_the_bytes_of_a_file_are_these(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    JSONDataset(filepath=str(path)).save({"größe": [1, 0.1], "none": None, "empty": {}})
    expected = '{\n  "gr\\u00f6\\u00dfe": [\n    1,\n    0.1\n  ],\n  "none": null,\n  "empty": {}\n}'
    assert path.read_bytes() == expected.encode()


@pytest.mark.parametrize("data", [{"auroc": float("nan")}, [float("inf")], {1, 2}, {(1, 2): 3}])
def test_what_json_cannot_hold_is_not_saved(data: object, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        JSONDataset(filepath=str(tmp_path / "numbers.json")).save(data)
    line = refusal(caught.value)
    assert "not saved, JSON cannot hold this (" in line
    assert line.endswith("), expected finite numbers, text, lists, dicts")
    assert list(tmp_path.iterdir()) == []
