"""JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro.io import Version
from kedro_datasets._typing import JSONPreview
from kedro_datasets.json import JSONDataset as StockJSONDataset

from fanogan_pipeline.datasets.atomic import AtomicMixin
from fanogan_pipeline.errors import InputError


class JSONDataset(AtomicMixin, StockJSONDataset):
    """What JSON can hold, as a JSON file; numbers that are not finite are refused, since JSON has none.

    Args:
        filepath, save_args, version, credentials, fs_args, metadata: as for `kedro_datasets.json.JSONDataset`.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) on loading, a file that is no JSON; on saving,
            data that JSON cannot hold.
    """

    _FORM = "JSON file"

    def __init__(
        self,
        *,
        filepath: str,
        save_args: dict[str, Any] | None = None,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            filepath=filepath,
            save_args={"allow_nan": False, **(save_args or {})},
            version=version,
            credentials=credentials,
            fs_args=fs_args,
            metadata=metadata,
        )

    def _write(self, path: Path, data: Any) -> None:
        try:
            super()._write(path, data)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"JSON cannot hold this ({error}), expected finite numbers, text, lists, dicts") from error

    def preview(self) -> JSONPreview:
        """The whole content for kedro-viz."""
        return JSONPreview(json.dumps(self.load()))
