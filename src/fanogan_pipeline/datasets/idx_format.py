"""The IDX format of one file: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

Two zero bytes, a byte for the type (0x08: unsigned bytes), a byte for the number of dimensions, the
dimensions as big-endian 32-bit integers, then the data in C order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import IO

import fsspec
import numpy as np

from fanogan_pipeline.datasets.atomic_file import DEFLATE_MAXIMUM_RATIO
from fanogan_pipeline.errors import InputError

KINDS = {1: "labels", 3: "pictures"}
_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str, dimensions: int, max_bytes: int = 4 << 30, credentials: dict | None = None) -> np.ndarray:
    """One IDX file of unsigned bytes, gzipped or not (its first bytes tell).

    Args:
        path: file name or URL.
        dimensions: 1 for labels, 3 for pictures.
        max_bytes: more data than this is refused; no more than the header promises is decompressed.
        credentials: what fsspec needs to reach a remote place.

    Returns:
        uint8 [N] or [N, H, W], read-only, no side zero.

    Raises:
        InputError: the file cannot be read, is damaged, or is not what its header or `dimensions` says.
    """
    filesystem, inner_path = fsspec.core.url_to_fs(path, **(credentials or {}))
    try:
        size = filesystem.size(inner_path)
        with filesystem.open(inner_path, "rb") as raw:
            packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            most = math.inf if size is None else size * (DEFLATE_MAXIMUM_RATIO if packed else 1)
            if not packed:
                return _read_stream(raw, path, dimensions, max_bytes, most)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read_stream(stream, path, dimensions, max_bytes, most)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the gzip data is cut short or damaged ({error}); fetch the file again") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, expected {KINDS[dimensions]} in the format of MNIST") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); check its place and permissions"
        ) from error


def _read_stream(
    stream: IO[bytes] | gzip.GzipFile, path: str, dimensions: int, max_bytes: int, most: float
) -> np.ndarray:
    """The array of an unpacked stream that can hold `most` bytes; nothing is allocated before that is checked."""
    header_length = 4 * (1 + dimensions)
    header = stream.read(header_length)
    expected_magic = _UNSIGNED_BYTE << 8 | dimensions
    if len(header) >= 4 and (magic := struct.unpack(">I", header[:4])[0]) != expected_magic:
        other = next((kind for d, kind in KINDS.items() if magic == _UNSIGNED_BYTE << 8 | d), None)
        raise InputError(
            f"{path}: found magic number 0x{magic:08x}{f' (a file of {other})' if other else ''}, expected "
            f"0x{expected_magic:08x} ({KINDS[dimensions]}); name the right file or fetch it again"
        )
    if len(header) < header_length:
        raise InputError(
            f"{path}: found {len(header)} bytes, expected a header of {header_length} and the {KINDS[dimensions]} "
            "behind it; fetch the file again"
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    shape_text = " x ".join(f"{side:,}" for side in shape)
    promised = math.prod(shape)
    if promised == 0:
        raise InputError(f"{path}: the header says {shape_text}, expected at least one of everything")
    if promised > max_bytes:
        raise InputError(
            f"{path}: the header says {shape_text} = {promised:,} bytes, expected at most {max_bytes:,}; the file is "
            "damaged, or raise max_bytes"
        )
    amount = "fewer"
    if header_length + promised <= most:
        data = stream.read(promised + 1)  # one more, to reach the end, where gzip compares its checksum
        if len(data) == promised:
            return np.frombuffer(data, np.uint8).reshape(shape)
        amount = "more" if len(data) > promised else f"only {len(data):,}"
    raise InputError(
        f"{path}: the header says {shape_text} = {promised:,} bytes of {KINDS[dimensions]}, found {amount}; "
        "fetch the file again"
    )
