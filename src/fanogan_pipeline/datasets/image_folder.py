"""Pictures in a folder, in the layouts that the field uses."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from typing import Any, NoReturn

import fsspec
import numpy as np
import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from fanogan_pipeline.datasets.contact_sheet import preview_of
from fanogan_pipeline.datasets.decoding import DecodingSettings
from fanogan_pipeline.datasets.folder_layout import LAYOUTS, Arrangement, arrange, detect_layout, grouping
from fanogan_pipeline.datasets.folder_listing import Listing, list_pictures
from fanogan_pipeline.datasets.folder_reader import FolderFiles, FolderReader, Look
from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.images import SOURCE_COLUMNS, ImageSource
from fanogan_pipeline.parameters import masked

logger = logging.getLogger(__name__)


class ImageFolderDataset(AbstractDataset[NoReturn, ImageSource]):
    """The PNG, JPEG, BMP, TIFF and WebP pictures under a folder; read-only.

    `load` gives an `ImageSource` whose `image_id` is the path relative to the folder, in sorted order. Every
    header is read then, in parallel; the pictures themselves are decoded when `read` asks for them. Layouts:

    - "flat": pictures in the folder and its subfolders, all of one kind (label "normal");
    - "defects": `train/good`, `test/good`, `test/<defect>` and, where there are masks,
      `ground_truth/<defect>/<name>_mask.png` or `<name>.png`; the label is the folder, "good" is normal
      (P. Bergmann et al., "MVTec AD", CVPR 2019);
    - "classes": one folder a class, its name the label.

    Hidden files, files of other kinds and links to folders inside are passed over and counted in the log; with on_error
    "skip", pictures of other formats are listed as skipped.

    Args:
        filepath: the folder, or a URL that fsspec knows.
        layout: "auto" (see `detect_layout`), "flat", "defects" or "classes".
        on_error: "refuse" the whole folder for one bad file, or "skip" it: then `ImageSource.skipped` lists it.
        verify: "header" checks each file's header on loading; "full" also decodes each once, so that a file
            damaged further in is found then and not by `read`.
        group_by: None, {level: k} or {pattern: "..."}; see `grouping`.
        animated, background, sixteen_bit_maximum, float_maximum, max_pixels: see `DecodingSettings`.
        workers: threads that check files.
        credentials: what fsspec needs to reach a remote place.
        metadata: for kedro-viz; not read here.

    Raises:
        InputError: on construction, a senseless parameter; on `load` (as the cause of Kedro's
            `DatasetError`), a folder without a usable picture, an ambiguous layout, a path without its group, and
            with on_error "refuse" the first bad file; from `read` and `read_mask`, a file that cannot be decoded.
    """

    def __init__(
        self,
        *,
        filepath: str = "",
        layout: str = "auto",
        on_error: str = "refuse",
        verify: str = "header",
        group_by: dict[str, Any] | None = None,
        animated: str = "refuse",
        background: int = 0,
        sixteen_bit_maximum: int = 65535,
        float_maximum: float = 1.0,
        max_pixels: int = 80_000_000,
        workers: int = 8,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        _check_choice("layout", layout, LAYOUTS)
        _check_choice("on_error", on_error, ("refuse", "skip"))
        _check_choice("verify", verify, ("header", "full"))
        _check_choice("animated", animated, ("refuse", "first_frame"))
        _check_number("background", background, 0, 255)
        _check_number("sixteen_bit_maximum", sixteen_bit_maximum, 1, 2**31 - 1)
        _check_number("float_maximum", float_maximum, 1e-30, 1e30, whole=False)
        _check_number("max_pixels", max_pixels, 1, 2**31 - 1)
        _check_number("workers", workers, 1, 256)
        if not filepath:
            raise InputError("ImageFolderDataset: found no filepath, expected the folder that the pictures lie in")
        self._path = masked(str(filepath))  # for people; a URL may hold a password
        self._told: Any = None  # what the log has told of it
        self._layout = layout
        self._on_error = on_error
        self._verify = verify
        self._group_by = group_by
        self._group_of = grouping(group_by)
        self._settings = DecodingSettings(sixteen_bit_maximum, float_maximum, background, animated, max_pixels)
        self._workers = workers
        self._filesystem, self._root = fsspec.core.url_to_fs(str(filepath), **(credentials or {}))
        self.metadata = metadata

    def load(self) -> ImageSource:
        listing, layout, arrangement = self._arranged()
        found = [*listing.refused, *arrangement.refused]
        if found and self._on_error == "refuse":
            self._refuse(*found[0])
        reader = self._reader(arrangement)
        good: dict[int, Look] = {}
        for row, look in enumerate(reader.looks(self._workers, self._verify == "full")):
            if not look.reason:
                good[row] = look
            elif self._on_error == "refuse":
                self._refuse(arrangement.pictures[row].path, look.reason)
            else:
                found.append((arrangement.pictures[row].path, look.reason))
        if not good:
            raise InputError(
                f"{self._path}: found no picture that can be used, {plural(len(found), 'file')} skipped, such as "
                f"{found[0][0]}: {found[0][1]}"
            )
        source = self._source(arrangement, reader, good, found)
        self._log(source, layout, listing.n_ignored)
        return source

    def save(self, data: Any) -> None:
        raise DatasetError("ImageFolderDataset is read-only: it reads raw pictures and never writes any")

    def preview(self, pictures: int = 24) -> ImagePreview:
        """A contact sheet of some of the pictures for kedro-viz: a PNG in base64."""
        _, _, arrangement = self._arranged()
        everything = dict.fromkeys(range(len(arrangement.pictures)), Look())
        return ImagePreview(preview_of(self._source(arrangement, self._reader(arrangement), everything, []), pictures))

    def _arranged(self) -> tuple[Listing, str, Arrangement]:
        listing = self._listed()
        if not listing.paths:
            if listing.refused:
                self._refuse(*listing.refused[0])
            raise InputError(
                f"{self._path}: found no picture (what else lies there: {listing.n_ignored:,}), expected PNG, "
                "JPEG, BMP, TIFF or WebP; put pictures there or correct the path"
            )
        layout = detect_layout(listing.paths, self._path) if self._layout == "auto" else self._layout
        arrangement = arrange(listing.paths, layout)
        arrangement.pictures = [one._replace(group=self._group(one.path)) for one in arrangement.pictures]
        return listing, layout, arrangement

    def _listed(self) -> Listing:
        return list_pictures(self._filesystem, self._root, with_others=self._on_error == "skip")

    def _reader(self, arrangement: Arrangement) -> FolderReader:
        files = FolderFiles(self._filesystem, self._root, self._settings)
        return FolderReader(files, arrangement.pictures)

    def _source(
        self, arrangement: Arrangement, reader: FolderReader, good: dict[int, Look], skipped: list[tuple[str, str]]
    ) -> ImageSource:
        """The good rows and what a look at each has shown."""
        kept = FolderReader(reader.files, [arrangement.pictures[row] for row in good])
        table = pd.DataFrame(kept.pictures, columns=SOURCE_COLUMNS)
        table = table.assign(has_mask=table["has_mask"] != "", stamp=[look.stamp for look in good.values()])
        settings = np.array([look.setting for look in good.values()], dtype=str)
        decoding = {name: getattr(self._settings, name) for name in sorted({*settings.tolist()} - {""})}
        left_out = pd.DataFrame(sorted(skipped), columns=["image_id", "reason"])
        read_mask = kept.read_mask if table["has_mask"].any() else None
        normal = arrangement.normal_label
        return ImageSource(table, kept.read, read_mask, normal, left_out, kept.files, decoding, settings)

    def _group(self, path: str) -> str:
        group = self._group_of(path)
        if group is None:
            raise InputError(
                f"{self._root}/{path}: found no group in this path by group_by {self._group_by}, expected one for "
                "every picture; correct group_by or move the file"
            )
        return group

    def _refuse(self, path: str, reason: str) -> NoReturn:
        hint = " (on_error: skip leaves such files out)" if self._on_error == "refuse" else ""
        raise InputError(f"{self._root}/{path}: {reason}{hint}")

    def _log(self, source: ImageSource, layout: str, n_ignored: int) -> None:
        counts = Counter(zip(source.table["part"], source.table["label"], strict=True)).most_common()
        found = (counts, layout, n_ignored, source.skipped.to_numpy().tolist())
        if found == self._told:  # every node that reads the pictures lists them anew
            return
        self._told = found
        kinds = ", ".join(f"{'/'.join(filter(None, kind))} {count:,}" for kind, count in counts[:12])
        logger.info(
            "%s: %s, layout %s (%s%s); ignored what is no picture: %d",
            *(self._path, plural(len(source), "picture"), layout, kinds, ", ..." if len(counts) > 12 else ""),
            n_ignored,
        )
        if len(source.skipped):
            first = source.skipped.iloc[0]
            logger.warning("%s: skipped %s, such as %s: %s", self._path, plural(len(source.skipped), "file"), *first)

    def contents(self) -> tuple[dict[str, tuple[Any, str]], dict[str, Any]]:
        """What is loaded: relative path -> file system and path of each picture and mask; and how, as JSON holds it.

        Raises:
            InputError: there is no such folder.
        """
        listing = self._listed()
        name = FolderFiles(self._filesystem, self._root, self._settings).name
        how = {**asdict(self._settings), "group_by": self._group_by, "refused": listing.refused}
        how |= {"layout": self._layout, "on_error": self._on_error, "verify": self._verify}
        return {path: (self._filesystem, name(path)) for path in listing.paths}, how

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path, "layout": self._layout, "on_error": self._on_error, "verify": self._verify}

    def _exists(self) -> bool:
        return self._filesystem.isdir(self._root)

    def _release(self) -> None:
        self._filesystem.invalidate_cache(self._root)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"ImageFolderDataset: {name} is {value!r}, expected one of {', '.join(choices)}")


def _check_number(name: str, value: Any, low: float, high: float, whole: bool = True) -> None:
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise InputError(f"ImageFolderDataset: {name} is {value!r}, expected {kind} from {low:,} to {high:,}")
