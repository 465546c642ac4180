"""Every way a picture, a folder or a parameter can be wrong, each with its message."""

import contextlib
import os
import re
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from picture_files import defects_folder, encoded, grey, message_of, put
from PIL import Image
from tests.damage import png_promising

from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.errors import InputError


def tiff_with_huge_tiles() -> bytes:
    tags = [
        (256, 4),
        (257, 4),
        (258, 8),
        (259, 8),
        (262, 1),
        (277, 1),
        (322, 60_000),
        (323, 60_000),
        (324, 8),
        (325, 1),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 4


BAD_PICTURES = {
    "empty": (b"", "found an empty file (0 bytes), expected a picture; remove or replace it"),
    "text": (
        b"not a picture",
        "found no picture or one whose header is damaged, expected PNG, JPEG, BMP, TIFF or WebP",
    ),
    "gif": (encoded("GIF"), "found no picture or one whose header is damaged, expected PNG, JPEG"),
    "header cut short": (encoded("PNG")[:20], "found a picture that is cut short or damaged ("),
    "bomb": (png_promising(100_000, 100_000), "found 100,000 x 100,000 pixels, expected at most 80,000,000 in all;"),
    "tiles of a bomb": (
        tiff_with_huge_tiles(),
        "found 4 x 4 pixels in tiles of 3,600,000,000, expected at most 80,000,000 in all",
    ),
    "png cut short": (encoded("PNG")[:-900], "found a picture that is cut short or damaged ("),
    "jpeg cut short": (encoded("JPEG")[:-900], "found a picture that is cut short or damaged (image file is truncated"),
    "bmp cut short": (encoded("BMP")[:-900], "found a picture that is cut short or damaged (image file is truncated"),
    "tiff cut short": (encoded("TIFF")[:-900], "found a picture that is cut short or damaged ("),
    "webp cut short": (encoded("WEBP")[:-900], "found a picture that is cut short or damaged ("),
    "png without its pixels": (png_promising(40, 40), "found a picture that is cut short or damaged ("),
    "not a number": (
        encoded("TIFF", np.array([[0, np.nan]], dtype=np.float32)),
        "found values that are not finite (NaN or infinity), expected numbers",
    ),
    "float out of range": (
        encoded("TIFF", np.array([[0, 255]], dtype=np.float32)),
        "found values from 0 to 255, expected 0 to 1; set float_maximum to the value that stands for white",
    ),
    "negative": (
        encoded("TIFF", np.array([[-5, 255]], dtype=np.int32)),
        "found values from -5 to 255, expected 0 to 65535; convert the file to values from 0 up",
    ),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_a_bad_picture_is_refused_by_name(tmp_path, case):
    data, expected = BAD_PICTURES[case]
    (put(tmp_path, "a.png") / "b.png").write_bytes(data)
    message = message_of(ImageFolderDataset(filepath=str(tmp_path), verify="full"))
    assert message.startswith(f"{tmp_path}/b.png: {expected}")
    assert message.endswith(" (on_error: skip leaves such files out)")


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_a_bad_picture_is_skipped_and_listed(tmp_path, caplog, case):
    data, expected = BAD_PICTURES[case]
    (put(tmp_path, "a.png", "c.png") / "b.png").write_bytes(data)
    dataset = ImageFolderDataset(filepath=str(tmp_path), verify="full", on_error="skip")
    source = dataset.load()
    assert source.table["image_id"].tolist() == ["a.png", "c.png"]
    np.testing.assert_array_equal(source.read(1), grey(seed=1))
    assert source.skipped["image_id"].tolist() == ["b.png"]
    assert source.skipped["reason"].iloc[0].startswith(expected)
    assert "skipped 1 file, such as b.png: found" in caplog.text
    dataset.load()  # as the next node does
    assert caplog.text.count("skipped 1 file") == 1


def test_what_only_decoding_shows_is_said_on_reading(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG")[:-900])
    source = ImageFolderDataset(filepath=str(tmp_path)).load()
    with pytest.raises(InputError, match=r"a\.jpg: found a picture that is cut short or damaged"):
        source.read(0)


def test_sixteen_bit_values_above_the_maximum_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 5000]], dtype=np.uint16)).save(tmp_path / "a.png")
    source = ImageFolderDataset(filepath=str(tmp_path), sixteen_bit_maximum=4095).load()
    with pytest.raises(InputError, match=r"a\.png: found values from 0 to 5000, expected 0 to 4095; set sixteen_bit"):
        source.read(0)


