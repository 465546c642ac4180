"""Pictures and labels in the four files of MNIST and its relatives."""

from __future__ import annotations

import itertools
from typing import Any, NoReturn

import fsspec
import numpy as np
import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from fanogan_pipeline.datasets.contact_sheet import preview_of
from fanogan_pipeline.datasets.idx_format import read_idx
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSource

FILES = ("train_images", "train_labels", "test_images", "test_labels")


class IdxImageDataset(AbstractDataset[NoReturn, ImageSource]):
    """The pictures of four IDX files, gzipped or not: MNIST, Fashion-MNIST and whatever has their form.

    `load` gives an `ImageSource` with the parts "train" and "test", the label as its decimal number
    ("0" to "255"), no groups and no masks; the pictures lie in memory. It is read-only.

    Args:
        filepath: folder with the usual four names, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, also with a dot before `idx` and with
            `.gz` at the end; where a file lies there in more than one form, the unpacked one is read.
        train_images, train_labels, test_images, test_labels: the four files, in place of `filepath`.
        max_bytes: a file whose header promises more data than this is refused.
        credentials: what fsspec needs to reach a remote place.
        metadata: for kedro-viz; not read here.

    Raises:
        InputError: on construction, neither a folder nor four files; on `load` (as the cause of Kedro's
            `DatasetError`), a file that is missing, unreadable, damaged, of another format or of
            another length than its header or its partner says.
    """

    def __init__(
        self,
        *,
        filepath: str | None = None,
        train_images: str | None = None,
        train_labels: str | None = None,
        test_images: str | None = None,
        test_labels: str | None = None,
        max_bytes: int = 4 << 30,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        paths = dict(zip(FILES, (train_images, train_labels, test_images, test_labels), strict=True))
        given = [name for name, path in paths.items() if path is not None]
        if (filepath is not None and given) or (filepath is None and len(given) != len(FILES)):
            found = ", ".join([*(["filepath"] if filepath is not None else []), *given]) or "none of them"
            raise InputError(
                f"IdxImageDataset: found {found}, expected filepath (a folder) or else all of {', '.join(FILES)}"
            )
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise InputError(f"IdxImageDataset: max_bytes is {max_bytes!r}, expected a whole number of at least 1")
        self._folder = None if filepath is None else str(filepath)
        self._paths = {name: str(path) for name, path in paths.items() if path is not None}
        self._max_bytes = max_bytes
        self._credentials = dict(credentials or {})
        self.metadata = metadata

    def load(self) -> ImageSource:
        files, parts = self._files(), []
        for part in ("train", "test"):
            images_path, labels_path = files[f"{part}_images"], files[f"{part}_labels"]
            labels = read_idx(labels_path, 1, self._max_bytes, self._credentials)
            images = read_idx(images_path, 3, self._max_bytes, self._credentials)
            if len(images) != len(labels):
                raise InputError(
                    f"{labels_path}: found {len(labels):,} labels, expected {len(images):,}, one for each picture in "
                    f"{images_path}; take both files from the same place"
                )
            parts.append((part, images, labels))
        return _image_source(parts)

    def save(self, data: Any) -> None:
        raise DatasetError("IdxImageDataset is read-only: it reads raw pictures and never writes any")

    def preview(self, pictures: int = 24) -> ImagePreview:
        """A contact sheet of some of the pictures for kedro-viz: a PNG in base64."""
        return ImagePreview(preview_of(self.load(), pictures))

    def contents(self) -> tuple[dict[str, tuple[Any, str]], dict[str, Any]]:
        """What is loaded: name -> file system and path of each of the four files; nothing else matters.

        Raises:
            InputError: the folder does not hold them.
        """
        return {name: fsspec.core.url_to_fs(path, **self._credentials) for name, path in self._files().items()}, {}

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder, **self._paths, "max_bytes": self._max_bytes}

    def _exists(self) -> bool:
        try:
            files, _ = self.contents()
        except InputError:
            return False
        return all(filesystem.exists(path) for filesystem, path in files.values())

    def _files(self) -> dict[str, str]:
        """Name -> path of each of the four."""
        return self._paths or _find_files(self._folder, self._credentials)


def _image_source(parts: list[tuple[str, np.ndarray, np.ndarray]]) -> ImageSource:
    table = pd.DataFrame(
        {
            "image_id": [f"{part}/{row:05d}" for part, images, _ in parts for row in range(len(images))],
            "label": np.concatenate([labels for _, _, labels in parts]).astype(str),
            "part": np.repeat([part for part, _, _ in parts], [len(images) for _, images, _ in parts]),
            "group": "",
            "has_mask": False,
        }
    )
    pictures = list(itertools.chain.from_iterable(images for _, images, _ in parts))
    return ImageSource(table, pictures.__getitem__)


def _find_files(folder: str | None, credentials: dict[str, Any]) -> dict[str, str]:
    """The four files of a folder by their usual names."""
    filesystem, inner_folder = fsspec.core.url_to_fs(str(folder), **credentials)
    try:
        names = {entry.rstrip("/").rsplit("/", 1)[-1] for entry in filesystem.ls(inner_folder, detail=False)}
    except OSError as error:
        raise InputError(
            f"{folder}: no readable folder ({error.strerror or error}), expected one with the four files of MNIST"
        ) from error
    files, missing = {}, []
    for name in FILES:
        stem = name.replace("test", "t10k").replace("_", "-")
        dimensions = 3 if name.endswith("images") else 1
        candidates = [f"{stem}{mark}idx{dimensions}-ubyte{end}" for end in ("", ".gz") for mark in "-."]
        present = [candidate for candidate in candidates if candidate in names]
        if present:
            files[name] = f"{str(folder).rstrip('/')}/{present[0]}"
        else:
            missing.append(candidates[0])
    if missing:
        raise InputError(
            f"{folder}: missing {', '.join(missing)} (or the same with .gz); put the files there, or name each with "
            f"{', '.join(FILES)}"
        )
    return files
