"""The reader of picture folders: layouts, masks, groups, what it passes over, threads and remote places."""

import base64
import io
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
from kedro.io import DatasetError
from picture_files import defects_folder, grey, message_of, put
from PIL import Image

from fanogan_pipeline.datasets.folder_reader import stamp_of
from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import SOURCE_COLUMNS


def test_flat_and_nested_pictures_are_all_normal(tmp_path):
    put(tmp_path, "b.png", "a.JPG", "c.Tiff", "d.bmp", "e.webp")
    source = ImageFolderDataset(filepath=str(tmp_path)).load()
    assert tuple(source.table.columns) == (*SOURCE_COLUMNS, "stamp")
    assert source.table["image_id"].tolist() == ["a.JPG", "b.png", "c.Tiff", "d.bmp", "e.webp"]
    assert set(source.table["label"]) == {source.normal_label} == {"normal"}
    assert set(source.table["part"]) == {""}
    np.testing.assert_array_equal(source.read(1), grey(seed=0))
    nested = ImageFolderDataset(filepath=str(put(tmp_path, "lot/day/f.png")), layout="flat").load()
    assert nested.table["image_id"].tolist()[-1] == "lot/day/f.png"


def test_a_single_folder_is_still_flat(tmp_path):
    source = ImageFolderDataset(filepath=str(put(tmp_path, "good/a.png", "good/x/b.png"))).load()
    assert set(source.table["label"]) == {"normal"}


def test_the_layout_of_the_field_gives_parts_labels_and_masks(tmp_path):
    source = ImageFolderDataset(filepath=str(defects_folder(tmp_path))).load()
    rows = source.table.set_index("image_id")
    assert rows["part"].to_dict() == {
        "test/cut/0.png": "test",
        "test/cut/1.png": "test",
        "test/good/0.png": "test",
        "test/hole/sub/0.jpg": "test",
        "train/good/0.png": "train",
        "train/good/1.png": "train",
    }
    assert rows["label"].tolist() == ["cut", "cut", "good", "hole", "good", "good"]
    assert rows["has_mask"].tolist() == [True, False, False, True, False, False]
    assert source.normal_label == "good"
    assert source.read_mask(0).dtype == bool
    np.testing.assert_array_equal(source.read_mask(0), grey(seed=0) > 0)
    np.testing.assert_array_equal(source.read_mask(3), grey(seed=1) > 0)


@pytest.mark.parametrize(
    ("names", "parts"),
    [(["train/good/0.png"], {"train"}), (["test/good/0.png", "test/cut/0.png"], {"test"})],
)
def test_the_layout_of_the_field_may_lack_a_part_and_masks(tmp_path, names, parts):
    source = ImageFolderDataset(filepath=str(put(tmp_path, *names))).load()
    assert set(source.table["part"]) == parts
    assert source.read_mask is None


def test_one_folder_a_class(tmp_path):
    source = ImageFolderDataset(filepath=str(put(tmp_path, "cat/0.png", "dog/0.png", "dog/1.png"))).load()
    assert source.table["label"].tolist() == ["cat", "dog", "dog"]
    assert source.normal_label == ""


def test_a_forced_layout_wins(tmp_path):
    put(tmp_path, "train/cat/x/0.png", "test/dog/0.png")
    labels = ImageFolderDataset(filepath=str(tmp_path), layout="classes").load().table["label"]
    assert labels.tolist() == ["test", "train"]
    assert set(ImageFolderDataset(filepath=str(tmp_path), layout="flat").load().table["label"]) == {"normal"}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train/cat/0.png", "test/cat/0.png"], "found the folder test but neither train/good nor test/good"),
        (["a.png", "cat/0.png"], "found pictures beside the folders cat, which may mean more than one layout"),
        (["cat/0.png", "dog/x/0.png"], "found folders within the folders cat, dog, which may mean more than one"),
        (["nut/train/good/0.png", "pill/train/good/0.png"], "found nut, pill, each with its own train/good"),
    ],
)
def test_an_ambiguous_layout_is_refused(tmp_path, names, found):
    assert found in message_of(ImageFolderDataset(filepath=str(put(tmp_path, *names))))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["good/0.png", "bad/0.png"], "set: found the layout classes, expected this folder as filepath"),
        (["test/good/0.png", "test/spot/0.png"], "set: found the layout defects, expected this folder as filepath"),
        (["mv/train/good/0.png", "mv/test/spot/0.png", "mv/ground_truth/spot/0.png"], "set/mv: found the layout def"),
        (["train/OK/0.png", "test/NOK/0.png"], "set: found the folder test but neither train/good nor test/good"),
        (["0.png", "bad/0.png"], "set: found pictures beside the folders bad, which may mean more than one layout"),
    ],
)
def test_a_folder_too_high_up_is_refused_and_never_learnt_from_as_a_whole(tmp_path, names, found):
    put(tmp_path, *(f"set/{name}" for name in names))
    assert found in message_of(ImageFolderDataset(filepath=str(tmp_path)))
    assert set(ImageFolderDataset(filepath=str(tmp_path), layout="flat").load().table["label"]) == {"normal"}


def test_the_order_does_not_depend_on_the_file_system(tmp_path):
    names = [f"{i:03d}.png" for i in range(40)]
    put(tmp_path, *np.random.default_rng(0).permutation(names))
    assert ImageFolderDataset(filepath=str(tmp_path)).load().table["image_id"].tolist() == names