def test_the_limit_of_pixels_is_a_parameter(tmp_path):
    put(tmp_path, "a.png", size=(6, 9))
    assert len(ImageFolderDataset(filepath=str(tmp_path), max_pixels=54).load()) == 1
    message = message_of(ImageFolderDataset(filepath=str(tmp_path), max_pixels=53))
    assert "a.png: found 9 x 6 pixels, expected at most 53 in all; shrink the picture or raise max_pixels" in message


def add_mask_of_nothing(folder: Path) -> None:
    put(folder, "ground_truth/cut/9_mask.png")


def add_mask_of_another_ending(folder: Path) -> None:
    put(folder, "ground_truth/cut/1_gt.png")


def add_mask_of_another_size(folder: Path) -> None:
    put(folder, "ground_truth/cut/1_mask.png", size=(9, 6))


def add_second_mask(folder: Path) -> None:
    put(folder, "ground_truth/cut/0.png")


def add_second_mask_of_another_format(folder: Path) -> None:
    put(folder, "ground_truth/cut/0_mask.bmp")


def add_picture_of_the_same_name(folder: Path) -> None:
    put(folder, "test/cut/0.webp")


def add_stray_picture(folder: Path) -> None:
    put(folder, "train/bad/0.png")


def add_good_by_another_case(folder: Path) -> None:
    put(folder, "test/Good/0.png")


def break_mask(folder: Path) -> None:
    (folder / "ground_truth/cut/0_mask.png").write_bytes(b"")


BAD_LAYOUTS = {
    add_mask_of_nothing: "ground_truth/cut/9_mask.png: found a mask without its picture, expected test/cut/9.*",
    add_mask_of_another_ending: "1_gt.png: found a mask whose name is no picture's, expected 1_mask.* or 1.*; rename",
    add_mask_of_another_size: r"test/cut/1.png: found a mask of 9 x 6 (",
    add_second_mask: "ground_truth/cut/0.png: found beside ground_truth/cut/0_mask.png, expected one mask",
    add_second_mask_of_another_format: "ground_truth/cut/0_mask.png: found beside ground_truth/cut/0_mask.bmp,",
    add_picture_of_the_same_name: "test/cut/0.webp: found the same mask ground_truth/cut/0_mask.png as test/cut/0.png",
    add_stray_picture: "train/bad/0.png: expected only train/good, test/<label> and ground_truth/<label>",
    add_good_by_another_case: "test/Good/0.png: expected test/good; rename the folder",
    break_mask: "ground_truth/cut/0_mask.png: found an empty file (0 bytes)",
}


@pytest.mark.parametrize("spoil", BAD_LAYOUTS, ids=lambda spoil: spoil.__name__)
def test_what_does_not_fit_the_layout_is_refused_or_skipped(tmp_path, spoil):
    spoil(defects_folder(tmp_path))
    assert BAD_LAYOUTS[spoil] in message_of(ImageFolderDataset(filepath=str(tmp_path)))
    source = ImageFolderDataset(filepath=str(tmp_path), on_error="skip").load()
    assert len(source.skipped) == 1
    assert len(source) in (5, 6)
    assert set(source.skipped["image_id"]).isdisjoint(source.table["image_id"])


