"""The pictures and masks of a folder, one at a time by row number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import fsspec
import numpy as np

from fanogan_pipeline.datasets.decoding import DecodingSettings, Opener, decode, decode_mask, picture_size
from fanogan_pipeline.errors import InputError


@dataclass(frozen=True)
class FolderReader:
    """Row number -> picture or mask; safe to call from several threads, as each call opens its own file."""

    filesystem: fsspec.AbstractFileSystem
    root: str
    paths: list[str]
    masks: list[str]
    settings: DecodingSettings

    def read(self, row: int) -> np.ndarray:
        name = self._name(self.paths[row])
        return decode(self._opener(name), name, self.settings)

    def read_mask(self, row: int) -> np.ndarray:
        name = self._name(self.masks[row])
        return decode_mask(self._opener(name), name, self.settings)

    def stamp(self, row: int) -> str:
        """Size and time of change: another one means another picture under the same name."""
        facts = self.filesystem.info(self._name(self.paths[row]))
        changed = next((facts[key] for key in ("mtime", "LastModified", "updated", "ETag") if facts.get(key)), "")
        return f"{facts.get('size')}-{changed}"

    def fault(self, row: int, is_full: bool) -> str:
        """What is wrong with the picture or its mask, "" where nothing is."""
        name = self._name(self.paths[row])
        try:
            size = self.read(row).shape[:2] if is_full else picture_size(self._opener(name), name, self.settings)
            if not self.masks[row]:
                return ""
            mask = self._name(self.masks[row])
            mask_size = self.read_mask(row).shape if is_full else picture_size(self._opener(mask), mask, self.settings)
        except InputError as error:
            return str(error).removeprefix(f"{name}: ")
        if mask_size == size:
            return ""
        return f"found a mask of {_by(mask_size)} ({mask}), expected {_by(size)} (height x width) as its picture has"

    def _name(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}"

    def _opener(self, name: str) -> Opener:
        return partial(self.filesystem.open, name, "rb")


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in size)
