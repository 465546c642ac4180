"""Figures as PNG files."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from kedro_datasets._typing import ImagePreview
from PIL import Image

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset, check_size
from fanogan_pipeline.datasets.versions import COMPLETE
from fanogan_pipeline.errors import InputError, one_line
from fanogan_pipeline.lazy import lazily

with lazily():
    from matplotlib import figure

Picture: TypeAlias = "figure.Figure | bytes"
_LONGEST = 255  # bytes of a file's name
_PNG = b"\x89PNG\r\n\x1a\n"


class FigureDataset(AtomicFileDataset):
    """A matplotlib `Figure`, or a PNG as bytes, as a PNG file; `load` gives the bytes.

    The same figure makes the same bytes (no dates, no version of the writer). A saved figure is closed. What its
    attribute `belongs_to` says, if it has one, text by name, stands in the PNG too.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) what is loaded or saved is no whole PNG.
    """

    _FORM = "PNG file"

    def _read(self, path: str) -> Any:
        return checked_png(self._read_bytes(path))

    def _write(self, path: Path, data: Any) -> None:
        self._write_bytes(path, to_png(data))

    def preview(self) -> ImagePreview:
        """The figure for kedro-viz: a PNG in base64."""
        return ImagePreview(base64.b64encode(self.load()).decode("ascii"))


class FigureFolderDataset(FigureDataset):
    """Name -> `Figure` or PNG bytes, as a folder of PNG files that appears whole; `load` gives name -> bytes.

    A name is a relative path with `/` and gets `.png` unless it has it; `picture_names` makes such of any. A value may
    be a function without arguments that makes the picture, so that not all need to be in memory, or None where there is
    none to save after all. A folder cannot be replaced in one step, so the catalog must say `versioned: true`.

    Args:
        filepath, version, credentials, fs_args, max_bytes, metadata: see `FigureDataset`.
    """

    _FORM = "folder of PNG files"
    _IS_FOLDER = True

    def _read(self, path: str) -> dict[str, bytes]:
        sizes = {found: facts["size"] or 0 for found, facts in self._fs.find(path, detail=True).items()}
        check_size(sum(sizes.values()), self._max_bytes)
        names = {str(PurePosixPath("/", found).relative_to(PurePosixPath("/", path))): found for found in sorted(sizes)}
        return {name: _named_png(name, self._fs.cat_file(found)) for name, found in names.items() if name != COMPLETE}

    def _write(self, path: Path, data: Mapping[str, Picture | Callable[[], Picture | None]]) -> None:
        if not isinstance(data, Mapping):
            raise InputError(f"found {type(data).__name__}, expected a dict of names and figures")
        path.mkdir()
        size = 0
        for name, value in data.items():
            target = path / safe_name(name)
            if target.exists():
                raise InputError(
                    f"{name}: found this name twice, expected each once (with and without .png is the same)"
                )
            picture = value() if callable(value) else value
            if picture is not None:
                content = to_png(picture)
                size += len(content)
                check_size(size, self._max_bytes)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)

    def preview(self) -> ImagePreview:
        """The first picture for kedro-viz: a PNG in base64."""
        pictures = self.load()
        return ImagePreview(base64.b64encode(next(iter(pictures.values()), b"")).decode("ascii"))


def to_png(picture: Picture) -> bytes:
    """A PNG of a figure at its own resolution, which is closed; PNG bytes are checked and passed on."""
    if isinstance(picture, bytes):
        return checked_png(picture)
    if not isinstance(picture, figure.Figure):
        raise InputError(f"found {type(picture).__name__}, expected a matplotlib Figure or the bytes of a PNG")
    buffer = io.BytesIO()
    texts = {"Software": None, **getattr(picture, "belongs_to", {})}
    picture.savefig(buffer, format="png", dpi="figure", metadata=texts)
    # another thread may be importing it this moment
    if close := getattr(sys.modules.get("matplotlib.pyplot"), "close", None):
        close(picture)
    return buffer.getvalue()


def checked_png(data: bytes) -> bytes:
    """The bytes, if they are a PNG whose every part has the right checksum.

    Raises:
        InputError: they are not.
    """
    if not data.startswith(_PNG):
        raise InputError("found no PNG, expected one")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.verify()
    except Exception as error:  # what Pillow raises on broken files is not limited to its own errors
        raise InputError(f"the PNG is damaged ({one_line(error, 200)})") from error
    return data


def safe_name(name: str) -> str:
    """The name as a relative path that ends in `.png`.

    Raises:
        InputError: it would leave the folder, or hide in it.
    """
    path = PurePosixPath(str(name))
    if path.is_absolute() or not path.parts or "\0" in str(name) or "\\" in str(name):
        raise InputError(f"{name!r}: not a name for a picture, expected a relative path")
    if any(part.startswith(".") for part in path.parts):
        raise InputError(f"{name!r}: not a name for a picture, expected no part that starts with a dot")
    return str(path) if path.suffix.lower() == ".png" else f"{path}.png"


def picture_names(names: Sequence[str]) -> list[str]:
    """A name for each that a `FigureFolderDataset` takes and no other has: its own, with `.png`, wherever that serves.

    Otherwise `\\` and dots in front become `_`, what is long is cut, and a hash of the name makes it unique.

    Args:
        names: of pictures, relative paths, each once; with other endings than `.png` two may come to the same.
    """
    places = [PurePosixPath(name) for name in names]
    taken = {str(place) for path in places for place in (path, *path.parents)}
    return [_picture_name(path, taken) for path in places]


def _picture_name(path: PurePosixPath, taken: set[str]) -> str:
    own = path if path.suffix.lower() == ".png" else path.with_name(f"{path.name}.png")
    safe = PurePosixPath(*(re.sub(r"^\.|\\", "_", part) for part in own.parts))
    is_free = own == path or str(own) not in taken
    if safe == own and is_free and len(os.fsencode(own.name)) <= _LONGEST:
        return str(own)
    start = os.fsencode(safe.stem)[: _LONGEST // 2].decode(errors="ignore")
    return str(safe.with_name(f"{start}-{hashlib.sha256(os.fsencode(str(path))).hexdigest()[:12]}.png"))


def _named_png(name: str, data: bytes) -> bytes:
    try:
        return checked_png(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
