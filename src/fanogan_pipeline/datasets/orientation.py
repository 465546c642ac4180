"""Which way up a picture file is shown, by its EXIF or XMP data."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import IO

from PIL import ExifTags, Image, ImageFile

_TURN = Image.Transpose
_TURNS = {  # orientation -> what makes the picture upright; from 5 on it swaps the sides
    **{2: _TURN.FLIP_LEFT_RIGHT, 3: _TURN.ROTATE_180, 4: _TURN.FLIP_TOP_BOTTOM, 5: _TURN.TRANSPOSE},
    **{6: _TURN.ROTATE_270, 7: _TURN.TRANSVERSE, 8: _TURN.ROTATE_90},
}
_PNG_SIGNATURE, _PNG_KEYWORD, _PNG_CHECKSUM = 8, 22, 4  # bytes; of a keyword the longest that is looked for
_ORIENTATION_CHUNKS = (
    b"eXIf",
    *(kind + b"XML:com.adobe.xmp\0" for kind in (b"tEXt", b"zTXt", b"iTXt")),
    *(kind + b"Raw profile type exif\0" for kind in (b"tEXt", b"zTXt", b"iTXt")),
)


def is_turned(image: ImageFile.ImageFile) -> bool:
    """Whether the orientation swaps the sides that the header gives."""
    if image.format == "TIFF":  # Pillow swaps a TIFF's itself
        return False
    if image.format == "PNG" and "exif" not in image.info and image.fp and _is_orientation_behind(image.fp):
        image.load()
    return _orientation(image) >= 5


def _orientation(image: ImageFile.ImageFile) -> int:
    """By EXIF or XMP data; 1, upright, where they say none or cannot be read, as the pixels can all the same."""
    try:
        # a PNG's own `getexif` would decode the whole of it to look behind the pixels
        found = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
        return found if found in _TURNS else 1
    except Exception:  # damaged data make parsers raise anything
        return 1


def upright(image: ImageFile.ImageFile) -> Image.Image:
    """The decoded picture with its first row on top and its first column on the left."""
    image.load()  # what is wrong with the pixels shows here
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _is_orientation_behind(stream: IO[bytes]) -> bool:
    """Whether a PNG has EXIF or XMP data behind its pixels; the stream stays where it is."""
    place = stream.tell()
    behind = itertools.dropwhile(lambda chunk: not chunk.startswith(b"IDAT"), _png_chunks(stream))
    is_found = any(chunk.startswith(_ORIENTATION_CHUNKS) for chunk in behind)
    stream.seek(place)
    return is_found


def _png_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Kind and first bytes of each chunk of a PNG."""
    stream.seek(_PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND" and len(head := stream.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        start = stream.read(min(length, _PNG_KEYWORD))
        yield kind + start
        stream.seek(length - len(start) + _PNG_CHECKSUM, os.SEEK_CUR)
