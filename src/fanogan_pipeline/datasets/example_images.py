"""The worked example: pictures that the project makes itself when they are not there."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal, get_args

from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.datasets.staging import private_directory
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSource

logger = logging.getLogger(__name__)

Surface = Literal["cloth", "metal"]


class ExampleImageDataset(ImageFolderDataset):
    """An `ImageFolderDataset` on pictures of cloth or metal, which `load` makes where the folder is missing.

    The folder appears whole or not at all. One that is there is read as it is, whatever it holds: delete it to
    have it made again.

    Args:
        filepath: the folder; local.
        surface: "cloth" or "metal".
        train: good pictures to learn from, 1 and up.
        test: good pictures to test with, 1 and up.
        defective: pictures of each defect, 0 and up.
        sides: shortest and longest side of a picture, pixels, 48 to 4096.
        seed: of everything.
        metadata: for kedro-viz; not read here.

    Raises:
        InputError: on construction, a senseless parameter.
    """

    def __init__(
        self,
        *,
        filepath: str,
        surface: Surface = "cloth",
        train: int = 120,
        test: int = 40,
        defective: int = 20,
        sides: tuple[int, int] = (96, 128),
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=filepath, layout="defects", metadata=metadata)
        if min(train, test) < 1 or min(defective, seed) < 0 or not 48 <= sides[0] <= sides[1] <= 4096:
            raise InputError(
                f"ExampleImageDataset: found train {train}, test {test}, defective {defective}, sides {list(sides)}, "
                f"seed {seed}, expected counts from 1 (defective and seed from 0) and sides from 48 to 4096, ascending"
            )
        if surface not in get_args(Surface):
            raise InputError(f"ExampleImageDataset: found surface {surface!r}, expected one of {get_args(Surface)}")
        self._made: dict[str, Any] = {"surface": surface, "train": train, "test": test, "defective": defective}
        self._made |= {"sides": (sides[0], sides[1]), "seed": seed}

    def load(self) -> ImageSource:
        if not self._exists():
            self._make(Path(self._root))
        return super().load()

    def _make(self, folder: Path) -> None:
        from fanogan_pipeline.example.picture_set import write_example

        logger.info("%s: making the example's pictures", folder)
        with private_directory(folder.parent) as private:
            made = private / folder.name
            made.mkdir()
            write_example(made, **self._made)
            try:
                os.rename(made, folder)
            except OSError:
                if not folder.is_dir():  # another run has made it in the meantime
                    raise
        self._filesystem.invalidate_cache()
