"""Which picture files lie under a folder, local or remote."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath

import fsspec
from fsspec.implementations.local import LocalFileSystem
from PIL import Image

from fanogan_pipeline.datasets.decoding import EXTENSIONS
from fanogan_pipeline.errors import InputError

# Control characters would break the one line of a message, lone surrogates (bytes that are no UTF-8) cannot be saved.
_UNFIT_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass
class Listing:
    """What a walk through a folder found.

    Attributes:
        paths: picture files by their extension, sorted, relative to the folder, with forward slashes.
        refused: path and reason of what looks like a picture or a folder and cannot be used.
        n_ignored: hidden files and folders, files of other kinds, links to folders inside.
        with_others: whether pictures of formats that are not read here are refused, or else ignored.
    """

    paths: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    n_ignored: int = 0
    with_others: bool = False


def list_pictures(filesystem: fsspec.AbstractFileSystem, root: str, with_others: bool) -> Listing:
    """Walks through the folder `root`; memory grows by the names alone. See `Listing`.

    Raises:
        InputError: `root` is missing or no folder.
    """
    if not filesystem.isdir(root):
        found = "a file" if filesystem.exists(root) else "nothing"
        raise InputError(
            f"{root}: found {found}, expected a folder of pictures; put pictures there or correct filepath"
        )
    listing = Listing(with_others=with_others)
    if isinstance(filesystem, LocalFileSystem):
        _walk(os.path.realpath(root), listing)
    else:
        prefix = root.rstrip("/") + "/"
        for path in filesystem.find(root):
            relative = path.removeprefix(prefix)
            if any(part.startswith(".") for part in relative.split("/")):
                listing.n_ignored += 1
            else:
                _take(relative, listing)
    listing.paths.sort()
    return listing


def _walk(root: str, listing: Listing) -> None:
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    relative = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.name.startswith("."):
                        listing.n_ignored += 1
                    elif entry.is_symlink():
                        _take_link(root, relative, listing)
                    elif entry.is_dir():
                        pending.append(relative)
                    elif entry.is_file():
                        _take(relative, listing)
                    else:
                        listing.n_ignored += 1
        except OSError as error:
            _refuse(listing, folder or ".", f"the folder cannot be read ({error.strerror}); check its permissions")


def _take_link(root: str, relative: str, listing: Listing) -> None:
    """A link counts as the picture it leads to; one to a folder inside is ignored: its pictures are found anyway."""
    target = os.path.realpath(os.path.join(root, relative))
    is_folder = os.path.isdir(target)
    if not is_folder and not _is_picture(relative):
        listing.n_ignored += 1
    elif target != root and not target.startswith(root.rstrip(os.sep) + os.sep):
        reason = "found a symbolic link that leads outside of the folder, expected a file; copy what it points to"
        _refuse(listing, relative, reason)
    elif is_folder:
        listing.n_ignored += 1
    elif not os.path.isfile(target):
        _refuse(listing, relative, "found a symbolic link that leads nowhere, expected a file; remove it")
    else:
        _take(relative, listing)


def _take(relative: str, listing: Listing) -> None:
    if not _is_picture(relative):
        if listing.with_others and _ending(relative) in _others():
            found = f"found .{_ending(relative)}, expected PNG, JPEG, BMP, TIFF or WebP; convert or rename the file"
            _refuse(listing, relative, found)
        else:
            listing.n_ignored += 1
    elif _UNFIT_CHARACTERS.search(relative):
        _refuse(listing, relative, "found a name with control characters or not in UTF-8; rename the file")
    else:
        listing.paths.append(relative)


def _refuse(listing: Listing, relative: str, reason: str) -> None:
    shown = ascii(relative)[1:-1] if _UNFIT_CHARACTERS.search(relative) else relative
    listing.refused.append((shown, reason))


def _is_picture(relative: str) -> bool:
    return _ending(relative) in EXTENSIONS


def _ending(relative: str) -> str:
    return PurePosixPath(relative).suffix[1:].lower()


@cache
def _others() -> frozenset[str]:
    """Endings of pictures that are not read here: those that Pillow knows, and what telephones and scanners write."""
    known = Image.registered_extensions().items()
    images = {ending[1:] for ending, kind in known if Image.MIME.get(kind, "").startswith("image/")}
    return frozenset({*images, "heic", "heif", "dcm"} - EXTENSIONS)
