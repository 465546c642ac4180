"""The reader of IDX files: real MNIST, every way a file can be wrong, and random damage."""

import base64
import gzip
import hashlib
import io
import os
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from PIL import Image

from fanogan_pipeline.datasets.idx import IdxImageDataset
from fanogan_pipeline.datasets.idx_format import read_idx
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import SOURCE_COLUMNS

MNIST = Path(__file__).parents[2] / "data" / "01_raw" / "mnist"
FASHION_MNIST = Path(os.environ.get("FASHION_MNIST", MNIST.parent / "fashion-mnist"))


def idx_bytes(array: np.ndarray, shape: tuple[int, ...] | None = None, magic: int | None = None) -> bytes:
    shape = array.shape if shape is None else shape
    magic = 0x800 | len(shape) if magic is None else magic
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + array.astype(np.uint8).tobytes()


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 5, 4), dtype=np.uint8)


def write_set(folder: Path, mark: str = "-", packed: bool = False, **replaced: bytes | None) -> Path:
    """Six pictures to train and three to test, with single files given otherwise or left out (None)."""
    contents: dict[str, bytes | None] = {
        "train_images": idx_bytes(pictures(6)),
        "train_labels": idx_bytes(np.arange(6)),
        "test_images": idx_bytes(pictures(3, seed=1)),
        "test_labels": idx_bytes(np.array([7, 8, 255])),
    } | replaced
    for name, data in contents.items():
        if data is not None:
            part, kind = name.split("_")
            stem = f"{'t10k' if part == 'test' else part}-{kind}{mark}idx{3 if kind == 'images' else 1}-ubyte"
            path = folder / (stem + (".gz" if packed else ""))
            path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def message_of(dataset: IdxImageDataset) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, InputError)
    message = str(caught.value.__cause__)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def mnist():
    return IdxImageDataset(filepath=str(MNIST)).load()


def test_the_sums_in_the_note_are_those_of_the_files():
    sums = dict(re.findall(r"`(\S+-ubyte)` \| `([0-9a-f]{64})`", (MNIST / "README.md").read_text()))
    assert len(sums) == 4
    for name, digest in sums.items():
        assert hashlib.sha256(gzip.decompress((MNIST / f"{name}.gz").read_bytes())).hexdigest() == digest


def test_mnist_is_read_whole(mnist):
    table = mnist.table
    assert tuple(table.columns) == SOURCE_COLUMNS
    assert table["part"].value_counts().to_dict() == {"train": 60_000, "test": 10_000}
    assert (table["label"] == "1").groupby(table["part"]).sum().to_dict() == {"train": 6742, "test": 1135}
    assert table["image_id"].is_unique
    assert table["image_id"].iloc[[0, 60_042]].tolist() == ["train/00000", "test/00042"]
    assert not table["has_mask"].any()
    assert set(table["group"]) == {""}
    assert (mnist.normal_label, mnist.read_mask, len(mnist.skipped)) == ("", None, 0)


