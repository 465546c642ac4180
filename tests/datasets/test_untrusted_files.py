"""Stored files from anywhere: nothing in them runs, leaves the folder or takes memory before it is refused."""

from __future__ import annotations

import io
import pickle
import re
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from stored_forms import PLACES, dataset, example, refusal
from tests import damage

from fanogan_pipeline.datasets import safetensors_format
from fanogan_pipeline.datasets.npz import read_arrays
from fanogan_pipeline.errors import InputError

LITTLE = 20 << 20  # bytes that reading a file of a few kilobytes may take at most


def stored(form: str, tmp_path, content: bytes, **more):
    """A dataset whose only version has this content."""
    path = tmp_path / PLACES[form] / "v1" / PLACES[form]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return dataset(form, tmp_path, **more)


def refused(found) -> str:
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError) as caught:
            found.load()
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()
    return refusal(caught.value)


def good_npz() -> dict[str, np.ndarray]:
    images = example("ImageSetDataset", n=4)
    names = ("images", "labels", "is_anomaly", "image_id", "split_digest", "geometry")
    return {name: np.asarray(getattr(images, name)) for name in names}


def test_pickled_objects_in_an_npz_never_run(tmp_path):
    witness = tmp_path / "witness"
    exploding = np.array([damage.Exploding(witness)] * 4, dtype=object)
    found = stored("ImageSetDataset", tmp_path, damage.npz(**good_npz() | {"labels": exploding}))
    assert "labels: found dtype object, expected numbers, truth values or text" in refused(found)
    assert not witness.exists()


@pytest.mark.parametrize("form", ["ImageSetDataset", "CheckpointDataset", "ParquetDataset", "JSONDataset"])
def test_a_pickle_under_another_name_never_runs(form, tmp_path):
    witness = tmp_path / "witness"
    refused(stored(form, tmp_path, pickle.dumps(damage.Exploding(witness))))
    assert not witness.exists()


@pytest.mark.parametrize("name", ["../outside.npy", "/tmp/outside.npy", "..\\outside.npy", "images.npy/../../x.npy"])
def test_members_of_an_npz_never_leave_the_file(name, tmp_path):
    found = stored("ImageSetDataset", tmp_path, damage.npz(**good_npz(), **{name.removesuffix(".npy"): np.zeros(1)}))
    assert "has unknown" in refused(found)
    assert [path.name for path in tmp_path.iterdir()] == [PLACES["ImageSetDataset"]]


def test_an_image_set_without_the_arrays_that_may_lack_is_whole(tmp_path):
    found = stored("ImageSetDataset", tmp_path, damage.npz(**good_npz())).load()
    assert (found.masks, found.sizes, found.tiles, found.group) == (None, None, None, None)
    assert len(found) == 4


@pytest.mark.parametrize("group", [np.array(["a"] * 3), np.zeros(4)])
def test_groups_of_other_than_the_images_are_refused(group, tmp_path):
    found = stored("ImageSetDataset", tmp_path, damage.npz(**good_npz(), group=group))
    assert f"group: found {group.dtype} [{len(group)}], expected text [4]" in refused(found)


def test_names_that_stand_for_two_images_are_refused(tmp_path):
    found = stored("ImageSetDataset", tmp_path, damage.npz(**good_npz() | {"image_id": np.array(["a", "b", "a", "c"])}))
    assert "image_id: found 1 repeated names, expected each once" in refused(found)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice_is_refused(tmp_path):
    stream = io.BytesIO(damage.npz(**good_npz()))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("images.npy", archive.read("images.npy"))
    assert "has an array twice, expected each once" in refused(stored("ImageSetDataset", tmp_path, stream.getvalue()))


@pytest.mark.parametrize("name", ["images", "is_anomaly", "geometry"])
def test_an_array_with_a_bit_turned_over_is_refused(name, tmp_path):
    content = bytearray(damage.npz(**good_npz()))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        data = archive.read(f"{name}.npy")
    content[content.index(data) + len(data) - 1] ^= 1
    assert f"Bad CRC-32 for file '{name}.npy'" in refused(stored("ImageSetDataset", tmp_path, bytes(content)))


