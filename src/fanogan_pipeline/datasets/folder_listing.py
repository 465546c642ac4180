"""Which picture files lie under a folder, local or remote."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import fsspec
from fsspec.implementations.local import LocalFileSystem

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
    """

    paths: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    n_ignored: int = 0


def list_pictures(filesystem: fsspec.AbstractFileSystem, root: str) -> Listing:
    """Walks through the folder `root`; memory grows by the names alone.

    Raises:
        InputError: `root` is missing or no folder.
    """
    if not filesystem.isdir(root):
        found = "a file" if filesystem.exists(root) else "nothing"
        raise InputError(f"{root}: found {found}, expected a folder of pictures; correct the path")
    listing = Listing()
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
            listing.refused.append(
                (folder or ".", f"the folder cannot be read ({error.strerror}); check its permissions")
            )


def _take_link(root: str, relative: str, listing: Listing) -> None:
    """A link counts as the picture it leads to; one to a folder inside is ignored: its pictures are found anyway."""
    target = os.path.realpath(os.path.join(root, relative))
    is_folder = os.path.isdir(target)
    if not is_folder and not _is_picture(relative):
        listing.n_ignored += 1
    elif target != root and not target.startswith(root.rstrip(os.sep) + os.sep):
        listing.refused.append(
            (
                relative,
                "found a symbolic link that leads outside of the folder, expected a file; copy what it points to",
            )
        )
    elif is_folder:
        listing.n_ignored += 1
    elif not os.path.isfile(target):
        listing.refused.append((relative, "found a symbolic link that leads nowhere, expected a file; remove it"))
    else:
        _take(relative, listing)


def _take(relative: str, listing: Listing) -> None:
    if not _is_picture(relative):
        listing.n_ignored += 1
    elif _UNFIT_CHARACTERS.search(relative):
        shown = ascii(relative)[1:-1]
        listing.refused.append((shown, "found a name with control characters or not in UTF-8; rename the file"))
    else:
        listing.paths.append(relative)


def _is_picture(relative: str) -> bool:
    return PurePosixPath(relative).suffix[1:].lower() in EXTENSIONS
