"""Small picture files for the tests of their readers."""

import io
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError
from PIL import Image

from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.errors import InputError


def grey(height: int = 6, width: int = 9, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def put(folder: Path, *names: str, size: tuple[int, int] = (6, 9)) -> Path:
    """A grey picture of its own (height, width) under each name."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey(*size, seed=seed)).save(path)
    return folder


def message_of(dataset: ImageFolderDataset) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, InputError), caught.value
    message = str(caught.value.__cause__)
    assert "\n" not in message
    return message


def read_one(folder: Path, **arguments) -> np.ndarray:
    source = ImageFolderDataset(filepath=str(folder), **arguments).load()
    assert len(source) == 1
    return source.read(0)


def encoded(extension: str, array: np.ndarray | None = None) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey(64, 64) if array is None else array).save(stream, format=extension)
    return stream.getvalue()


def defects_folder(folder: Path) -> Path:
    put(folder, "train/good/0.png", "train/good/1.png", "test/good/0.png", "test/cut/0.png", "test/hole/sub/0.jpg")
    put(folder, "test/cut/1.png")
    put(folder, "ground_truth/cut/0_mask.png", "ground_truth/hole/sub/0.png")
    (folder / "license.txt").write_text("free")
    return folder
