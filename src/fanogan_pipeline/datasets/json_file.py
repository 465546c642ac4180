"""JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro_datasets._typing import JSONPreview

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.errors import InputError


class JSONDataset(AtomicFileDataset):
    """What JSON can hold, as a JSON file; numbers that are not finite are refused, since JSON has none.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) on loading, a file that is no JSON; on saving,
            data that JSON cannot hold.
    """

    _FORM = "JSON file"

    def _read(self, path: str) -> Any:
        return json.loads(self._read_bytes(path))

    def _write(self, path: Path, data: Any) -> None:
        try:
            text = json.dumps(data, indent=2, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"JSON cannot hold this ({error}), expected finite numbers, text, lists, dicts") from error
        self._write_bytes(path, text.encode())

    def preview(self) -> JSONPreview:
        """The whole content for kedro-viz."""
        return JSONPreview(json.dumps(self.load()))
