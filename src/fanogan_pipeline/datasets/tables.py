"""Tables as parquet files, and as text for spreadsheets."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from kedro_datasets._typing import TablePreview

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset, check_size
from fanogan_pipeline.errors import InputError

_CELL_BYTES = 8
_ENCODING = "utf-8-sig"


class _TableDataset(AtomicFileDataset):
    """What the datasets of tables have in common."""

    def _write(self, path: Path, data: pd.DataFrame) -> None:
        if not isinstance(data, pd.DataFrame):
            raise InputError(f"found {type(data).__name__}, expected a DataFrame")
        self._write_table(path, data)

    def _write_table(self, path: Path, table: pd.DataFrame) -> None:
        raise NotImplementedError

    def preview(self, nrows: int = 20) -> TablePreview:
        """The first rows for kedro-viz."""
        return TablePreview(json.loads(self.load().head(nrows).to_json(orient="split")))


class ParquetDataset(_TableDataset):
    """A pandas DataFrame as one parquet file, without its index.

    Kedro's own `pandas.ParquetDataset` would import every kind of table there is, databases too, whenever a pipeline is
    run or listed.

    Args:
        filepath, version, credentials, fs_args, metadata: see `AtomicFileDataset`.
        max_bytes: a file whose table would take more memory is neither saved nor read.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) on loading, a file that is no whole parquet file
            or unpacks to too much.
    """

    _FORM = "parquet file"

    def _read(self, path: str) -> pd.DataFrame:
        with self._fs.open(path, "rb") as file:
            self._check_unpacked(pq.ParquetFile(file).metadata)
            file.seek(0)
            return pd.read_parquet(file)

    def _write_table(self, path: Path, table: pd.DataFrame) -> None:
        table.to_parquet(path, index=False)
        self._check_unpacked(pq.read_metadata(path))

    def _check_unpacked(self, facts: pq.FileMetaData) -> None:
        unpacked = sum(facts.row_group(k).total_byte_size for k in range(facts.num_row_groups))
        # Repeated values pack to almost nothing, so the cells count as well as the bytes.
        check_size(max(unpacked, facts.num_rows * facts.num_columns * _CELL_BYTES), self._max_bytes)


class CSVDataset(_TableDataset):
    """A pandas DataFrame as comma-separated text that any spreadsheet opens.

    UTF-8 with the mark by which spreadsheets know it: without it they show names in other scripts as gibberish.
    Nothing stands for a missing value but an empty cell among numbers: "NA" and "null" are names as others are.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.
    """

    _FORM = "CSV file"

    def _read(self, path: str) -> pd.DataFrame:
        file = io.BytesIO(self._read_bytes(path))
        table = pd.read_csv(file, encoding=_ENCODING, keep_default_na=False)
        return table.apply(_with_gaps)

    def _write_table(self, path: Path, table: pd.DataFrame) -> None:
        table.to_csv(path, index=False, encoding=_ENCODING)
        check_size(path.stat().st_size, self._max_bytes)


def _with_gaps(column: pd.Series) -> pd.Series:
    """A column of numbers and empty cells as numbers, any other as it is."""
    filled = column[column != ""]
    if len(filled) in (0, len(column)):
        return column
    try:
        return filled.astype(float).reindex(column.index)
    except ValueError:
        return column
