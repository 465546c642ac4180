"""TensorBoard logs, a folder a run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
from kedro.io import AbstractVersionedDataset, DatasetError, Version

from fanogan_pipeline.datasets.staging import telling
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.lazy import lazily

with lazily():
    from torch import jit, nn
    from torch.utils import tensorboard


class PhaseLog:
    """What a phase writes: scalars while it trains, the graphs of its networks, sheets of images.

    Raises:
        InputError: (all its methods) the folder cannot be written.
    """

    def __init__(self, folder: Path, phase: str) -> None:
        self._folder, self._phase = folder, phase

    @cached_property
    def writer(self) -> tensorboard.SummaryWriter:
        """Opened by what is first written: a training that is refused leaves no file."""
        return tensorboard.SummaryWriter(str(self._folder))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """A point of every curve."""
        with telling(self._folder):
            for name, value in values.items():
                self.writer.add_scalar(f"{self._phase}/{name}", value, step)

    def images(self, step: int, name: str, images: np.ndarray) -> None:
        """A sheet of images uint8 [N, C, H, W], as they are after so many steps."""
        with telling(self._folder):
            self.writer.add_images(f"{self._phase}/{name}", images, step)

    def network(self, name: str, module: nn.Module, shape: Sequence[int]) -> None:
        """The graph of a network for one input of the given shape; TensorBoard keeps one in each folder."""
        example = next(module.parameters()).new_zeros(1, *shape)
        with telling(self._folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", jit.TracerWarning)  # shapes are constants of the graph, as they should be
            with tensorboard.SummaryWriter(str(self._folder / name)) as writer:
                writer.add_graph(module, example)

    def close(self) -> None:
        with telling(self._folder):
            if "writer" in vars(self):
                self.writer.close()


class TensorBoardLogs:
    """Opens the log of a phase in this run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, phase: str) -> closing[PhaseLog]:
        """The log of `phase`, closed at the end."""
        return closing(PhaseLog(self.folder / phase, phase))


class TensorBoardDataset(AbstractVersionedDataset):
    """The place where a run logs: `load` gives `TensorBoardLogs` on `<filepath>/<version of the run>`.

    Args:
        filepath: folder of all runs.
        version: of the run, given by Kedro.
        metadata: for kedro-viz; not read here.

    Raises:
        InputError: on construction, a URL in place of a folder.
    """

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        if "://" in str(filepath):
            raise InputError(f"{filepath}: found a URL, expected a local folder for the curves of training")
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata

    def load(self) -> TensorBoardLogs:
        version = self.resolve_save_version()
        return TensorBoardLogs(Path(self._filepath) / version if version else Path(self._filepath))

    def save(self, data: Any) -> NoReturn:
        raise DatasetError("tensorboard: runs write into it while they train; it is never saved as a whole")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
