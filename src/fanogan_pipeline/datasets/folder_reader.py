"""The pictures and masks of a folder, one at a time by row number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import fsspec
import numpy as np

from fanogan_pipeline.datasets.decoding import DecodingSettings, Opener, decode, decode_mask, picture_size
from fanogan_pipeline.errors import InputError


@dataclass(frozen=True)
class FolderFiles:
    """Path relative to the folder -> picture or mask: the `PictureFiles` of a folder.

    It pickles small, for workers that see the same folder; credentials travel inside the file system.
    """

    filesystem: fsspec.AbstractFileSystem
    root: str
    settings: DecodingSettings

    def read(self, path: str) -> np.ndarray:
        name = self.name(path)
        return decode(self.opener(name), name, self.settings)

    def read_mask(self, path: str) -> np.ndarray:
        name = self.name(path)
        return decode_mask(self.opener(name), name, self.settings)

    def exists(self, path: str) -> bool:
        return bool(self.filesystem.exists(self.name(path)))

    def facts(self) -> dict[str, Any]:
        return {"root": self.root, **asdict(self.settings)}

    def name(self, path: str) -> str:
        """The path within the file system."""
        return f"{self.root.rstrip('/')}/{path}"

    def opener(self, name: str) -> Opener:
        return partial(self.filesystem.open, name, "rb")


@dataclass(frozen=True)
class FolderReader:
    """Row number -> picture or mask; safe to call from several threads, as each call opens its own file."""

    files: FolderFiles
    paths: list[str]
    masks: list[str]

    def read(self, row: int) -> np.ndarray:
        return self.files.read(self.paths[row])

    def read_mask(self, row: int) -> np.ndarray:
        return self.files.read_mask(self.masks[row])

    def stamp(self, row: int) -> str:
        """Size and time of change: another one means another picture under the same name."""
        facts = self.files.filesystem.info(self.files.name(self.paths[row]))
        changed = next((facts[key] for key in ("mtime", "LastModified", "updated", "ETag") if facts.get(key)), "")
        return f"{facts.get('size')}-{changed}"

    def fault(self, row: int, is_full: bool) -> str:
        """What is wrong with the picture or its mask, "" where nothing is."""
        name = self.files.name(self.paths[row])
        try:
            size = self.read(row).shape[:2] if is_full else self._size(name)
            if not self.masks[row]:
                return ""
            mask = self.files.name(self.masks[row])
            mask_size = self.read_mask(row).shape if is_full else self._size(mask)
        except InputError as error:
            return str(error).removeprefix(f"{name}: ")
        if mask_size == size:
            return ""
        return f"found a mask of {_by(mask_size)} ({mask}), expected {_by(size)} (height x width) as its picture has"

    def _size(self, name: str) -> tuple[int, int]:
        return picture_size(self.files.opener(name), name, self.files.settings)


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in size)
