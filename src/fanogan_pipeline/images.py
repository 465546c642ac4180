"""What the stages hand to one another: pictures as they are found, and sets ready for the networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from fanogan_pipeline.errors import InputError

SOURCE_COLUMNS = ("image_id", "label", "part", "group", "has_mask")
KINDS = {np.str_: "text", np.bool_: "bool", np.int32: "int32"}


class PictureFiles(Protocol):
    """Pictures that other processes and machines can read as well; small, for it travels to each of them."""

    def read(self, image_id: str) -> np.ndarray:
        """As `ImageSource.read`, by name."""

    def exists(self, image_id: str) -> bool:
        """Whether the picture is seen from here."""

    def stamp(self, image_id: str) -> str:
        """What the column `stamp` of their source would hold now: another one means another picture."""

    def facts(self) -> dict[str, Any]:
        """Where they lie and how they are decoded, as JSON holds it; no secrets."""


@dataclass(frozen=True)
class ImageSource:
    """Pictures where they lie, read one at a time, so that memory does not grow with their number.

    Attributes:
        table: a row per picture, index 0..N-1, columns `image_id` (str, unique), `label` (str,
            "" where unknown), `part` ("train", "test" or "" where the source has no split of its
            own), `group` (str; pictures of one group stay on one side of every split, "" stands
            alone), `has_mask` (bool) and, where `files` can tell, `stamp` (str, see `PictureFiles`).
        read: row number -> uint8 [H, W] (grey) or [H, W, 3] (RGB), in the picture's own size.
        read_mask: row number -> bool [H, W], true where anomalous; only called where `has_mask`.
        normal_label: the label that the source's own layout calls normal ("good"), or "" where
            the user names the normal classes.
        skipped: a row per picture left out on reading, columns `image_id`, `reason`.
        files: the same pictures for other processes, or None where they lie in this one's memory.
        decoding: settings of the source that grey values of these pictures depend on, name -> value.
        settings: name of the one of `decoding` that each picture depends on, "" for none, str [N]; None, none does.
    """

    table: pd.DataFrame
    read: Callable[[int], np.ndarray]
    read_mask: Callable[[int], np.ndarray] | None = None
    normal_label: str = ""
    skipped: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["image_id", "reason"]))
    files: PictureFiles | None = None
    decoding: dict[str, float] = field(default_factory=dict)
    settings: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Tiles:
    """Where each image of a set was cut from its picture; a picture's tiles stand together.

    Attributes:
        picture_id: str [N].
        top, left: of the tile in the prepared picture, pixels, int32 [N].
        height, width: of the prepared picture, pixels, int32 [N].

    Raises:
        InputError: an array of another type or length.
    """

    picture_id: np.ndarray
    top: np.ndarray
    left: np.ndarray
    height: np.ndarray
    width: np.ndarray

    NUMBERS: ClassVar = ("top", "left", "height", "width")

    def __post_init__(self) -> None:
        shape = (len(self.picture_id),)
        _expect("tiles.picture_id", self.picture_id, np.str_, shape)
        for name in self.NUMBERS:
            _expect(f"tiles.{name}", getattr(self, name), np.int32, shape)

    def __len__(self) -> int:
        return len(self.picture_id)

    @property
    def image_id(self) -> np.ndarray:
        """Name of each tile, "<picture_id>@<top>,<left>", str [N]."""
        places = zip(self.picture_id.tolist(), self.top.tolist(), self.left.tolist(), strict=True)
        return np.array([f"{picture}@{top},{left}" for picture, top, left in places], dtype=str)

    @property
    def corners(self) -> np.ndarray:
        """(top, left) of each tile, int [N, 2]."""
        return np.stack([self.top, self.left], axis=1)

    def take(self, rows: np.ndarray) -> Tiles:
        """The given rows (int [M] or bool [N]), in their order."""
        return Tiles(self.picture_id[rows], *(getattr(self, name)[rows] for name in self.NUMBERS))

    def runs(self) -> list[slice]:
        """The rows of each picture, in order."""
        if not len(self):
            return []
        change = np.flatnonzero(self.picture_id[1:] != self.picture_id[:-1]) + 1
        return [slice(start, stop) for start, stop in itertools.pairwise([0, *change.tolist(), len(self)])]


@dataclass(frozen=True)
class ImageSet:
    """Images of one size, ready for the networks.

    Attributes:
        images: uint8 [N, C, H, W], 0..255.
        labels: str [N].
        is_anomaly: bool [N].
        image_id: str [N], unique.
        split_digest: SHA-256 (hex) that names the split this set is one side of; sets of one
            split carry the same.
        masks: bool [N, H, W], true where anomalous, or None where the source has no masks.
        geometry: JSON text: how pictures became these images (`preprocessing.geometry.Geometry`);
            models hand it on, so that new pictures are prepared the very same way.
        sizes: (h, w) of each image's picture where it lies, before `geometry`, int32 [N, 2], or None where unknown.
        tiles: where each image was cut from, or None where images are whole pictures.
        group: of each image's picture, "" where it stands alone, str [N]; None where all do.

    Raises:
        InputError: an array of another type, shape or length.
    """

    images: np.ndarray
    labels: np.ndarray
    is_anomaly: np.ndarray
    image_id: np.ndarray
    split_digest: str = ""
    masks: np.ndarray | None = None
    geometry: str = ""
    sizes: np.ndarray | None = None
    tiles: Tiles | None = None
    group: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise InputError(
                f"images: found {self.images.dtype} {list(self.images.shape)}, expected uint8 [N, C, H, W]"
            )
        n, _, height, width = self.images.shape
        _expect("labels", self.labels, np.str_, (n,))
        _expect("is_anomaly", self.is_anomaly, np.bool_, (n,))
        _expect("image_id", self.image_id, np.str_, (n,))
        _expect("masks", self.masks, np.bool_, (n, height, width))
        _expect("sizes", self.sizes, np.int32, (n, 2))
        _expect("group", self.group, np.str_, (n,))
        if self.sizes is not None and (self.sizes < 1).any():
            raise InputError(f"sizes: found {self.sizes.min()}, expected 1 and up")
        if self.tiles is not None and len(self.tiles) != n:
            raise InputError(f"tiles: found {len(self.tiles)}, expected one an image, {n}")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: np.ndarray) -> ImageSet:
        """The set of the given rows (int [M] or bool [N]), in their order."""
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays, tiles=None if self.tiles is None else self.tiles.take(rows))

    @property
    def first_rows(self) -> np.ndarray:
        """Row number of each picture's first image."""
        return np.arange(len(self)) if self.tiles is None else np.array([run.start for run in self.tiles.runs()], int)


