"""From the bytes of one picture file to an array: PNG, JPEG, BMP, TIFF and WebP through Pillow.

Nothing here guesses from the pixels: a picture's grey values depend on the file and on `DecodingSettings`
alone, never on its own minimum and maximum or on its neighbours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from fanogan_pipeline.datasets.orientation import is_turned, upright
from fanogan_pipeline.errors import InputError, one_line

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
EXTENSIONS = frozenset({"png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"})
_LOSSY = frozenset({"JPEG", "MPO", "WEBP"})
_GREY = frozenset({"1", "L", "LA", "La"})
_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 322, 323

# The limit on a picture's size is `max_pixels`, checked from the header in `_opened`. Pillow's own is
# global to the process, warns first and could not be raised by a parameter of one dataset.
Image.MAX_IMAGE_PIXELS = None

Opener = Callable[[], contextlib.AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class DecodingSettings:
    """How files become arrays.

    Attributes:
        sixteen_bit_maximum: grey value of a 16-bit (or integer) picture that becomes 255, in [1, 2**31 - 1];
            4095 for a 12-bit camera. Colour of 16 bits keeps its upper eight, and is refused with any other value
            than 65535.
        float_maximum: value of a floating-point picture that becomes 255, above 0.
        background: grey level in [0, 255] behind what is transparent.
        animated: "refuse" or "first_frame", for files of more than one picture.
        max_pixels: a picture of more is refused before it is decoded.
    """

    sixteen_bit_maximum: int = 65535
    float_maximum: float = 1.0
    background: int = 0
    animated: str = "refuse"
    max_pixels: int = 80_000_000

    @property
    def of_masks(self) -> DecodingSettings:
        """The same for masks, which have no white: any value marks."""
        return replace(self, sixteen_bit_maximum=DecodingSettings.sixteen_bit_maximum)


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture that has not been decoded.

    Attributes:
        size: height and width as it is shown, pixels.
        setting: name of the one of `DecodingSettings` that its grey values depend on, "" where none does.
    """

    size: tuple[int, int]
    setting: str


def picture_header(opener: Opener, name: str, settings: DecodingSettings) -> Header:
    """The header, without decoding the picture, but for a PNG whose orientation stands behind its pixels.

    Raises:
        InputError: the file is empty, unreadable, no picture, too large, or animated or colour of 16 bits where the
            settings refuse that.
    """
    with _opened(opener, name, settings) as image:
        width, height = image.size
        return Header((width, height) if is_turned(image) else (height, width), _setting_of(image))


def decode(opener: Opener, name: str, settings: DecodingSettings) -> np.ndarray:
    """The picture, upright, as uint8 [H, W] (grey) or [H, W, 3] (RGB).

    Raises:
        InputError: as `picture_header`, and a file cut short or damaged, or values out of their range.
    """
    with _opened(opener, name, settings) as image:
        return _to_uint8(upright(image), name, settings)


def decode_mask(opener: Opener, name: str, settings: DecodingSettings) -> np.ndarray:
    """The mask, upright, as bool [H, W]: true where it is not black, so masks of 0 and 1 or of numbered
    defects count as well as those of 0 and 255. In a lossy file (JPEG, WebP) only the brighter half counts.

    Raises:
        InputError: as `decode`.
    """
    with _opened(opener, name, settings.of_masks) as opened:
        threshold = 127 if opened.format in _LOSSY else 0
        image = upright(opened)
        values = _wide_values(image, name) if _is_wide(image) else _to_uint8(image, name, DecodingSettings())
        return (values if values.ndim == 2 else values.max(axis=2)) > threshold


@contextlib.contextmanager
def _opened(opener: Opener, name: str, settings: DecodingSettings) -> Iterator[ImageFile.ImageFile]:
    """The picture with its header read and checked; whatever fails inside becomes an InputError."""
    try:
        with opener() as stream:
            if not stream.read(1):
                raise InputError(f"{name}: found an empty file (0 bytes), expected a picture; remove or replace it")
            stream.seek(0)
            with Image.open(stream, formats=FORMATS) as image:
                _check_header(image, name, settings)
                yield image
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{name}: cannot be read (out of memory); free some, or have fewer workers decode at a time"
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name}: found no picture or one whose header is damaged, expected PNG, JPEG, BMP, TIFF or WebP; "
            "remove or replace the file"
        ) from error
    # damaged bytes make decoders raise anything from SyntaxError to KeyError
    except Exception as error:
        reason = one_line(error)
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(
                f"{name}: cannot be read ({error.strerror or reason}); check its place and permissions"
            ) from error
        raise InputError(
            f"{name}: found a picture that is cut short or damaged ({reason}); remove or replace the file"
        ) from error


