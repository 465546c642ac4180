"""Pictures on their way into the sets."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.parts import group

from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.example.picture_set import write_example
from fanogan_pipeline.images import ImageSource
from fanogan_pipeline.preprocessing import ground_truth, prepare
from fanogan_pipeline.preprocessing.geometry import Geometry
from fanogan_pipeline.preprocessing.levelling import Levelling
from fanogan_pipeline.preprocessing.seen import UNREAD
from fanogan_pipeline.preprocessing.tiling import Tiling, stitch

TILED = Geometry((16, 16), 1, tiling=Tiling((12, 12)))


@pytest.fixture
def source():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (16 + 7 * k, 40), np.uint8) for k in range(4)]
    table = pd.DataFrame({"image_id": [f"{k}.png" for k in range(4)], "has_mask": [False, True, False, False]})
    table = table.assign(label="good", part="", group="")
    return ImageSource(table, lambda row: pictures[row], lambda row: pictures[row] > 128)


def test_tiles_stand_in_the_order_asked_for_and_make_up_their_pictures(source):
    rows = np.array([2, 0, 3])
    images, tiles, *_ = prepare.prepare_readable(source, rows, TILED, workers=3)
    runs = tiles.runs()
    assert [tiles.picture_id[run.start] for run in runs] == ["2.png", "0.png", "3.png"]
    assert len(set(tiles.image_id)) == len(images)
    for run, row in zip(runs, rows, strict=True):
        size = (int(tiles.height[run.start]), int(tiles.width[run.start]))
        whole = stitch(images[run, 0], tiles.corners[run], size)
        assert whole == pytest.approx(source.read(row), abs=0.01)


@pytest.mark.parametrize(
    ("channels", "told"), [(1, ["data_prep.channels: 1, so 2 pictures with colour are seen in grey"]), (3, [])]
)
def test_colour_that_is_made_grey_is_told_of(channels, told, caplog):
    grey, red = np.full((20, 24, 3), 120, np.uint8), np.zeros((20, 24, 3), np.uint8)
    red[4:9, 4:9] = (200, 10, 10)
    nearly = grey + np.array([0, 6, 12], np.uint8)  # as a camera's or JPEG's grey is
    pictures = [grey, red, nearly, grey[..., 0], red]
    table = pd.DataFrame({"image_id": list("abcde"), "label": "good", "part": "", "group": "", "has_mask": False})
    source = ImageSource(table, pictures.__getitem__)
    with caplog.at_level("INFO"):
        prepare.prepare_split(source, np.arange(5), Geometry((16, 16), channels), 2, np.zeros(5, int), 0)
    assert [message.split(";")[0] for message in caplog.messages] == told


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (np.zeros((20, 24)), r"float64 \[20, 24\]"),
        (np.zeros((20, 24), bool), r"bool \[20, 24\]"),
        (np.zeros((20, 24), np.uint16), r"uint16 \[20, 24\]"),
        (np.zeros((20, 24, 1), np.uint8), r"uint8 \[20, 24, 1\]"),
    ],
)
def test_a_source_of_other_than_grey_levels_is_refused(picture, found):
    table = pd.DataFrame({"image_id": ["a"], "label": "good", "part": "", "group": "", "has_mask": False})
    rows, source = np.arange(1), ImageSource(table, lambda row: picture)
    with pytest.raises(InputError, match=f"a: the source gave {found}, expected uint8"):
        prepare.prepare_split(source, rows, Geometry((16, 16), 1), 1, np.zeros(1, int), 0)
    with pytest.raises(InputError, match=f"a: the source gave {found}, expected uint8"):
        prepare.fit_geometry(source, rows, group("data_prep", local_contrast=8.0), 0)


def test_without_tiling_there_is_an_image_a_picture(source):
    images, tiles, *_ = prepare.prepare_readable(source, np.array([1, 3]), Geometry((20, 24), 3), workers=1)
    assert tiles is None
    assert images.shape == (2, 3, 20, 24)
    assert (images[1] == Geometry((20, 24), 3).apply(source.read(3))).all()


@pytest.mark.parametrize("geometry", [TILED, Geometry((20, 24), 1)], ids=["tiled", "whole"])
def test_what_cannot_be_read_is_left_out_with_its_reason_or_refused(source, geometry):
    def read(row):
        if row in (1, 2):
            raise InputError(f"{row}.png: cut short")
        return source.read(row)

    damaged, rows = replace(source, read=read), np.array([0, 1, 2, 3])
    images, tiles, reasons, brightest = prepare.prepare_readable(damaged, rows, geometry, workers=2)
    expected, expected_tiles, *_ = prepare.prepare_readable(source, np.array([0, 3]), geometry, workers=2)
    assert reasons == ["", "1.png: cut short", "2.png: cut short", ""]
    assert brightest.tolist() == [source.read(0).max(), UNREAD, UNREAD, source.read(3).max()]
    assert (images == expected).all()
    if tiles is not None:
        assert (tiles.image_id == expected_tiles.image_id).all()
    with pytest.raises(InputError, match=r"1\.png: cut short"):
        prepare.prepare_split(damaged, rows, geometry, 2, np.zeros(4, int), 0)
    nothing, *_ = prepare.prepare_readable(damaged, np.array([1, 2]), geometry, workers=2)
    assert nothing.shape == (0, 1, *geometry.image_size)


def test_masks_lie_where_their_tiles_do(source):
    rows = np.array([0, 1])
    images, tiles, *_ = prepare.prepare_readable(source, rows, TILED, workers=1)
    masks = ground_truth.read_masks(source, rows, TILED, tiles, rows == 1)
    first, second = tiles.runs()
    assert not masks[first].any()
    assert (masks[second] == (images[second, 0] > 128)).all()
    assert ground_truth.read_masks(source, np.array([0, 2]), TILED, tiles, rows == 1) is None


def test_masks_of_anomalous_pictures_that_are_black_throughout_are_told(tmp_path, caplog):
    for name, label in (("0", "good"), ("1", "bad"), ("2", "bad"), ("3", "bad")):
        (tmp_path / "test" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "ground_truth" / label).mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 30), 90).save(tmp_path / "test" / label / f"{name}.png")
        level = {"0": 0, "1": 255}.get(name, 100)  # 100 is defect in a PNG, and not in a JPEG
        ending = "jpg" if name == "2" else "png"
        Image.new("L", (40, 30), level).save(tmp_path / "ground_truth" / label / f"{name}.{ending}")
    source = ImageFolderDataset(filepath=str(tmp_path)).load()
    geometry, rows, is_anomaly = Geometry((20, 24), 1), np.arange(4), (source.table["label"] == "bad").to_numpy()
    ground_truth.read_masks(source, rows, geometry, None, is_anomaly)
    assert "black masks of anomalous pictures: 1 of 3, such as that of test/bad/2.png" in caplog.text


def test_of_some_pictures_a_few_tiles_are_kept_at_random_and_the_sums_are_of_all(source):
    rows, most = np.array([3, 0, 2]), np.array([2, 0, 2])
    images, tiles, sums, sizes = prepare.prepare_split(source, rows, TILED, 2, most, 0)
    whole, all_tiles, *_ = prepare.prepare_readable(source, rows, TILED, 1)
    assert [run.stop - run.start for run in tiles.runs()] == [
        2,
        all_tiles.runs()[1].stop - all_tiles.runs()[1].start,
        2,
    ]
    assert sums == [prepare.picture_sum(whole[run]) for run in all_tiles.runs()]
    assert sizes.tolist() == [list(source.read(row).shape) for row in rows]
    places = {name: row for row, name in enumerate(all_tiles.image_id)}
    assert all((whole[places[name]] == image).all() for name, image in zip(tiles.image_id, images, strict=True))
    assert [places[name] for name in tiles.image_id] == sorted(places[name] for name in tiles.image_id)
    again, *_ = prepare.prepare_split(source, rows[::-1], TILED, 1, most[::-1], 0)
    assert (again[-2:] == images[:2]).all()
    other = [prepare.prepare_split(source, rows, TILED, 1, most, seed)[1].image_id.tolist() for seed in range(8)]
    assert len(set(map(tuple, other))) > 1


@pytest.mark.parametrize("contrast", [None, 8.0])
@pytest.mark.parametrize(("maximum", "is_told"), [(65535, True), (4095, False)])
@pytest.mark.parametrize("others", [[], ["L", "RGBA"]])
def test_pictures_of_twelve_bits_that_are_read_as_sixteen_earn_a_warning(
    tmp_path, caplog, maximum, is_told, contrast, others
):
    for mode in others:  # white ones, of which nothing is to be learnt about those of sixteen bits
        Image.new(mode, (24, 20), "white").save(tmp_path / f"0 {mode}.png")
    for row in range(3):
        levels = np.random.default_rng(row).integers(0, 4096, (20, 24)).astype(np.uint16)
        Image.fromarray(levels).save(tmp_path / f"{row}.png")
    source = ImageFolderDataset(filepath=str(tmp_path), sixteen_bit_maximum=maximum).load()
    parameters, rows = group("data_prep", image_size=[20, 24], local_contrast=contrast), np.arange(len(source))
    geometry = prepare.fit_geometry(source, rows, parameters, 0)
    prepare.prepare_split(source, rows, geometry, 2, np.zeros(len(rows), int), 0)
    said = "no picture of raw_images is brighter than 16 of 255 with sixteen_bit_maximum: 65535; if another value"
    assert (said in caplog.text) == is_told


@pytest.mark.parametrize("tiling", [None, Tiling((12, 12))])
@pytest.mark.parametrize("contrast", [None, Levelling(8.0, 60.0)])
def test_pictures_to_learn_from_that_show_nothing_once_light_is_levelled_are_named(source, caplog, tiling, contrast):
    def read(row):
        return np.full((20, 24), 255, np.uint8) if row in (1, 3) else source.read(row)

    geometry, rows = Geometry((16, 16), 1, local_contrast=contrast, tiling=tiling), np.array([3, 0, 1])
    prepare.prepare_split(replace(source, read=read), rows, geometry, 2, np.zeros(3, int), 0)
    said = "found one brightness throughout, which shows nothing, in 2 pictures of raw_images (1.png, 3.png)"
    assert (said in caplog.text) == (contrast is not None)


@pytest.mark.parametrize(
    ("shape", "seen", "hint"),
    [
        ((600, 400), "128 x 85 pixels, of 600 x 400, which", True),
        ((10, 1500), "1 x 128 pixels, of 10 x 1,500, which", True),
        ((130, 128), "128 x 126 pixels, which", False),
    ],
)
def test_a_picture_that_is_blank_at_the_size_of_the_detector_is_told_that_size(source, shape, seen, hint):
    even = np.full(shape, 100, np.uint8)
    even[::2] += 10  # a texture that averages out
    geometry = Geometry((32, 32), 1, local_contrast=Levelling(8.0, 60.0), tiling=Tiling((16, 16), picture_size=128))
    *_, reasons, _ = prepare.prepare_readable(replace(source, read=lambda row: even), np.arange(1), geometry, 1)
    assert reasons[0].startswith(f"0.png: found one brightness throughout at the detector's size of {seen} shows")
    assert ("averages out at that size" in reasons[0]) == hint


@pytest.mark.parametrize(("surface", "env"), [("cloth", "example"), ("metal", "metal")])
def test_the_smoothest_of_the_made_pictures_still_show_something(tmp_path, surface, env):
    write_example(tmp_path, surface, 24, 1, 2, (96, 240), 0)
    source = ImageFolderDataset(filepath=str(tmp_path)).load()
    rows, train = np.arange(len(source)), np.flatnonzero(source.table["part"] == "train")
    geometry = prepare.fit_geometry(source, train, group("data_prep", env), 0)
    _, tiles, reasons, _ = prepare.prepare_readable(source, rows, geometry, 1)
    assert set(reasons) == {""}
    assert len(tiles.runs()) == len(source)


def test_dark_pictures_whose_files_say_what_white_is_earn_none(source, caplog):
    black = replace(source, read=lambda row: np.zeros((20, 24), np.uint8))
    prepare.prepare_split(black, np.arange(4), Geometry((20, 24), 1, decoding=source.decoding), 1, np.zeros(4, int), 0)
    assert not caplog.records


def test_memory_grows_with_the_tiles_that_are_kept():
    table = pd.DataFrame({"image_id": [f"{k}" for k in range(40)]})
    source = ImageSource(table, lambda row: np.random.default_rng(row).integers(0, 256, (128, 128), np.uint8))
    dense = Geometry((32, 32), 1, tiling=Tiling((8, 8)))
    one_picture = 13 * 13 * 32 * 32  # bytes of all its tiles

    def peak(most: int) -> int:
        tracemalloc.start()
        try:
            prepare.prepare_split(source, np.arange(40), dense, 1, np.full(40, most), 0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(4) < 10 * one_picture
    assert peak(0) > 40 * one_picture


def test_each_picture_has_tiles_of_its_own_draw(source):
    alike = replace(source, read=lambda row: source.read(3))
    _, tiles, *_ = prepare.prepare_split(alike, np.arange(4), TILED, 1, np.full(4, 3), 0)
    assert len({tiles.corners[run].tobytes() for run in tiles.runs()}) == 4