def _expect(name: str, array: np.ndarray | None, kind: type[np.generic], shape: tuple[int, ...]) -> None:
    """Refuse an array, if there is one, of another kind or shape (InputError); an empty one may be of any kind."""
    if array is not None and (array.shape != shape or (array.size and not np.issubdtype(array.dtype, kind))):
        raise InputError(f"{name}: found {array.dtype} {list(array.shape)}, expected {KINDS[kind]} {list(shape)}")


def picture_runs(images: np.ndarray, tiles: Tiles | None) -> list[slice]:
    """The rows of `images` that each picture has."""
    return [slice(row, row + 1) for row in range(len(images))] if tiles is None else tiles.runs()


def groups_of(table: pd.DataFrame) -> np.ndarray | None:
    """`group` of each row of a source's table, str [N]; None where every picture stands alone."""
    group = table["group"].to_numpy(dtype=str)
    return group if (group != "").any() else None


def of_runs(images: np.ndarray, tiles: Tiles | None, runs: Sequence[slice]) -> tuple[np.ndarray, Tiles | None]:
    """Images and tiles of pictures that follow one another, of whom `picture_runs` has given these rows."""
    rows = slice(runs[0].start, runs[-1].stop) if runs else slice(0, 0)
    return images[rows], None if tiles is None else tiles.take(np.arange(rows.start, rows.stop))
