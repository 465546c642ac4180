"""From pictures where they lie to the four sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSet, ImageSource, Tiles, groups_of, picture_runs
from fanogan_pipeline.parameters import DataPrepParameters
from fanogan_pipeline.preprocessing.decoded import decoded, readable
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.levelling import fit_levelling, to_fit_on
from fanogan_pipeline.preprocessing.seen import brightest_of, noting, tell_of_colour, warn_of_blank, warn_of_darkness
from fanogan_pipeline.preprocessing.tiling import Tiling

Kept = np.ndarray | slice  # which tiles of a picture


def fit_geometry(source: ImageSource, rows: np.ndarray, parameters: DataPrepParameters, seed: int) -> Geometry:
    """The geometry that parameters ask for, and how the source reads; a levelling's gain is fitted on some pictures.

    Args:
        source: where pictures lie.
        rows: row numbers of those that may be looked at; at most `levelling.FITTED_ON` of them are.
        parameters: what is wanted.
        seed: of the choice.

    Raises:
        InputError: a picture that a gain is fitted on cannot be read.
    """
    wanted = parameters.tiling
    tiling = Tiling(wanted.stride, wanted.picture_size) if wanted else None
    plain = Geometry(parameters.image_size, parameters.channels, parameters.fit, None, tiling, source.decoding)
    if parameters.local_contrast is None:
        return plain
    few = to_fit_on(rows, seed)
    noted, _ = noting(source)
    pictures = decoded(lambda row: plain.scaled(noted.read(row)), few, parameters.workers, "levelling light")
    return replace(plain, local_contrast=fit_levelling(readable(pictures, _refuse, []), parameters.local_contrast))


def prepare_readable(
    source: ImageSource, rows: np.ndarray, geometry: Geometry, workers: int, what: str = "reading pictures"
) -> tuple[np.ndarray, Tiles | None, list[str], np.ndarray]:
    """Decode pictures in parallel and bring those that can be read and are not blank to the networks' size.

    Blank (`Geometry.is_blank`): nothing sticks out of nothing, so that it would count as the best of all.

    Args:
        source: where they lie.
        rows: row numbers [N] of its table.
        geometry: what they become.
        workers: threads that decode.
        what: named on the progress bar; "" for no bar.

    Returns:
        uint8 [N, C, H, W] and None; with tiling [number of tiles, C, H, W] and where each was cut from, a picture's
        tiles together, pictures in the order of `rows`; for each of `rows` what is wrong with it, "" where nothing;
        and the level of its brightest pixel, as decoded, int16 [N], `UNREAD` where it cannot be.
    """
    noted, seen = noting(source)

    def expect_something(row: int, images: np.ndarray) -> Kept:
        if geometry.is_blank(images):
            raise InputError(f"{source.table['image_id'].iat[row]}: {geometry.blank(tuple(seen['size'][row]))}")
        return slice(None)

    images, tiles, reasons = _prepared(noted, rows, geometry, workers, what, str, expect_something)
    return images, tiles, reasons, brightest_of(seen, rows)


def prepare_split(
    source: ImageSource, rows: np.ndarray, geometry: Geometry, workers: int, most: np.ndarray, seed: int
) -> tuple[np.ndarray, Tiles | None, list[str], np.ndarray]:
    """Images and tiles as from `prepare_readable`, but of every picture, and of some only so many tiles at random;
    in place of reasons and brightness each one's `picture_sum` and own size (h, w), int32 [N, 2].

    What is left out goes as soon as its picture has been cut: memory grows with the tiles that are kept.

    Args:
        source, rows, geometry, workers: as for `prepare_readable`.
        most: tiles to keep of each picture, int [N]; 0, all of them.
        seed: of the choice, which depends on it and the row number alone.

    Raises:
        InputError: the first picture that cannot be read.
    """
    sums: dict[int, str] = {}
    blank: list[int] = []
    wanted = dict(zip(rows.tolist(), most.tolist(), strict=True))
    noted, seen = noting(source)

    def choose(row: int, images: np.ndarray) -> Kept:
        sums[row] = picture_sum(images)
        if geometry.is_blank(images):
            blank.append(row)
        count, few = len(images), wanted[row]
        return np.sort(np.random.default_rng([seed, row]).permutation(count)[:few]) if 0 < few < count else slice(None)

    images, tiles, _ = _prepared(noted, rows, geometry, workers, "reading pictures", _refuse, choose)
    warn_of_darkness("raw_images", source, rows, brightest_of(seen, rows))
    if blank:
        warn_of_blank(source.table["image_id"].iloc[sorted(blank)].tolist())
    if geometry.channels == 1:
        tell_of_colour(seen)
    return images, tiles, [sums[row] for row in rows.tolist()], seen["size"][rows]


def _refuse(error: InputError) -> str:
    raise InputError(f"{error} (verify: full beside on_error: skip leaves such files out)") from error


def _prepared(
    source: ImageSource,
    rows: np.ndarray,
    geometry: Geometry,
    workers: int,
    what: str,
    settle: Callable[[InputError], str],
    choose: Callable[[int, np.ndarray], Kept],
) -> tuple[np.ndarray, Tiles | None, list[str]]:
    """Images, tiles and reasons; `choose` says which images [T, C, H, W] of a picture (its row number) to keep."""

    def fitted(row: int) -> np.ndarray:
        image = geometry.apply(source.read(row))
        choose(row, image[None])
        return image

    def cut(row: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        tiles, corners, size = geometry.cut(source.read(row))
        kept = choose(row, tiles)
        return tiles[kept], corners[kept], size

    reasons: list[str] = []
    shape = (geometry.channels, *geometry.image_size)
    if geometry.tiling is None:
        images, count = np.empty((len(rows), *shape), np.uint8), 0
        for image in readable(decoded(fitted, rows, workers, what), settle, reasons):
            images[count] = image
            count += 1
        return images[:count], None, reasons
    cuts = list(readable(decoded(cut, rows, workers, what), settle, reasons))
    counts = [len(tiles) for tiles, _, _ in cuts]
    names = source.table["image_id"].iloc[rows[[not reason for reason in reasons]]].to_numpy(dtype=str)
    top, left = np.concatenate([np.empty((0, 2), int), *(corners for _, corners, _ in cuts)]).astype(np.int32).T
    sizes = np.array([size for _, _, size in cuts], np.int32).reshape(-1, 2).repeat(counts, axis=0)
    images = np.concatenate([np.empty((0, *shape), np.uint8), *(tiles for tiles, _, _ in cuts)])
    return images, Tiles(names.repeat(counts), top, left, sizes[:, 0], sizes[:, 1]), reasons


def picture_sum(images: np.ndarray) -> str:
    """SHA-256 (hex) of a picture as the networks see it: of its image uint8 [C, H, W] or all its tiles [T, C, H, W]."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()


def image_set(
    images: np.ndarray,
    table: pd.DataFrame,
    digest: str,
    geometry: Geometry,
    sizes: np.ndarray,
    masks: np.ndarray | None = None,
    tiles: Tiles | None = None,
) -> ImageSet:
    """An `ImageSet` of images [N, C, H, W], their pictures' rows of the table and their pictures' own sizes.

    With tiles every picture's row stands for all of its tiles, which bear its label and group.
    """
    counts = [run.stop - run.start for run in picture_runs(images, tiles)]
    return ImageSet(
        images,
        table["label"].to_numpy(dtype=str).repeat(counts),
        table["is_anomaly"].to_numpy(dtype=bool).repeat(counts),
        table["image_id"].to_numpy(dtype=str) if tiles is None else tiles.image_id,
        digest,
        masks,
        geometry.to_text(),
        sizes.repeat(counts, axis=0),
        tiles,
        None if (group := groups_of(table)) is None else group.repeat(counts),
    )
