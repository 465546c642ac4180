"""The example as a folder, in the layout of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fanogan_pipeline.example.cloth import weave
from fanogan_pipeline.example.cloth_defects import CLOTH_DEFECTS
from fanogan_pipeline.example.metal import ground_metal
from fanogan_pipeline.example.metal_defects import METAL_DEFECTS
from fanogan_pipeline.example.painting import Painter


@dataclass(frozen=True)
class Surface:
    """What pictures show.

    Attributes:
        good: paints a good picture, [H, W] as `Painted`.
        defects: name -> what paints a defective one.
    """

    good: Callable[[tuple[int, int], np.random.Generator], np.ndarray]
    defects: dict[str, Painter]


SURFACES = {
    "cloth": Surface(lambda size, rng: weave(size, rng)[0], CLOTH_DEFECTS),
    "metal": Surface(ground_metal, METAL_DEFECTS),
}


def write_example(
    folder: Path, surface: str, train: int, test: int, defective: int, sides: tuple[int, int], seed: int
) -> None:
    """Write the example's PNG files into an existing folder.

    `train/good`, `test/good`, `test/<defect>` and `ground_truth/<defect>/<name>_mask.png` for every defect of
    the surface; each picture from its own seed, so that more pictures leave the first ones as they are.

    Args:
        folder: where to.
        surface: a name of `SURFACES`.
        train: good pictures to learn from.
        test: good pictures to test with.
        defective: pictures of each defect.
        sides: shortest and longest side of a picture, pixels.
        seed: of everything.
    """
    for name, picture, mask in _pictures(SURFACES[surface], train, test, defective, sides, seed):
        _save(folder / f"{name}.png", picture)
        if mask is not None:
            _, defect, stem = name.split("/")
            _save(folder / "ground_truth" / defect / f"{stem}_mask.png", mask.astype(float))


def _pictures(
    surface: Surface, train: int, test: int, defective: int, sides: tuple[int, int], seed: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    for kind, (part, count) in enumerate((("train", train), ("test", test))):
        for number in range(count):
            rng = np.random.default_rng([seed, kind, number])
            yield f"{part}/good/{number:03d}", surface.good(_size(sides, rng), rng), None
    for kind, (defect, paint) in enumerate(surface.defects.items(), start=2):
        for number in range(defective):
            rng = np.random.default_rng([seed, kind, number])
            yield f"test/{defect}/{number:03d}", *paint(_size(sides, rng), rng)


def _size(sides: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    height, width = rng.integers(sides[0], sides[1] + 1, 2)
    return int(height), int(width)


def _save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)).save(path)