def npz_with_images(data: bytes) -> bytes:
    """A compressed npz whose images are these bytes."""
    members = {}
    with zipfile.ZipFile(io.BytesIO(damage.npz(**good_npz()))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return damage.zipped({**members, "images.npy": data})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (damage.npy_promising((2**40, 1, 8, 8)), r"images: the header says uint8 .* = 70,368,744,177,664 bytes"),
        (damage.npy_promising((2**62, 4, 8, 8)), r"images: the header says uint8"),
        (damage.npy_promising((-1, 1, 8, 8)), r"images: found shape \(-1, 1, 8, 8\), expected sides of 0"),
        (damage.npy_promising((4, 1, 8, 8), bytes(300)), r"= 256 bytes, found 300"),
        (damage.npy_promising((4, 1, 8, 8), bytes(256), "|V1"), r"images: found dtype \|V1"),
        (damage.npy_promising((4, 1, 8, 8), bytes(8 * 256), "<M8[s]"), r"images: found dtype datetime64"),
        (b"\x93NUMPY\x09\x00" + bytes(100), r"images: found npy format \(9, 0\)"),
        (b"no array", "not a readable npz file"),
    ],
)
def test_an_array_is_what_its_header_says_or_refused_before_memory_is_taken(data, said, tmp_path):
    assert re.search(said, refused(stored("ImageSetDataset", tmp_path, npz_with_images(data))))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    shape = (1 << 20, 1, 8, 8)
    content = npz_with_images(damage.npy_promising(shape, bytes(64 << 20)))
    assert len(content) < 200_000
    found = stored("ImageSetDataset", tmp_path, content, max_bytes=1 << 20)
    assert re.search(r"holds 67,\d{3},\d{3} bytes, expected at most 1,048,576, see max_bytes", refused(found))


def test_a_zip_whose_directory_lies_about_sizes_is_refused(tmp_path):
    content = bytearray(damage.npz(**good_npz()))
    at = content.index(b"PK\x01\x02") + 24  # the first member's unpacked size in the zip's directory
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    assert "cannot unpack to 2,147,483,647" in refused(stored("ImageSetDataset", tmp_path, bytes(content)))


@pytest.mark.parametrize("length", [2**62, 2**32, 10**6])
def test_a_safetensors_header_of_absurd_length_is_refused(length, tmp_path):
    content = length.to_bytes(8, "little") + b"{}" + bytes(100)
    assert f"expected {length + 8:,}" in refused(stored("CheckpointDataset", tmp_path, content))


def test_a_safetensors_header_nested_beyond_measure_is_refused(tmp_path):
    text = b'{"__metadata__":' + b"[" * 100_000
    content = len(text).to_bytes(8, "little") + text
    assert "not a readable safetensors file" in refused(stored("CheckpointDataset", tmp_path, content))


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path):
    stream = io.BytesIO()
    pq.write_table(pa.table({"score": pa.array(np.zeros(2_000_000))}), stream)
    assert len(stream.getvalue()) < 100_000
    found = stored("ParquetDataset", tmp_path, stream.getvalue(), max_bytes=1 << 20)
    assert "16,000,000 bytes, expected at most 1,048,576" in refused(found)


def test_a_table_with_python_objects_in_its_metadata_is_only_a_table(tmp_path):
    witness = tmp_path / "witness"
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1]}))
    table = table.replace_schema_metadata({b"ARROW:pickled": pickle.dumps(damage.Exploding(witness))})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    assert stored("ParquetDataset", tmp_path, stream.getvalue()).load()["a"].tolist() == [1]
    assert not witness.exists()


# ---------------------------------------------------------------- properties

WHOLE = {True: damage.npz(**good_npz()), False: safetensors_format.to_bytes(example("CheckpointDataset", 1))}


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """Cut short, or with some bytes changed, most of them where the structure is."""
    content = bytearray(whole)
    if draw(st.booleans()):
        return bytes(content[: draw(st.integers(0, len(content)))])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.one_of(st.integers(0, 150), st.integers(0, len(content) - 1), st.integers(-150, -1)))
        content[at] ^= draw(st.integers(1, 255))
    return bytes(content)


@given(content=st.one_of(st.binary(max_size=200), damaged(WHOLE[True])))
@settings(max_examples=150, deadline=None)
def test_damaged_npz_bytes_give_an_error_or_the_arrays(content):
    names = set(good_npz())
    try:
        found = read_arrays(io.BytesIO(content), names, set(), 1 << 20)
    except (InputError, zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError):
        return
    except Exception as error:  # the dataset turns any error into one line; here each kind is to be known
        assert type(error).__module__ in ("zlib", "struct", "lzma", "zipfile"), repr(error)  # noqa: PT017
        return
    assert set(found) == names
    assert all(array.dtype.kind in "biufU" for array in found.values())


# whole files whose header is an object, another kind of JSON or none
HEADERS = [safetensors.torch.save({}, {safetensors_format.KEY: text}) for text in ("{}", "[]", "null", '"{}"', "{")]


@given(content=st.one_of(st.binary(max_size=200), damaged(WHOLE[False]), st.sampled_from(HEADERS)))
@settings(max_examples=150, deadline=None)
def test_damaged_safetensors_bytes_give_an_input_error_or_a_checkpoint(content):
    try:
        found = safetensors_format.from_bytes(content)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert isinstance(found.header, dict)
    assert safetensors_format.from_bytes(safetensors_format.to_bytes(found)).digest == found.digest


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("form", ["ImageSetDataset", "CheckpointDataset", "ParquetDataset", "JSONDataset"])
def test_a_damaged_version_loads_or_is_refused_in_one_line(form, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    dataset(form, folder, "v1").save(example(form, 1))
    path = folder / PLACES[form] / "v1" / PLACES[form]
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        dataset(form, folder).load()
    except DatasetError as error:
        assert str(path) in refusal(error)  # noqa: PT017
