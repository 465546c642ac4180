"""What lies on disk. Each class is imported when it is asked for, so that naming one in the catalog costs nothing."""

import importlib
from typing import Any

_PLACES = {
    "ArrayDataset": "image_set",
    "CSVDataset": "tables",
    "CheckpointDataset": "checkpoint",
    "ExampleImageDataset": "example_images",
    "FigureDataset": "figure",
    "FigureFolderDataset": "figure",
    "IdxImageDataset": "idx",
    "ImageFolderDataset": "image_folder",
    "ImageSetDataset": "image_set",
    "JSONDataset": "json_file",
    "OnnxDataset": "onnx_file",
    "ParquetDataset": "tables",
    "ReportDataset": "html",
    "StateStoreDataset": "state_store",
    "TensorBoardDataset": "tensorboard",
}
__all__ = [*_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
