"""Pictures of any size and mode -> uint8 images of one size. The same for training and for new pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.preprocessing.levelling import Levelling
from fanogan_pipeline.preprocessing.tiling import Tiling, cut, inner, padded

SHRUNK = 4  # times: a picture so much larger than what is seen of it may be blank for that alone
COLOURED = 32  # grey levels between two channels of a pixel, beyond what a camera or JPEG makes of grey


@dataclass(frozen=True)
class Geometry:
    """How a picture becomes what the networks see; travels in the models' headers.

    Attributes:
        image_size: (H, W) of the result.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).
        fit: "resize" (both sides to the size, the aspect ratio may change) or "pad" (the aspect
            ratio is kept, the rest filled with the picture's edge).
        local_contrast: how uneven light is taken away, after scaling; None leaves it.
        tiling: cut pictures into overlapping tiles of `image_size` instead; None, they are fitted whole.
        decoding: as `ImageSource`'s, of the pictures that the networks learnt from.
    """

    image_size: tuple[int, int]
    channels: int
    fit: str = "resize"
    local_contrast: Levelling | None = None
    tiling: Tiling | None = None
    decoding: Mapping[str, int | float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_text(self) -> str:
        """The same as JSON text, as image sets, models and detectors hold it."""
        return json.dumps(self.to_json(), sort_keys=True)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Geometry:
        """The geometry that `to_json` wrote. Raises InputError on anything else."""
        try:
            if missing := {"image_size", "channels", "fit", "local_contrast", "tiling"} - {*values}:
                raise ValueError(f"lacks {', '.join(sorted(missing))}")
            return TypeAdapter(cls).validate_python(values)
        except (TypeError, ValueError) as error:  # pydantic's is a ValueError
            raise InputError(
                f"model header: found geometry {values!r}, expected image_size, channels, fit, local_contrast "
                "and tiling"
            ) from error

    def expect_decoding(self, found: Mapping[str, float], source: str) -> None:
        """Refuse pictures whose files would have become other grey values among those that the networks learnt from.

        Args:
            found: `ImageSource.decoding` of theirs.
            source: name of their dataset.

        Raises:
            InputError: a setting that grey values of both depend on differs.
        """
        others = [name for name in sorted(found) if self.decoding.get(name, found[name]) != found[name]]
        if others:
            is_now, was = (", ".join(f"{name}: {of[name]}" for name in others) for of in (found, self.decoding))
            raise InputError(
                f"{source}: found {is_now}, expected {was} as for the pictures that the detector learnt from; set "
                f"{was} in the catalog's entry {source}, or convert files that need another"
            )

    def is_blank(self, images: np.ndarray) -> bool:
        """Whether nothing is left of a picture, all its images uint8 [T, C, H, W], once light is levelled away."""
        return self.local_contrast is not None and self.local_contrast.is_blank(images)

    def blank(self, size: tuple[int, int]) -> str:
        """The reason why a picture of `size` (h, w) that `is_blank` is not judged."""
        seen = self._scaled_size(size)
        of, hint = "", ""
        if size[0] * size[1] >= SHRUNK**2 * seen[0] * seen[1]:
            of = f", of {size[0]:,} x {size[1]:,}"
            hint = "; where the picture itself shows more, it averages out at that size"
        return (
            f"found one brightness throughout at the detector's size of {seen[0]:,} x {seen[1]:,} pixels{of}, which "
            f"shows nothing once local_contrast has taken it away; look at lens, exposure and what was in view{hint}"
        )

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """A whole picture: uint8 [h, w] or [h, w, 3] -> uint8 [C, H, W]."""
        return channels_first(self._levelled(self.scaled(picture)))

    def scaled(self, picture: np.ndarray) -> np.ndarray:
        """uint8 [h, w] or [h, w, 3] in its channels and at its size, before light is levelled and tiles are cut:
        [h, w] or [h, w, 3]."""
        picture = _resized(to_channels(picture, self.channels), self._scaled_size(picture.shape))
        return picture if self.tiling is not None else padded(picture, self.image_size)

    def apply_to_mask(self, mask: np.ndarray) -> np.ndarray:
        """bool [h, w] -> bool [H, W], at least so large where tiles are cut of it; scaled as `scaled_mask` says.

        A mask is padded as its picture is, with its edge: a defect at the rim goes on there in both.
        """
        return padded(scaled_mask(mask, self._scaled_size(mask.shape)), self.image_size)

    def inside(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """The rows and columns that a picture of `size` (h, w) has of what is prepared of it; the rest is padding."""
        return inner(self._scaled_size(size), self.image_size)

    def cut(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        """A picture as tiles: uint8 [h, w] or [h, w, 3] -> uint8 [T, C, H, W], corners [T, 2], prepared (h, w)."""
        assert self.tiling is not None
        picture = channels_first(padded(self._levelled(self.scaled(picture)), self.image_size))
        size = (picture.shape[1], picture.shape[2])
        corners = self.tiling.corners(size, self.image_size)
        tiles = cut(picture.transpose(1, 2, 0), corners, self.image_size)
        return np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)), corners, size

    def cut_mask(self, mask: np.ndarray) -> np.ndarray:
        """A picture's mask bool [h, w] as the masks of its tiles, bool [T, H, W]."""
        assert self.tiling is not None
        prepared = self.apply_to_mask(mask)
        corners = self.tiling.corners((prepared.shape[0], prepared.shape[1]), self.image_size)
        return cut(prepared, corners, self.image_size)

    def _levelled(self, picture: np.ndarray) -> np.ndarray:
        return picture if self.local_contrast is None else self.local_contrast.apply(picture)

    def _scaled_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(h, w) that a picture of `shape` (h, w, ...) is scaled to."""
        size = (shape[0], shape[1])
        if self.tiling is not None:
            return self.tiling.scaled_size(size)
        if self.fit == "resize":
            return self.image_size
        scale = min(limit / side for limit, side in zip(self.image_size, size, strict=True))
        height, width = (
            min(limit, max(1, round(side * scale))) for side, limit in zip(size, self.image_size, strict=True)
        )
        return height, width


def to_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [h, w] or [h, w, 3] -> [h, w] for one channel, [h, w, 3] for three."""
    if channels == 1 and picture.ndim == 3:
        return np.asarray(Image.fromarray(picture).convert("L"))
    if channels == 3 and picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    return picture


def has_colour(picture: np.ndarray) -> bool:
    """Whether a picture uint8 [h, w] or [h, w, 3] shows any, going by a pixel of every sixteen."""
    return picture.ndim == 3 and bool((np.ptp(picture[::4, ::4], axis=2) > COLOURED).any())


def channels_first(picture: np.ndarray) -> np.ndarray:
    """uint8 [h, w] or [h, w, C] -> [C, h, w]."""
    return picture[None] if picture.ndim == 2 else np.ascontiguousarray(picture.transpose(2, 0, 1))


def channels_last(image: np.ndarray) -> np.ndarray:
    """[C, h, w] -> [h, w] of one channel, [h, w, C] of more."""
    return image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))


def scaled_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool [h, w] -> bool of `size` (H, W); a pixel is anomalous where the centre of any that is falls on it.

    So the finest defect is still there, and in one piece, after shrinking; averaged, it would fade or break up. What
    grows takes the nearest.
    """
    for axis, side in enumerate(size):
        length = mask.shape[axis]
        if side < length:
            falls_on = (2 * np.arange(length) + 1) * side // (2 * length)
            mask = np.logical_or.reduceat(mask, np.searchsorted(falls_on, np.arange(side)), axis)
        else:
            mask = mask.take((2 * np.arange(side) + 1) * length // (2 * side), axis)
    return mask


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear, with the averaging over what is left out that shrinking needs."""
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))