def test_each_row_is_the_picture_of_its_place_in_the_file(mnist):
    train = np.frombuffer(gzip.decompress((MNIST / "train-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    test = np.frombuffer(gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    for row in (0, 59_999):
        np.testing.assert_array_equal(mnist.read(row).ravel(), train[row * 784 : (row + 1) * 784])
    np.testing.assert_array_equal(mnist.read(60_000).ravel(), test[:784])
    assert mnist.read(69_999).shape == (28, 28)
    assert mnist.read(69_999).dtype == np.uint8
    with pytest.raises(IndexError):
        mnist.read(70_000)


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="no Fashion-MNIST there; set FASHION_MNIST to its folder")
def test_fashion_mnist_is_read_too():
    source = IdxImageDataset(filepath=str(FASHION_MNIST)).load()
    assert len(source) == 70_000
    assert set(source.table["label"].value_counts()) == {7000}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
def test_all_usual_names_are_found(tmp_path, mark, packed):
    source = IdxImageDataset(filepath=str(write_set(tmp_path, mark, packed))).load()
    assert source.table["label"].tolist() == ["0", "1", "2", "3", "4", "5", "7", "8", "255"]
    np.testing.assert_array_equal(source.read(7), pictures(3, seed=1)[1])


def test_four_files_can_be_named_and_packing_is_told_by_content(tmp_path):
    names = {}
    for name, data in {
        "train_images": idx_bytes(pictures(2)),
        "train_labels": gzip.compress(idx_bytes(np.array([3, 4]))),
        "test_images": gzip.compress(idx_bytes(pictures(1))),
        "test_labels": idx_bytes(np.array([5])),
    }.items():
        (tmp_path / f"{name}.bin").write_bytes(data)
        names[name] = str(tmp_path / f"{name}.bin")
    dataset = IdxImageDataset(**names)
    assert dataset.exists()
    assert dataset.load().table["label"].tolist() == ["3", "4", "5"]


GOOD = idx_bytes(pictures(6))
BAD_FILES = {
    "another magic": (
        {"train_images": b"GIF89a" + GOOD},
        r"train-images-idx3-ubyte: found magic number 0x47494638, expected 0x00000803 \(pictures\)",
    ),
    "labels as pictures": (
        {"train_images": idx_bytes(np.arange(6))},
        r"train-images-\S+: found magic number 0x00000801 \(a file of labels\), expected 0x00000803",
    ),
    "pictures as labels": (
        {"test_labels": GOOD},
        r"t10k-labels-\S+: found magic number 0x00000803 \(a file of pictures\), expected 0x00000801 \(labels\)",
    ),
    "another type": (
        {"train_images": idx_bytes(pictures(6), magic=0x0D03)},
        r"found magic number 0x00000d03, expected 0x00000803",
    ),
    "empty": ({"train_labels": b""}, r"train-labels-\S+: found 0 bytes, expected a header of 8"),
    "header cut short": ({"train_images": GOOD[:10]}, r"train-images-\S+: found 10 bytes, expected a header of 16"),
    "data cut short": (
        {"train_images": GOOD[:-3]},
        r"train-images-\S+: the header says 6 x 5 x 4 = 120 bytes of pictures, found fewer; fetch the file again",
    ),
    "data too long": ({"train_images": GOOD + b"\0"}, r"the header says 6 x 5 x 4 = 120 bytes of pictures, found more"),
    "no pictures": ({"train_images": idx_bytes(pictures(0))}, r"the header says 0 x 5 x 4, expected at least one"),
    "no width": (
        {"test_images": idx_bytes(pictures(0), (3, 5, 0))},
        r"the header says 3 x 5 x 0, expected at least one",
    ),
    "absurd size": (
        {"train_images": idx_bytes(pictures(6), (2**32 - 1,) * 3)},
        r"4,294,967,295 x 4,294,967,295 x 4,294,967,295 = [\d,]+ bytes, expected at most 4,294,967,296; .* max_bytes",
    ),
    "other counts": (
        {"train_labels": idx_bytes(np.arange(5))},
        r"train-labels-\S+: found 5 labels, expected 6, one for each picture in \S+train-images",
    ),
    "missing": ({"test_labels": None}, r": missing t10k-labels-idx1-ubyte \(or the same with \.gz\); put the files"),
    "gzip cut short": (
        {"train_images": gzip.compress(GOOD)[:-20]},
        r"train-images-\S+: the gzip data is cut short or damaged",
    ),
    "gzip with a wrong checksum": (
        {"train_images": gzip.compress(GOOD)[:-8] + b"\1\2\3\4" + gzip.compress(GOOD)[-4:]},
        r"train-images-\S+: the gzip data is cut short or damaged \(CRC check failed",
    ),
    "gzip of nothing": ({"train_labels": gzip.compress(b"")}, r"train-labels-\S+: found 0 bytes, expected a header"),
    "gzip of too little": ({"train_images": gzip.compress(GOOD[:-3])}, r"120 bytes of pictures, found only 117"),
    "gzip of too much": ({"train_images": gzip.compress(GOOD + b"\0" * 9)}, r"120 bytes of pictures, found more"),
    "gzip that promises what it cannot hold": (
        {"train_images": gzip.compress(idx_bytes(pictures(6), (60_000, 100, 100)))},
        r"60,000 x 100 x 100 = 600,000,000 bytes of pictures, found fewer",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_what_is_wrong_with_which_file_is_said(tmp_path, case):
    replaced, pattern = BAD_FILES[case]
    assert re.search(pattern, message_of(IdxImageDataset(filepath=str(write_set(tmp_path, **replaced)))))


def test_a_missing_folder_is_named(tmp_path):
    dataset = IdxImageDataset(filepath=str(tmp_path / "nowhere"))
    assert not dataset.exists()
    assert "nowhere: no readable folder (No such file or directory)" in message_of(dataset)


def test_a_missing_named_file_is_named(tmp_path):
    names = dict.fromkeys(("train_images", "train_labels", "test_images", "test_labels"), str(tmp_path / "gone"))
    assert "gone: no such file, expected labels in the format of MNIST" in message_of(IdxImageDataset(**names))


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    names = dict.fromkeys(("train_images", "train_labels", "test_images", "test_labels"), str(tmp_path))
    assert f"{tmp_path}: cannot be read (Is a directory)" in message_of(IdxImageDataset(**names))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, "found none of them"),
        ({"train_images": "a"}, "found train_images, expected"),
        ({"filepath": "a", "test_labels": "b"}, "found filepath, test_labels, expected"),
        ({"filepath": "a", "max_bytes": 0}, "max_bytes is 0, expected a whole number"),
    ],
)
def test_senseless_arguments_are_refused(arguments, found):
    with pytest.raises(InputError, match=re.escape(found)):
        IdxImageDataset(**arguments)


def peak_of(action) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_is_not_unpacked_beyond_what_its_header_promises(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(GOOD + b"\0" * 100_000_000, compresslevel=1))
    assert peak_of(lambda: read_idx(str(path), 3)) < 4_000_000


def test_a_header_that_lies_allocates_nothing(tmp_path):
    path = tmp_path / "lies"
    path.write_bytes(idx_bytes(pictures(6), (1_000_000, 60, 60)))
    assert peak_of(lambda: read_idx(str(path), 3)) < 1_000_000


def test_it_is_read_only(tmp_path):
    with pytest.raises(DatasetError, match="read-only"):
        IdxImageDataset(filepath=str(tmp_path)).save(object())


def test_the_preview_is_a_picture_by_its_annotation(tmp_path):
    dataset = IdxImageDataset(filepath=str(write_set(tmp_path)))
    sheet = Image.open(io.BytesIO(base64.b64decode(dataset.preview(pictures=4))))
    assert sheet.format == "PNG"
    assert sheet.width > 4 * 96
    annotation = IdxImageDataset.preview.__annotations__["return"]
    assert getattr(annotation, "__name__", annotation) == "ImagePreview"


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_give_an_input_error_or_an_array(tmp_path, data):
    whole = data.draw(st.sampled_from([GOOD, gzip.compress(GOOD, mtime=0), idx_bytes(np.arange(6))]))
    content = data.draw(
        st.one_of(
            st.binary(max_size=60),
            st.integers(0, len(whole)).map(lambda end: whole[:end]),
            st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)).map(
                lambda flip: whole[: flip[0]] + bytes([whole[flip[0]] ^ flip[1]]) + whole[flip[0] + 1 :]
            ),
        )
    )
    path = tmp_path / "damaged"
    path.write_bytes(content)
    dimensions = data.draw(st.sampled_from([1, 3]))
    array, message = None, ""
    try:
        array = read_idx(str(path), dimensions)
    except InputError as error:
        message = str(error)
    if array is None:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    else:
        assert array.ndim == dimensions
        assert array.size > 0
