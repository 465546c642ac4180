"""Image sets and maps as npz files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import Version
from kedro_datasets._typing import ImagePreview

from fanogan_pipeline.datasets.atomic_file import AtomicFileDataset
from fanogan_pipeline.datasets.contact_sheet import base64_png, contact_sheet
from fanogan_pipeline.datasets.npz import check_names, check_text, read_arrays, write_arrays
from fanogan_pipeline.errors import InputError, SizeError
from fanogan_pipeline.evenly import evenly
from fanogan_pipeline.images import ImageSet, Tiles

_TILES = ("picture_id", *Tiles.NUMBERS)
_OPTIONAL = ("masks", "sizes", "group")
_TEXTS = ("split_digest", "geometry")  # one text each, not one an image
_TILE_NAMES = [f"tile_{name}" for name in _TILES]
_NAMES = ({"images", "labels", "is_anomaly", "image_id", *_TEXTS}, {*_OPTIONAL, *_TILE_NAMES})


class _NpzDataset(AtomicFileDataset):
    _FORM = "npz file"

    def _read_arrays(
        self, path: str, required: set[str], optional: set[str], wanted: set[str] | None = None
    ) -> dict[str, np.ndarray]:
        with self._fs.open(path, "rb") as file:
            return read_arrays(file, required, optional, self._max_bytes, wanted)

    def _write_arrays(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        with path.open("w+b") as file:
            write_arrays(file, arrays, self._max_bytes)


class ImageSetDataset(_NpzDataset):
    """An `ImageSet` as npz.

    `images, labels, is_anomaly, image_id, split_digest, geometry`, perhaps `masks`, `sizes`, `group` and the arrays
    `tile_*`.

    Args:
        filepath: local path or URL that fsspec knows.
        version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) on loading, a file that is damaged, promises more
            than it holds, or holds other arrays than these; on saving, something else than an `ImageSet`.
    """

    def split_digest(self) -> str:
        """That of the stored set, whose images are not read; errors as from `load`."""
        digest = "split_digest"
        return self._reading(lambda path: _pop_texts(self._read_arrays(path, *_NAMES, {digest}), [digest])[digest])

    def _read(self, path: str) -> ImageSet:
        arrays = self._read_arrays(path, *_NAMES)
        texts = _pop_texts(arrays, _TEXTS)
        tiles = [arrays.pop(name) for name in _TILE_NAMES if name in arrays]
        if tiles and len(tiles) < len(_TILES):
            raise InputError(f"found {len(tiles)} arrays of tiles, expected {', '.join(_TILE_NAMES)} or none")
        images = ImageSet(
            **arrays,  # type: ignore[arg-type]  # each by its own name
            **texts,  # type: ignore[arg-type]
            tiles=Tiles(*tiles) if tiles else None,
        )
        check_text("labels", images.labels, is_unique=False)
        check_text("image_id", images.image_id, is_unique=True)
        if images.group is not None:
            check_text("group", images.group, is_unique=False)
        return images

    def _write(self, path: Path, data: ImageSet) -> None:
        if not isinstance(data, ImageSet):
            raise InputError(f"found {type(data).__name__}, expected an ImageSet")
        check_text("image_id", data.image_id, is_unique=True)
        arrays = {name: getattr(data, name) for name in ("images", "labels", "is_anomaly", "image_id")}
        # An empty array of labels may have come as numbers; text is what is read back.
        arrays |= {name: arrays[name].astype(np.str_) for name in ("labels", "image_id")}
        arrays |= {name: np.array(getattr(data, name), dtype=np.str_) for name in _TEXTS}
        arrays |= {name: getattr(data, name) for name in _OPTIONAL if getattr(data, name) is not None}
        if data.tiles is not None:
            arrays |= {f"tile_{name}": getattr(data.tiles, name) for name in _TILES}
            arrays["tile_picture_id"] = arrays["tile_picture_id"].astype(np.str_)
        try:
            self._write_arrays(path, arrays)
        except SizeError as error:
            fewer = "data_prep.max_train, max_test and tiling.max_train_tiles"
            raise SizeError(f"{error}; or have fewer images by {fewer}") from error

    def preview(self, pictures: int = 24) -> ImagePreview:
        """A contact sheet of some images, taken evenly over the set: a PNG in base64 for kedro-viz."""
        images = self.load().images
        rows = evenly(len(images), pictures)
        sheet = [image[0] if len(image) != 3 else image.transpose(1, 2, 0) for image in images[rows]]
        return ImagePreview(base64_png(contact_sheet(sheet)))


class ArrayDataset(_NpzDataset):
    """A dict of equally long arrays as npz: `image_id` (str [N], unique), arrays of finite numbers, and texts (str).

    Args:
        filepath: local path or URL that fsspec knows.
        arrays: name -> dtype and number of dimensions of each array beside `image_id`, for example
            `{maps: [float16, 3]}` for residual maps [N, H, W].
        texts: names of one text each, such as the digest of what the arrays were made with; files saved before
            a text was wanted lack it.
        version, credentials, fs_args, max_bytes, metadata: see `AtomicFileDataset`.

    Raises:
        InputError: (as the cause of Kedro's `DatasetError`) on loading and on saving, arrays that are
            missing or unknown, of another dtype or shape, or not finite.
    """

    def __init__(
        self,
        *,
        filepath: str,
        arrays: dict[str, tuple[str, int]],
        texts: list[str] | None = None,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        max_bytes: int = 4 << 30,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._arrays = {name: (np.dtype(kind), int(ndim)) for name, (kind, ndim) in arrays.items()}
        self._texts = tuple(texts or ())
        super().__init__(
            filepath=filepath,
            version=version,
            credentials=credentials,
            fs_args=fs_args,
            max_bytes=max_bytes,
            metadata=metadata,
        )

    def _read(self, path: str) -> dict[str, Any]:
        arrays = self._read_arrays(path, {"image_id", *self._arrays}, set(self._texts))
        texts = _pop_texts(arrays, [name for name in self._texts if name in arrays])
        self._check(arrays)
        return {**arrays, **texts}

    def _write(self, path: Path, data: dict[str, Any]) -> None:
        check_names(list(data), {"image_id", *self._arrays, *self._texts}, set())
        texts = {name: np.array(data[name], np.str_) for name in self._texts}
        arrays = {name: np.asarray(value) for name, value in data.items() if name not in texts}
        arrays["image_id"] = arrays["image_id"].astype(np.str_)
        self._check(arrays)
        self._write_arrays(path, arrays | texts)

    def preview(self, pictures: int = 24) -> ImagePreview:
        """Maps [N, H, W], evenly from all, as a contact sheet for kedro-viz: black where 0, white at the highest."""
        content = self.load()
        maps = next(content[name] for name, (_, ndim) in self._arrays.items() if ndim == 3)
        maps = maps[evenly(len(maps), pictures)]
        levels = np.asarray(maps, np.float32) / max(float(np.max(maps, initial=0)), 1e-12)
        return ImagePreview(base64_png(contact_sheet(list((levels.clip(0, 1) * 255).astype(np.uint8)))))

    def _check(self, arrays: dict[str, np.ndarray]) -> None:
        ids = arrays["image_id"]
        if ids.ndim != 1 or ids.dtype.kind != "U":
            raise InputError(f"image_id: found {ids.dtype} {list(ids.shape)}, expected text [N]")
        check_text("image_id", ids, is_unique=True)
        for name, (kind, ndim) in self._arrays.items():
            array = arrays[name]
            if array.dtype != kind or array.ndim != ndim or array.shape[:1] != ids.shape:
                raise InputError(
                    f"{name}: found {array.dtype} {list(array.shape)}, expected {kind} of {ndim} dimensions, the first "
                    f"{len(ids)}"
                )
            if kind.kind == "f" and not np.isfinite(array).all():
                count = int((~np.isfinite(array)).sum())
                raise InputError(f"{name}: found {count:,} values that are NaN or infinite, expected none")


def _pop_texts(arrays: dict[str, np.ndarray], names: Iterable[str]) -> dict[str, str]:
    """Take the arrays out that should hold one text each."""
    texts = {}
    for name in names:
        array = arrays.pop(name)
        if array.shape != () or array.dtype.kind != "U":
            raise InputError(f"{name}: found {array.dtype} {list(array.shape)}, expected one text")
        check_text(name, array, is_unique=False)
        texts[name] = str(array)
    return texts
