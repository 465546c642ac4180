"""Tables as parquet files."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from kedro.io import Version
from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset as StockParquetDataset

from fanogan_pipeline.datasets.atomic import AtomicMixin
from fanogan_pipeline.datasets.atomic_file import check_size
from fanogan_pipeline.errors import InputError

_CELL_BYTES = 8


class ParquetDataset(AtomicMixin, StockParquetDataset):
    """A pandas DataFrame as one parquet file, without its index unless `save_args` says so.

    Args:
        filepath, load_args, save_args, version, credentials, fs_args, metadata: as for
            `kedro_datasets.pandas.ParquetDataset`.
        max_bytes: a file whose table would take more memory is not read.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) on loading, a file that is no whole parquet file
            or unpacks to too much.
    """

    _FORM = "parquet file"

    def __init__(
        self,
        *,
        filepath: str,
        load_args: dict[str, Any] | None = None,
        save_args: dict[str, Any] | None = None,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        max_bytes: int = 4 << 30,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            filepath=filepath,
            load_args=load_args,
            save_args={"index": False, **(save_args or {})},
            version=version,
            credentials=credentials,
            fs_args=fs_args,
            metadata=metadata,
        )
        self._max_bytes = max_bytes

    def _read(self, path: str) -> pd.DataFrame:
        with self._fs.open(path, "rb") as file:
            facts = pq.ParquetFile(file).metadata
        unpacked = sum(facts.row_group(k).total_byte_size for k in range(facts.num_row_groups))
        # Repeated values pack to almost nothing, so the cells count as well as the bytes.
        check_size(max(unpacked, facts.num_rows * facts.num_columns * _CELL_BYTES), self._max_bytes)
        return super()._read(path)

    def _write(self, path: Any, data: pd.DataFrame) -> None:
        if not isinstance(data, pd.DataFrame):
            raise InputError(f"found {type(data).__name__}, expected a DataFrame")
        super()._write(path, data)

    def preview(self, nrows: int = 20) -> TablePreview:
        """The first rows for kedro-viz."""
        return TablePreview(json.loads(self.load().head(nrows).to_json(orient="split")))