@pytest.mark.parametrize("target", ["file", "folder", "nowhere"])
def test_links_that_lead_outside_are_refused_or_skipped(tmp_path, target):
    inside, outside = put(tmp_path / "in", "a.png"), put(tmp_path / "out", "secret.png")
    if target == "folder":
        (inside / "link").symlink_to(outside)
    else:
        (inside / "link.png").symlink_to(outside / "secret.png" if target == "file" else inside / "gone.png")
    expected = "leads nowhere" if target == "nowhere" else "leads outside of the folder"
    message = message_of(ImageFolderDataset(filepath=str(inside)))
    assert re.search(rf"in/link(\.png)?: found a symbolic link that {expected}", message)
    source = ImageFolderDataset(filepath=str(inside), on_error="skip").load()
    assert source.table["image_id"].tolist() == ["a.png"]
    assert len(source.skipped) == 1


def test_links_within_the_folder_and_to_the_folder_are_harmless(tmp_path):
    folder = put(tmp_path / "in", "x/a.png")
    (folder / "loop").symlink_to(folder)
    (folder / "x" / "b.png").symlink_to(folder / "x" / "a.png")
    (tmp_path / "alias").symlink_to(folder)
    source = ImageFolderDataset(filepath=str(tmp_path / "alias")).load()
    assert source.table["image_id"].tolist() == ["x/a.png", "x/b.png"]


@pytest.mark.parametrize("name", [b"a\nb.png", b"caf\xe9.png"])
def test_names_that_no_table_can_hold_are_refused(tmp_path, name):
    put(tmp_path, "a.png")
    shutil.copy(tmp_path / "a.png", os.path.join(os.fsencode(tmp_path), name))
    assert "found a name with control characters or not in UTF-8" in message_of(
        ImageFolderDataset(filepath=str(tmp_path))
    )
    assert len(ImageFolderDataset(filepath=str(tmp_path), on_error="skip").load().skipped) == 1


@pytest.mark.parametrize("name", [b"a\nb", b"caf\xe9"])
@pytest.mark.parametrize("kind", ["to nowhere", "to the outside", "to a folder outside"])
def test_links_of_such_names_stop_nothing_but_themselves(tmp_path, name, kind):
    outside = {"to nowhere": "gone.png", "to the outside": "../b.png", "to a folder outside": "../out"}
    put(tmp_path, "in/a.png", "b.png", "out/c.png")
    link = os.path.join(os.fsencode(tmp_path / "in"), name + (b"" if kind == "to a folder outside" else b".png"))
    os.symlink(outside[kind], link)
    shown = ascii(os.fsdecode(os.path.basename(link)))[1:-1]
    dataset = ImageFolderDataset(filepath=str(tmp_path / "in"))
    assert message_of(dataset).startswith(f"{tmp_path}/in/{shown}: found a symbolic link that leads ")
    skipped = ImageFolderDataset(filepath=str(tmp_path / "in"), on_error="skip").load().skipped
    assert skipped["image_id"].tolist() == [shown]


