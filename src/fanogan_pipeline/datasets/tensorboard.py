"""TensorBoard logs, a folder a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
import torch
from kedro.io import AbstractVersionedDataset, DatasetError, Version


class PhaseLog:
    """What a phase writes: scalars while it trains, the graph of its networks, sheets of images."""

    def __init__(self, writer: Any, phase: str) -> None:
        self._writer, self._phase = writer, phase

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """A point of every curve."""
        for name, value in values.items():
            self._writer.add_scalar(f"{self._phase}/{name}", value, step)

    def images(self, name: str, images: np.ndarray) -> None:
        """A sheet of images uint8 [N, C, H, W]."""
        from fanogan_pipeline.figures import contact_sheet

        sheet = contact_sheet(images)
        self._writer.add_image(f"{self._phase}/{name}", sheet, dataformats="HW" if sheet.ndim == 2 else "HWC")

    def networks(self, module: torch.nn.Module, example: torch.Tensor) -> None:
        """The graph of a network."""
        self._writer.add_graph(module, example.to(next(module.parameters()).device))


class TensorBoardLogs:
    """Opens the log of a phase in this run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def run(self, phase: str) -> Iterator[PhaseLog]:
        """The log of `phase`, closed at the end."""
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.folder / phase)) as writer:
            yield PhaseLog(writer, phase)


class TensorBoardDataset(AbstractVersionedDataset):
    """The place where a run logs: `load` gives `TensorBoardLogs` on `<filepath>/<version of the run>`.

    Args:
        filepath: folder of all runs.
        version: of the run, given by Kedro.
        metadata: for plugins.
    """

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
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
