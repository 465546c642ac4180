"""Pictures of real surfaces with painted defects and their masks, from photographs of textures that tile.

    python -m benchmarks.surfaces FOLDER TEXTURE TEXTURE ...

For each texture a folder of its name in the layout `ImageFolderDataset` knows: 160 good pictures to train on, 60 good
ones to test with and 20 of each defect. Test pictures show other parts of the photograph than those trained on, and
every picture has light of its own. docs/method.md tells what they were used for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.special import expit

SIDE = 128  # of a picture, pixels
TRAIN, TEST, DEFECTIVE = 160, 60, 20
FEWEST = 4  # pixels of a defect
# Rows of a photograph of so many rows, from which pictures are cut; it wraps around.
BANDS = {
    1024: {"train": [(256, 512), (640, 832), (960, 1152)], "test": [(128, 256), (512, 640), (832, 960)]},
    512: {"train": [(160, 512)], "test": [(0, 160)]},
}
Defect = Callable[[np.ndarray, np.random.Generator, np.ndarray], tuple[np.ndarray, np.ndarray]]


def stain(picture: np.ndarray, rng: np.random.Generator, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A patch that is darker or brighter."""
    cover = _patch(picture.shape, rng, rng.uniform(6, 16))
    return picture * (1 + rng.choice([-1, 1]) * rng.uniform(0.15, 0.35) * cover), cover > 0.4


def hole(picture: np.ndarray, rng: np.random.Generator, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A small dark spot."""
    cover = _patch(picture.shape, rng, rng.uniform(2, 4))
    return picture * (1 - rng.uniform(0.4, 0.8) * cover), cover > 0.4


def scratch(picture: np.ndarray, rng: np.random.Generator, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A thin line, dark or bright."""
    height, width = picture.shape
    turn, centre, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8, 2) * picture.shape, rng.uniform(25, 70)
    along = np.linspace(-0.5, 0.5, 120) * length
    aside = gaussian_filter(rng.standard_normal(120), 12) * 8
    rows = centre[0] + along * np.sin(turn) + aside * np.cos(turn)
    columns = centre[1] + along * np.cos(turn) - aside * np.sin(turn)
    inside = (rows > 0) & (rows < height - 1) & (columns > 0) & (columns < width - 1)
    line = np.zeros(picture.shape)
    line[rows[inside].round().astype(int), columns[inside].round().astype(int)] = 1
    cover = gaussian_filter(line, rng.uniform(0.6, 1.2))
    cover /= max(cover.max(), 1e-9)
    return picture * (1 + rng.choice([-1, 1]) * rng.uniform(0.25, 0.5) * cover), cover > 0.3


def blur(picture: np.ndarray, rng: np.random.Generator, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A patch rubbed smooth."""
    cover = _patch(picture.shape, rng, rng.uniform(8, 18))
    return picture * (1 - cover) + cover * gaussian_filter(picture, rng.uniform(1.5, 3)), cover > 0.5


def foreign(picture: np.ndarray, rng: np.random.Generator, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A patch of another surface, as bright."""
    cover = _patch(picture.shape, rng, rng.uniform(6, 16))
    return picture * (1 - cover) + cover * other * (picture.mean() / max(other.mean(), 1)), cover > 0.5


def warp(picture: np.ndarray, rng: np.random.Generator, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A patch whose texture is distorted."""
    cover = _patch(picture.shape, rng, rng.uniform(10, 18))
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(float)
    down, across = (_field(picture.shape, 5, rng) * rng.uniform(2, 4) * cover for _ in range(2))
    return map_coordinates(picture, [rows + down, columns + across], order=1, mode="reflect"), cover > 0.4


DEFECTS: tuple[Defect, ...] = (stain, hole, scratch, blur, foreign, warp)


def write_surface(folder: Path, texture: np.ndarray, others: Sequence[np.ndarray], seed: int) -> None:
    """The pictures of one texture float [H, W]; foreign patches are of `others`."""
    rng = np.random.default_rng(seed)
    for part, count in (("train", TRAIN), ("test", TEST)):
        for number in range(count):
            _save(_lit(_cut(texture, rng, [part]), rng), folder / part / "good" / f"{number:03}.png")
    for defect in DEFECTS:
        name = defect.__name__
        for number in range(DEFECTIVE):
            other = others[rng.integers(len(others))]
            picture, mask = defect(_cut(texture, rng, ["test"]), rng, _cut(other, rng, ["train", "test"]))
            if mask.sum() >= FEWEST:
                _save(_lit(picture, rng), folder / "test" / name / f"{number:03}.png")
                _save(mask * 255.0, folder / "ground_truth" / name / f"{number:03}_mask.png")


def read_texture(path: Path) -> np.ndarray:
    """Its brightness, float [H, W]; photographs of 2,048 pixels and more are halved."""
    image = Image.open(path).convert("L")
    while min(image.size) >= 2048:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    if image.height not in BANDS or image.width < SIDE:
        raise SystemExit(
            f"{path}: found {image.width}x{image.height} pixels, expected {' or '.join(map(str, BANDS))} rows"
        )
    return np.asarray(image, float)


def _cut(texture: np.ndarray, rng: np.random.Generator, parts: Sequence[str]) -> np.ndarray:
    bands = [band for part in parts for band in BANDS[len(texture)][part]]
    first, last = bands[rng.integers(len(bands))]
    row, column = rng.integers(first, last - SIDE + 1), rng.integers(0, texture.shape[1])
    return np.roll(texture, (-row, -column), (0, 1))[:SIDE, :SIDE].copy()


def _lit(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Under light that is stronger on one side, and with a sensor's noise."""
    rows, columns = np.mgrid[-1 : 1 : picture.shape[0] * 1j, -1 : 1 : picture.shape[1] * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0.75, 1.2) * (1 + rng.uniform(0, 0.2) * (rows * np.sin(turn) + columns * np.cos(turn)))
    return picture * light + rng.normal(0, 2, picture.shape)


def _patch(size: tuple[int, ...], rng: np.random.Generator, radius: float) -> np.ndarray:
    """How much of each pixel an uneven patch covers, [H, W] in [0, 1]; radius in pixels."""
    centre = rng.uniform(0.15, 0.85, 2) * size
    rows, columns = np.mgrid[: size[0], : size[1]]
    across = (columns - centre[1]) / (radius * rng.uniform(0.6, 1.6))
    distance = np.hypot((rows - centre[0]) / radius, across) + 0.3 * _field(size, radius / 3, rng)
    return expit(np.clip(8 * (1 - distance), -30, 30))


def _field(size: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    field = gaussian_filter(rng.standard_normal(size), sigma, mode="wrap")
    return field / field.std()


def _save(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(picture, 0, 255).round().astype(np.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("textures", type=Path, nargs="+", help="two or more")
    arguments = parser.parse_args()
    textures = [read_texture(path) for path in arguments.textures]
    if len(textures) < 2:
        parser.error("found one texture, expected at least two: a foreign patch is of another")
    for seed, (path, texture) in enumerate(zip(arguments.textures, textures, strict=True)):
        others = [other for number, other in enumerate(textures) if number != seed]
        write_surface(arguments.folder / path.stem, texture, others, seed)


if __name__ == "__main__":
    main()
