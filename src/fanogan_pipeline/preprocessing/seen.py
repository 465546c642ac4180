"""What is noted of pictures as they are read, and the words that it is worth."""

from __future__ import annotations

import logging
from collections.abc import Container
from dataclasses import replace

import numpy as np
import pandas as pd

from fanogan_pipeline.errors import InputError, plural
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.preprocessing.geometry import has_colour

logger = logging.getLogger(__name__)

DARK = 32  # of 255: what 13 bits reach of 16
UNREAD = -1  # no brightness
SHOWN = 6  # names in a warning
# What is noted of a picture as it is read: its own size (h, w), the level of its brightest pixel, if it has colour.
SEEN = np.dtype([("size", np.int32, 2), ("brightest", np.int16), ("is_coloured", bool)])


def noting(source: ImageSource) -> tuple[ImageSource, np.ndarray]:
    """The source, and what it notes of each picture that is read, `SEEN` [number of pictures in the source]; of others
    nought, which takes no memory."""
    seen = np.zeros(len(source), SEEN)

    def read(row: int) -> np.ndarray:
        picture = source.read(row)
        if picture.dtype != np.uint8 or picture.shape[2:] not in ((), (3,)):
            raise InputError(
                f"{source.table['image_id'].iat[row]}: the source gave {picture.dtype} {list(picture.shape)}, expected "
                "uint8 [h, w] or [h, w, 3], as ImageSource.read promises"
            )
        seen[row] = (picture.shape[:2], picture.max(), has_colour(picture))
        return picture

    return replace(source, read=read), seen


def brightest_of(seen: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of each row's picture, int16 [N]."""
    here = seen[rows]
    return np.where(here["size"][:, 0] > 0, here["brightest"], np.int16(UNREAD))


def warn_of_darkness(
    name: str, source: ImageSource, rows: np.ndarray, brightest: np.ndarray, settled: Container[str] = ()
) -> None:
    """A word where the brightest of all pictures of a setting is so dark that another value may stand for white.

    Args:
        name: of the source in the catalog.
        source: where they lie.
        rows: row numbers [N] of its table.
        brightest: of each, as `prepare_readable` tells.
        settled: settings without a choice, since a detector has learnt from pictures that were read with them.
    """
    if source.settings is None:
        return
    seen = pd.Series(brightest).groupby(source.settings[rows]).max()
    for setting, level in seen[seen != UNREAD].items():
        if str(setting).endswith("maximum") and setting not in settled and level <= DARK:
            logger.warning(
                "no picture of %s is brighter than %d of 255 with %s: %g; if another value stands for white (4095 for "
                "a camera of 12 bits), set it in the catalog's entries raw_images and new_images",
                *(name, level, setting, source.decoding[str(setting)]),
            )


def warn_of_blank(names: list[str]) -> None:
    """A word on the pictures of these names, which are blank."""
    logger.warning(
        "data_prep: found one brightness throughout, which shows nothing, in %s of raw_images (%s%s); take out what is "
        "such, for inference judges none of it",
        *(plural(len(names), "picture"), ", ".join(names[:SHOWN]), ", ..." if len(names) > SHOWN else ""),
    )


def tell_of_colour(seen: np.ndarray) -> None:
    """A word on pictures, `SEEN` [..], whose colour is made grey."""
    if coloured := int(seen["is_coloured"].sum()):
        logger.info(
            "data_prep.channels: 1, so %s with colour %s seen in grey; set 3 where colour tells good from bad",
            *(plural(coloured, "picture"), "is" if coloured == 1 else "are"),
        )
