"""Files that are wrong in one way each, writes that fail and locks that do not reach, for tests of what is refused."""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import json
import os
import resource
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

VERSION = "9999-12-31T00.00.00.000Z"  # newer than whatever a run has written


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Real failing writes, without privileges: no file of this process may grow above so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def locks_of_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks as this machine has them on an NFS mount: on a directory none that any other machine sees, and no exclusive
    one on a file that is open for reading alone."""
    flock = fcntl.flock

    def over_nfs(file: Any, how: int) -> None:
        number = file if isinstance(file, int) else file.fileno()
        if stat.S_ISDIR(os.fstat(number).st_mode):
            return
        if how & fcntl.LOCK_EX and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(number, how)

    monkeypatch.setattr(fcntl, "flock", over_nfs)


def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks."""

    def unknown(file: Any, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unknown)


def idx(array: np.ndarray, magic: int | None = None, shape: tuple[int, ...] | None = None) -> bytes:
    """An IDX file of unsigned bytes whose header may lie."""
    sides = array.shape if shape is None else shape
    header = struct.pack(f">I{len(sides)}I", 0x800 | array.ndim if magic is None else magic, *sides)
    return header + array.astype(np.uint8).tobytes()


def idx_folder(folder: Path, count: int = 60, **files: bytes | None) -> Path:
    """The four files of MNIST with `count` small pictures a part, each class ten times; `files` replace some."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        whole = {
            f"{part}_images_idx3": idx(rng.integers(0, 256, (count, 20, 20))),
            f"{part}_labels_idx1": idx(np.arange(count) % 10),
        }
        for name, data in whole.items():
            data = files.get(name, data)
            if data is not None:
                (folder / f"{name.replace('_', '-')}-ubyte").write_bytes(data)
    return folder


def picture(mode: str = "L", size: tuple[int, int] = (20, 20), form: str = "PNG", **more: Any) -> bytes:
    """A picture of noise."""
    rng = np.random.default_rng(0)
    bands = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], *bands), dtype=np.uint8), mode)
    stream = io.BytesIO()
    image.save(stream, format=form, **more)
    return stream.getvalue()


def floats() -> bytes:
    """A TIFF of floating-point numbers from 0 to 255."""
    stream = io.BytesIO()
    Image.fromarray(np.linspace(0, 255, 400, dtype=np.float32).reshape(20, 20)).save(stream, format="TIFF")
    return stream.getvalue()


def moving_picture() -> bytes:
    """Two frames of WebP."""
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("black", "white")]
    stream = io.BytesIO()
    frames[0].save(stream, format="WEBP", save_all=True, append_images=frames[1:], duration=100)
    return stream.getvalue()


def png_promising(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and which holds next to nothing: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def picture_folder(folder: Path, *extra: tuple[str, bytes]) -> Path:
    """Forty good pictures, and whatever else is said."""
    return _filled(folder, [*((f"good{k:02}.png", picture()) for k in range(40)), *extra])


def defects_folder(folder: Path, *extra: tuple[str, bytes]) -> Path:
    """The field's layout: good pictures to train and test on, one with a defect and its mask."""
    names = [*(f"train/good/{k:02}.png" for k in range(40)), "test/good/0.png", "test/hole/0.png"]
    names.append("ground_truth/hole/0_mask.png")
    return _filled(folder, [*((name, picture()) for name in names), *extra])


def _filled(folder: Path, files: list[tuple[str, bytes]]) -> Path:
    for name, data in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def arrays(path: Path) -> dict[str, np.ndarray]:
    """What an npz file holds."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def npz(**members: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, **members)
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def npy_promising(shape: tuple[int, ...], data: bytes = b"", descr: str = "|u1") -> bytes:
    """An npy file whose header promises a shape whatever follows."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


class Exploding:
    """Pickled, it would write a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def split_safetensors(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The table of tensors and the bytes behind it."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def safetensors(table: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + rest


def gzip_cut(data: bytes) -> bytes:
    return gzip.compress(data)[:-20]