def _check_header(image: Image.Image, name: str, settings: DecodingSettings) -> None:
    width, height = image.size
    tile_pixels = _tile_pixels(image)
    if max(width * height, tile_pixels) > settings.max_pixels:
        tiles = f" in tiles of {tile_pixels:,}" if tile_pixels > settings.max_pixels else ""
        raise InputError(
            f"{name}: found {width:,} x {height:,} pixels{tiles}, expected at most {settings.max_pixels:,} in all; "
            "shrink the picture or raise max_pixels"
        )
    # a camera's MPO file is a photograph with an extra picture behind it, not a moving one
    if getattr(image, "is_animated", False) and image.format != "MPO" and settings.animated == "refuse":
        raise InputError(
            f"{name}: found an animated or multi-page file, expected a single picture; split it, or set "
            "animated: first_frame"
        )
    maximum = DecodingSettings.sixteen_bit_maximum
    if settings.sixteen_bit_maximum != maximum and _is_deep_colour(image):
        raise InputError(
            f"{name}: found colour or transparency of 16 bits, which no sixteen_bit_maximum but {maximum} is for, "
            f"expected grey; convert the file to 8 bits or to grey, or set sixteen_bit_maximum: {maximum}"
        )


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether Pillow gives the upper eight bits of channels that have sixteen."""
    tiles: Any = getattr(image, "tile", [])
    return image.format in ("PNG", "TIFF") and not _is_wide(image) and any(";16" in str(tile[3]) for tile in tiles)


def _tile_pixels(image: Image.Image) -> int:
    """Pixels of a TIFF's tile, which the decoder allocates however small the picture is."""
    tags: Any = getattr(image, "tag_v2", {})
    return int(tags.get(_TIFF_TILE_WIDTH, 0)) * int(tags.get(_TIFF_TILE_LENGTH, 0))


def _is_wide(image: Image.Image) -> bool:
    """Whether the pixels are grey values of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _wide_values(image: Image.Image, name: str) -> np.ndarray:
    values = np.asarray(image)
    if image.mode == "F" and not np.isfinite(values).all():
        raise InputError(
            f"{name}: found values that are not finite (NaN or infinity), expected numbers; repair the file"
        )
    return values


def _setting_of(image: Image.Image) -> str:
    if _is_wide(image):
        return "float_maximum" if image.mode == "F" else "sixteen_bit_maximum"
    return "background" if image.mode in _ALPHA or "transparency" in image.info else ""


def _to_uint8(image: Image.Image, name: str, settings: DecodingSettings) -> np.ndarray:
    setting = _setting_of(image)
    if setting.endswith("maximum"):
        return _scaled(_wide_values(image, name), getattr(settings, setting), setting, name)
    if setting == "background":
        composed = _on_background(image, settings.background)
        return np.array(composed.getchannel(0) if image.mode in _GREY else composed.convert("RGB"))
    return np.array(image.convert("L" if image.mode in _GREY else "RGB"))


def _scaled(values: np.ndarray, maximum: float, parameter: str, name: str) -> np.ndarray:
    low, high = values.min(), values.max()
    if low < 0 or high > maximum:
        form = "g" if values.dtype.kind == "f" else "d"
        remedy = f"set {parameter} to the value that stands for white"
        if low < 0:
            remedy = "convert the file to values from 0 up"
        found, expected = f"{low:{form}} to {high:{form}}", f"0 to {maximum:{form}}"
        raise InputError(f"{name}: found values from {found}, expected {expected}; {remedy}")
    return np.rint(values * (255.0 / maximum)).astype(np.uint8)


def _on_background(image: Image.Image, background: int) -> Image.Image:
    """The picture (RGBA) laid over an opaque grey level."""
    # Pillow leads from premultiplied grey to RGBA only by way of LA
    image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    below = Image.new("RGBA", image.size, (background, background, background, 255))
    return Image.alpha_composite(below, image)
