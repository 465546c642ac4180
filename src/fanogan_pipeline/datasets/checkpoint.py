"""Models as safetensors files."""

from __future__ import annotations

import json
from pathlib import Path

from kedro_datasets._typing import JSONPreview

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.lazy import lazily

with lazily():
    from fanogan_pipeline import networks
    from fanogan_pipeline.datasets import safetensors_format

FIRST = ("kind", "network", "parameters")


class CheckpointDataset(AtomicFileDataset):
    """A `Checkpoint` as one safetensors file, its header as JSON in the file's metadata; nothing in it can run.

    `load` sets `origin` to the path it read.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) on loading, a file that is cut short, holds other
            tensors than it says, or has no header of JSON; on saving, something else than a `Checkpoint`, or a
            header that JSON cannot hold.
    """

    _FORM = "safetensors file"

    def _read(self, path: str) -> networks.Checkpoint:
        return safetensors_format.from_bytes(self._read_bytes(path), origin=path)

    def _write(self, path: Path, data: networks.Checkpoint) -> None:
        if not isinstance(data, networks.Checkpoint):
            raise InputError(f"found {type(data).__name__}, expected a Checkpoint")
        self._write_bytes(path, safetensors_format.to_bytes(data))

    def preview(self) -> JSONPreview:
        """What kedro-viz shows: network and parameters first, then the digests and the tensors."""
        checkpoint = self.load()
        facts = {name: checkpoint.header[name] for name in FIRST if name in checkpoint.header} | checkpoint.header
        if isinstance(geometry := facts.get("geometry"), str):
            facts["geometry"] = json.loads(geometry)
        facts |= {
            "digest": checkpoint.digest,
            "weights": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
            "tensors": {name: list(tensor.shape) for name, tensor in checkpoint.tensors.items()},
        }
        return JSONPreview(json.dumps(facts))