def test_other_files_are_ignored_and_counted(tmp_path, caplog):
    put(tmp_path, "a.png", ".hidden.png", ".cache/b.png")
    for name in ("Thumbs.db", ".DS_Store", "notes.txt", "png"):
        (tmp_path / name).write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.png")
    with caplog.at_level(logging.INFO, "fanogan_pipeline"):
        assert len(ImageFolderDataset(filepath=str(tmp_path)).load()) == 1
    assert "1 picture, layout flat (normal 1); ignored what is no picture: 7" in caplog.text


@pytest.mark.parametrize("name", ["a.gif", "b.PGM", "c.heic", "d.jfif"])
def test_pictures_of_other_formats_are_listed_where_files_may_be_skipped_and_else_passed_over(tmp_path, caplog, name):
    put(tmp_path, "x.png")
    for other in (name, ".hidden.gif", "notes.txt", "paper.pdf"):
        (tmp_path / other).write_bytes(b"x")
    skipping = ImageFolderDataset(filepath=str(tmp_path), on_error="skip")
    reason = f"found {Path(name).suffix.lower()}, expected PNG, JPEG, BMP, TIFF or WebP; convert or rename the file"
    assert skipping.load().skipped.to_dict("records") == [{"image_id": name, "reason": reason}]
    with caplog.at_level(logging.INFO, "fanogan_pipeline"):
        assert not len(ImageFolderDataset(filepath=str(tmp_path)).load().skipped)
    assert "ignored what is no picture: 4" in caplog.text


def test_groups_by_level_and_pattern(tmp_path):
    put(tmp_path, "p1/a_lot7.png", "p1/b_lot8.png", "p2/c_lot7.png")
    by_level = ImageFolderDataset(filepath=str(tmp_path), layout="flat", group_by={"level": 1}).load()
    assert by_level.table["group"].tolist() == ["p1", "p1", "p2"]
    by_pattern = ImageFolderDataset(filepath=str(tmp_path), layout="flat", group_by={"pattern": r"_(lot\d)\."}).load()
    assert by_pattern.table["group"].tolist() == ["lot7", "lot8", "lot7"]


@pytest.mark.parametrize("group_by", [{"level": 2}, {"pattern": "(lot)"}, {"pattern": "(lot)?"}])
def test_a_path_without_its_group_is_named(tmp_path, group_by):
    dataset = ImageFolderDataset(filepath=str(put(tmp_path, "p/a.png")), group_by=group_by)
    assert "p/a.png: found no group in this path by group_by" in message_of(dataset)


def test_no_password_of_an_address_is_shown():
    assert "secret" not in str(ImageFolderDataset(filepath="memory://me:secret@host/pictures"))


def test_reading_from_many_threads_gives_each_its_own_picture(tmp_path):
    put(tmp_path, *(f"{seed:02d}.png" for seed in range(60)), size=(20, 20))
    source = ImageFolderDataset(filepath=str(tmp_path)).load()
    with ThreadPoolExecutor(8) as executor:
        for seed, array in enumerate(executor.map(source.read, range(60))):
            np.testing.assert_array_equal(array, grey(20, 20, seed=seed))


def test_a_remote_folder_reads_like_a_local_one(tmp_path):
    filesystem = fsspec.filesystem("memory")
    defects_folder(tmp_path)
    put(tmp_path, ".hidden/x.png")
    filesystem.put(str(tmp_path) + "/", "/parts", recursive=True)
    try:
        remote = ImageFolderDataset(filepath="memory://parts").load()
        local = ImageFolderDataset(filepath=str(tmp_path)).load()
        assert remote.table.drop(columns="stamp").equals(local.table.drop(columns="stamp"))
        np.testing.assert_array_equal(remote.read_mask(0), local.read_mask(0))
    finally:
        filesystem.rm("/parts", recursive=True)


def test_a_password_in_the_address_opens_the_folder_and_is_shown_nowhere(tmp_path, caplog):
    filesystem, address = fsspec.filesystem("memory"), "memory://user:secret@host/parts"
    put(tmp_path, "a.png")
    filesystem.put(str(tmp_path) + "/", "/user:secret@host/parts", recursive=True)
    try:
        dataset = ImageFolderDataset(filepath=address)
        with caplog.at_level(logging.INFO):
            assert dataset.load().table["image_id"].tolist() == ["a.png"]
        assert "1 picture" in caplog.text
        assert "secret" not in caplog.text
    finally:
        filesystem.rm("/user:secret@host", recursive=True)


def test_a_file_that_a_store_lists_with_milliseconds_and_shows_without_is_the_same_file():
    when = datetime(2026, 11, 27, 4, 5, 43, 821000, tzinfo=UTC)
    listed, shown = (
        stamp_of(SimpleNamespace(info=lambda name, there=there: {"size": 73, "LastModified": there}), "a.png")
        for there in (when, when.replace(microsecond=0))
    )
    later = SimpleNamespace(info=lambda name: {"size": 73, "LastModified": when.replace(second=44)})
    assert listed == shown != stamp_of(later, "a.png")


def test_it_is_read_only(tmp_path):
    with pytest.raises(DatasetError, match="read-only"):
        ImageFolderDataset(filepath=str(tmp_path)).save(object())


def test_the_preview_is_a_picture_by_its_annotation(tmp_path):
    dataset = ImageFolderDataset(filepath=str(put(tmp_path, *(f"{i}.png" for i in range(5)))))
    (tmp_path / "broken.png").write_bytes(b"")
    assert Image.open(io.BytesIO(base64.b64decode(dataset.preview()))).format == "PNG"
    annotation = ImageFolderDataset.preview.__annotations__["return"]
    assert getattr(annotation, "__name__", annotation) == "ImagePreview"


def test_without_a_folder_there_is_no_dataset():
    with pytest.raises(InputError, match="found no filepath"):
        ImageFolderDataset()
