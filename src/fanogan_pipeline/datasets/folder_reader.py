"""The pictures and masks of a folder, one at a time by row number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

import fsspec
import numpy as np
from tqdm import tqdm

from fanogan_pipeline.datasets.decoding import DecodingSettings, Header, Opener, decode, decode_mask, picture_header
from fanogan_pipeline.datasets.folder_layout import Placed
from fanogan_pipeline.errors import InputError, one_line
from fanogan_pipeline.in_order import in_order

_BATCH = 2048  # pictures under check at a time


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

    def stamp(self, path: str) -> str:
        name = self.name(path)
        self.filesystem.invalidate_cache(name)
        return stamp_of(self.filesystem, name)

    def facts(self) -> dict[str, Any]:
        return {"root": self.root, **asdict(self.settings)}

    def name(self, path: str) -> str:
        """The path within the file system."""
        return f"{self.root.rstrip('/')}/{path}"

    def opener(self, name: str) -> Opener:
        return partial(self.filesystem.open, name, "rb")


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a picture has shown.

    Attributes:
        reason: what is wrong with the picture or its mask, "" where nothing is.
        stamp: size and time of change: another one means another picture under the same name.
        setting: as `Header`'s.
    """

    reason: str = ""
    stamp: str = ""
    setting: str = ""


@dataclass(frozen=True)
class FolderReader:
    """Row number -> picture or mask; safe to call from several threads, as each call opens its own file."""

    files: FolderFiles
    pictures: Sequence[Placed]

    def read(self, row: int) -> np.ndarray:
        return self.files.read(self.pictures[row].path)

    def read_mask(self, row: int) -> np.ndarray:
        return self.files.read_mask(self.pictures[row].mask)

    def looks(self, workers: int, is_full: bool) -> Iterator[Look]:
        """A look at each picture in turn, in so many threads; a full one decodes it, and not its header alone."""
        total = len(self.pictures)
        found = in_order(partial(self.look, is_full=is_full), range(total), workers, _BATCH)
        # a bar where there is a terminal, silence elsewhere
        yield from tqdm(found, total=total, desc="checking pictures", unit="picture", disable=None, delay=1)

    def look(self, row: int, is_full: bool) -> Look:
        picture = self.pictures[row]
        name = self.files.name(picture.path)
        try:
            header = self._header(name, self.files.settings)
            size = self.read(row).shape[:2] if is_full else header.size
            if picture.mask:
                mask = self.files.name(picture.mask)
                mask_size = (
                    self.read_mask(row).shape if is_full else self._header(mask, self.files.settings.of_masks).size
                )
                if mask_size != size:
                    return Look(
                        f"found a mask of {_by(mask_size)} ({mask}), expected {_by(size)} (height x width) as its "
                        "picture has"
                    )
            return Look(stamp=stamp_of(self.files.filesystem, name), setting=header.setting)
        except InputError as error:
            return Look(str(error).removeprefix(f"{name}: "))

    def _header(self, name: str, settings: DecodingSettings) -> Header:
        return picture_header(self.files.opener(name), name, settings)


def stamp_of(filesystem: fsspec.AbstractFileSystem, name: str) -> str:
    """Size and time of change of a file; InputError where it has gone."""
    try:
        facts = filesystem.info(name)
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise InputError(f"{name}: cannot be read ({reason}); check its place and permissions") from error
    changed = next((facts[key] for key in ("mtime", "LastModified", "updated", "ETag") if facts.get(key)), "")
    if isinstance(changed, datetime):
        changed = changed.replace(microsecond=0)  # a store may list milliseconds and tell of one file in whole seconds
    return f"{facts.get('size')}-{changed}"


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in size)
