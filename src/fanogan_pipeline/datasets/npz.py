"""Named arrays in one npz file, read without pickle and without trusting what the file says of itself."""

from __future__ import annotations

import math
import zipfile
from typing import IO, BinaryIO

import numpy as np
from numpy.lib import format as npy

from fanogan_pipeline.datasets.atomic_file import DEFLATE_MAXIMUM_RATIO, check_size
from fanogan_pipeline.errors import InputError

_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_SUFFIX = ".npy"


def read_arrays(
    file: BinaryIO, required: set[str], optional: set[str], max_bytes: int, wanted: set[str] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an npz file.

    Args:
        file: open for reading, seekable.
        required, optional: the names that must and may be there; no others may.
        max_bytes: of all arrays together, unpacked.
        wanted: names of those to read; None, all.

    Raises:
        InputError: names are missing, unknown or doubled; an array holds objects; a member's header, its
            stated size and what the file can hold do not agree; or it is all too large. No memory is taken before.
        zipfile.BadZipFile, ValueError, ...: not an npz file, or damaged.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        check_names([member.filename.removesuffix(_SUFFIX) for member in members], required, optional)
        _check_unpacked(members, max_bytes)
        arrays = {}
        for member in members:
            name = member.filename.removesuffix(_SUFFIX)
            if wanted is not None and name not in wanted:
                continue
            if member.file_size > max(member.compress_size, 1) * DEFLATE_MAXIMUM_RATIO:
                raise InputError(f"{name}: {member.compress_size:,} bytes cannot unpack to {member.file_size:,}")
            with archive.open(member) as stream:
                _check_header(stream, name, member.file_size)
            with archive.open(member) as stream:
                arrays[name] = npy.read_array(stream, allow_pickle=False)
                stream.read(1)  # reaching the end has the checksum compared
    return arrays


def write_arrays(file: BinaryIO, arrays: dict[str, np.ndarray], max_bytes: int) -> None:
    """The same arrays always make the same bytes.

    Args:
        file: open for writing and reading.
        arrays: name -> array.
        max_bytes: as for `read_arrays`.

    Raises:
        SizeError: `read_arrays` would refuse them; mostly before anything is written.
    """
    check_size(sum(array.nbytes for array in arrays.values()), max_bytes)
    np.savez(file, allow_pickle=False, **arrays)
    with zipfile.ZipFile(file) as archive:  # each array has got a header
        _check_unpacked(archive.infolist(), max_bytes)


def check_names(found: list[str], required: set[str], optional: set[str]) -> None:
    """Refuse names that are missing, unknown or there twice."""
    missing, unknown = sorted(required - set(found)), sorted(set(found) - required - optional)
    if missing or unknown:
        parts = [
            f"{word} {', '.join(names)[:200]}"
            for word, names in (("lacks", missing), ("has unknown", unknown))
            if names
        ]
        raise InputError(f"{' and '.join(parts)}, expected {', '.join(sorted(required))}")
    if len(set(found)) != len(found):
        raise InputError("has an array twice, expected each once")


def check_text(name: str, array: np.ndarray, is_unique: bool) -> None:
    """Refuse text (str [N] or []) that holds no valid characters or, where it names things, a name twice."""
    try:
        values = array.tolist()
    except ValueError as error:
        raise InputError(f"{name}: found bytes that are no text, expected text") from error
    if is_unique and len(set(values)) != len(values):
        raise InputError(f"{name}: found {len(values) - len(set(values)):,} repeated names, expected each once")


def _check_unpacked(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    check_size(sum(member.file_size for member in members), max_bytes)


def _check_header(stream: IO[bytes], name: str, size: int) -> None:
    version = npy.read_magic(stream)
    if version not in _HEADER_READERS:
        raise InputError(f"{name}: found npy format {version}, expected one of {sorted(_HEADER_READERS)}")
    shape, _, dtype = _HEADER_READERS[version](stream)
    if dtype.hasobject or dtype.kind not in "biufU":
        raise InputError(f"{name}: found dtype {dtype}, expected numbers, truth values or text")
    if any(not isinstance(side, int) or side < 0 for side in shape):
        raise InputError(f"{name}: found shape {shape}, expected sides of 0 and more")
    promised = math.prod(shape) * dtype.itemsize
    if stream.tell() + promised != size:
        raise InputError(
            f"{name}: the header says {dtype} {list(shape)} = {promised:,} bytes, found {size - stream.tell():,}"
        )