@contextlib.contextmanager
def without_privileges():
    """As a user who may not read everything, where the tests run as one who may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder below others that everyone may enter."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_a_file_that_may_not_be_read_is_named(open_folder):
    (put(open_folder, "a.png", "b.png") / "b.png").chmod(0)
    with without_privileges():
        message = message_of(ImageFolderDataset(filepath=str(open_folder)))
        skipped = ImageFolderDataset(filepath=str(open_folder), on_error="skip").load().skipped
    assert "b.png: cannot be read (Permission denied); check its place and permissions" in message
    assert skipped["image_id"].tolist() == ["b.png"]


@pytest.mark.parametrize("verify", ["header", "full"])
def test_a_file_that_goes_while_the_folder_is_checked_costs_itself_alone(tmp_path, verify, monkeypatch):
    put(tmp_path, "a.png", "b.png", "c.png")
    opened = LocalFileSystem.open

    def open_and_remove(self: LocalFileSystem, path: str, *arguments: Any, **more: Any) -> Any:
        file = opened(self, path, *arguments, **more)
        if path.endswith("b.png"):
            Path(path).unlink()
        return file

    monkeypatch.setattr(LocalFileSystem, "open", open_and_remove)
    source = ImageFolderDataset(filepath=str(tmp_path), on_error="skip", verify=verify).load()
    assert source.table["image_id"].tolist() == ["a.png", "c.png"]
    gone = "cannot be read (No such file or directory); check its place and permissions"
    assert source.skipped.to_dict("records") == [{"image_id": "b.png", "reason": gone}]
    put(tmp_path, "b.png")
    message = message_of(ImageFolderDataset(filepath=str(tmp_path), verify=verify))
    assert message == f"{tmp_path}/b.png: {gone} (on_error: skip leaves such files out)"


@pytest.mark.parametrize(("name", "shown"), [("sub", "sub"), ("s\nb", r"s\nb"), ("s\udcfcb", r"s\udcfcb")])
def test_a_subfolder_that_may_not_be_read_is_named(open_folder, name, shown):
    (put(open_folder, "a.png", f"{name}/b.png") / name).chmod(0)
    with without_privileges():
        message = message_of(ImageFolderDataset(filepath=str(open_folder)))
        skipped = ImageFolderDataset(filepath=str(open_folder), on_error="skip").load().skipped
    (open_folder / name).chmod(0o755)
    assert f"{shown}: the folder cannot be read (Permission denied)" in message
    assert skipped["image_id"].tolist() == [shown]


def test_an_empty_missing_or_wrong_folder_is_named(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    assert "found no picture (what else lies there: 1), expected PNG" in message_of(
        ImageFolderDataset(filepath=str(tmp_path))
    )
    missing = ImageFolderDataset(filepath=str(tmp_path / "gone"))
    assert not missing.exists()
    assert "gone: found nothing, expected a folder of pictures" in message_of(missing)
    assert "readme.txt: found a file, expected" in message_of(ImageFolderDataset(filepath=str(tmp_path / "readme.txt")))


def test_a_folder_without_one_good_picture_is_refused_even_when_skipping(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    message = message_of(ImageFolderDataset(filepath=str(tmp_path), on_error="skip"))
    assert "found no picture that can be used, 1 file skipped, such as a.png: found an empty file" in message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"layout": "nested"}, "layout is 'nested', expected one of auto, flat, defects, classes"),
        ({"on_error": "ignore"}, "on_error is 'ignore', expected one of refuse, skip"),
        ({"verify": "none"}, "verify is 'none', expected one of header, full"),
        ({"animated": True}, "animated is True, expected one of refuse, first_frame"),
        ({"background": 256}, "background is 256, expected a whole number from 0 to 255"),
        ({"background": True}, "background is True, expected a whole number"),
        ({"sixteen_bit_maximum": 0}, "sixteen_bit_maximum is 0, expected a whole number from 1 to 2,147,483,647"),
        ({"float_maximum": float("nan")}, "float_maximum is nan, expected a number"),
        ({"max_pixels": "many"}, "max_pixels is 'many', expected a whole number"),
        ({"workers": 0}, "workers is 0, expected a whole number from 1 to 256"),
        ({"group_by": {"lot": 1}}, "group_by: found {'lot': 1}, expected {level: 1} or {pattern:"),
        ({"group_by": {"level": 0}}, "group_by: found level 0, expected a whole number of at least 1"),
        ({"group_by": {"pattern": "("}}, "group_by: found pattern '(' ("),
        ({"group_by": {"pattern": "x"}}, "group_by: found 0 groups in pattern 'x', expected one pair of brackets"),
    ],
)
def test_senseless_parameters_are_refused(arguments, expected):
    with pytest.raises(InputError, match=re.escape(expected)):
        ImageFolderDataset(filepath="somewhere", **arguments)
