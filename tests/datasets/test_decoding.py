"""Every format becomes the array it should, and damaged bytes an error with words."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import defects_folder, encoded, grey, message_of, put, read_one
from PIL import Image, ImageOps, PngImagePlugin

from fanogan_pipeline.datasets.decoding import DecodingSettings, decode, decode_mask, picture_header
from fanogan_pipeline.datasets.image_folder import ImageFolderDataset
from fanogan_pipeline.errors import InputError


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "webp"])
def test_lossless_colour_survives(tmp_path, extension):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a.{extension}", lossless=True)
    np.testing.assert_array_equal(read_one(tmp_path), pixels)


def test_sixteen_bits_scale_by_a_fixed_maximum(tmp_path):
    Image.fromarray(np.array([[0, 257, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path), [[0, 1, 128, 255]])
    Image.fromarray(np.array([[0, 2048, 4095, 4095]], dtype=np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path, sixteen_bit_maximum=4095), [[0, 128, 255, 255]])
    np.testing.assert_array_equal(read_one(tmp_path), [[0, 8, 16, 16]])


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def deep(kind: str) -> bytes:
    """A picture of 4 x 5 (height x width) whose every channel has 16 bits and is 4095 throughout."""
    if kind == "TIFF":
        tags = {256: 5, 257: 4, 258: 8, 259: 1, 262: 2, 273: 14, 277: 3, 278: 4, 279: 120}
        entries = [struct.pack("<HHII", tag, *((3, 3) if tag == 258 else (4, 1)), at) for tag, at in tags.items()]
        parts = [b"II*\0", struct.pack("<IHHH", 134, 16, 16, 16), b"\xff\x0f" * 60, struct.pack("<H", len(entries))]
        return b"".join([*parts, *entries, b"\0" * 4])
    colour, channels = {"L": (0, 1), "RGB": (2, 3), "LA": (4, 2), "RGBA": (6, 4)}[kind]
    lines = (b"\0" + b"\x0f\xff" * 5 * channels) * 4
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("kind", ["LA", "RGB", "RGBA", "TIFF"])
def test_colour_of_sixteen_bits_is_refused_where_another_white_is_set(tmp_path, kind):
    (tmp_path / "a.png").write_bytes(deep(kind))
    assert (read_one(tmp_path, background=15) == 15).all()  # the upper eight bits
    (tmp_path / "b.png").write_bytes(deep("L"))
    for verify in ("header", "full"):
        twelve = {"verify": verify, "sixteen_bit_maximum": 4095}
        said = "a.png: found colour or transparency of 16 bits, which no sixteen_bit_maximum but 65535 is for, expected"
        assert said in message_of(ImageFolderDataset(filepath=str(tmp_path), **twelve))
        source = ImageFolderDataset(filepath=str(tmp_path), on_error="skip", **twelve).load()
        assert source.table["image_id"].tolist() == ["b.png"]
        assert (source.read(0) == 255).all()


def test_a_mask_may_be_of_any_depth_whatever_white_its_picture_has(tmp_path):
    for place in ("train/good/a.png", "test/dent/b.png", "ground_truth/dent/b.png"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(deep("RGB" if "truth" in place else "L"))
    for verify in ("header", "full"):
        source = ImageFolderDataset(filepath=str(tmp_path), sixteen_bit_maximum=4095, verify=verify).load()
        (row,) = np.flatnonzero(source.table["has_mask"])
        assert source.read_mask(int(row)).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_wide_tiffs_scale_too(tmp_path, dtype):
    Image.fromarray(np.array([[0, 65535]], dtype=dtype)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_one(tmp_path), [[0, 255]])


def test_the_white_that_a_refusal_asks_for_can_be_set(tmp_path):
    Image.fromarray(np.array([[0, 2**31 - 1]], dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(
        InputError, match=r"found values from 0 to 2147483647, expected 0 to 65535; set sixteen_bit_max"
    ):
        read_one(tmp_path)
    np.testing.assert_array_equal(read_one(tmp_path, sixteen_bit_maximum=2147483647), [[0, 255]])


def test_floats_scale_by_a_fixed_maximum(tmp_path):
    Image.fromarray(np.array([[0, 0.5, 1]], dtype=np.float32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_one(tmp_path), [[0, 128, 255]])
    np.testing.assert_array_equal(read_one(tmp_path, float_maximum=2), [[0, 64, 128]])


def test_one_bit_becomes_black_and_white(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path), [[255, 0]])


@pytest.mark.parametrize(("background", "expected"), [(0, [10, 5, 0]), (255, [10, 132, 255])])
def test_transparency_lies_on_the_background(tmp_path, background, expected):
    pixels = np.array([[[10, 10, 10, 255], [10, 10, 10, 128], [10, 10, 10, 0]]], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_one(tmp_path, background=background), np.repeat([expected], 3, 0).T[None], atol=1)
    Image.fromarray(pixels[..., 2:]).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "LA"
    np.testing.assert_allclose(read_one(tmp_path, background=background), [expected], atol=1)


def test_palettes_become_colour_with_their_transparency(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path), [[[255, 0, 0], [0, 0, 255]]])
    image.save(tmp_path / "a.png", transparency=1)
    np.testing.assert_array_equal(read_one(tmp_path, background=9), [[[255, 0, 0], [9, 9, 9]]])


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path, extension):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / f"a.{extension}")
    np.testing.assert_allclose(read_one(tmp_path)[4, 4], [255, 0, 0], atol=3)


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
def test_exif_rotation_is_applied(tmp_path, extension):
    pixels = np.zeros((16, 32), dtype=np.uint8)
    pixels[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).convert("RGB").save(tmp_path / f"a.{extension}", exif=exif)
    array = read_one(tmp_path)
    assert array.shape == (32, 16, 3)
    assert array[:14].min() > 200
    assert array[18:].max() < 50
    path = tmp_path / f"a.{extension}"
    assert picture_header(lambda: path.open("rb"), "a", DecodingSettings()).size == (32, 16)


FORMS = {
    "grey": ("png", grey()),
    "colour": ("webp", np.repeat(grey()[..., None], 3, axis=2)),
    "16 bits": ("png", grey().astype(np.uint16)),
    "32 bits": ("tif", grey().astype(np.int32)),
    "floats": ("tif", grey() / np.float32(255)),
    "transparent grey": ("png", np.stack([grey(), 255 - grey()], axis=2)),
    "transparent colour": ("webp", np.repeat(grey()[..., None], 4, axis=2)),
    "transparent palette": ("png", Image.fromarray(grey() // 128).convert("P")),
}
SETTINGS = {"sixteen_bit_maximum": 4095, "float_maximum": 2.0, "background": 90}


@pytest.mark.parametrize("verify", ["header", "full"])
@pytest.mark.parametrize("form", FORMS)
def test_a_source_names_the_settings_that_its_grey_values_depend_on_and_no_others(form, verify, tmp_path):
    extension, pixels = FORMS[form]
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(tmp_path / f"a.{extension}", **({"transparency": 0} if image.mode == "P" else {"lossless": True}))
    usual = read_one(tmp_path)
    counts = {name for name, value in SETTINGS.items() if (read_one(tmp_path, **{name: value}) != usual).any()}
    found = ImageFolderDataset(filepath=str(tmp_path), verify=verify, **SETTINGS).load().decoding
    assert found == {name: SETTINGS[name] for name in counts}
    assert bool(found) == (form not in ("grey", "colour"))


def png_with(kind: bytes, data: bytes, before: bytes) -> bytes:
    """A PNG of 6 x 9 (height x width) with one chunk more, before the first of another kind."""
    whole = encoded("PNG", grey())
    place = whole.index(before) - 4
    return whole[:place] + chunk(kind, data) + whole[place:]


def turning(how: str) -> tuple[bytes, bytes]:
    """A PNG chunk, kind and data, that says the orientation of 6, which swaps the sides."""
    exif = Image.Exif()
    exif[0x0112] = 6
    if how == "EXIF":
        return b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")
    if how == "XMP":
        return b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<rdf:Description tiff:Orientation="6"/>'
    profile = f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n"
    return b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile.encode())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_as_pillow_turns_it(orientation):
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(grey()).save(stream, "PNG", exif=exif)
    with Image.open(stream) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(decode(lambda: io.BytesIO(stream.getvalue()), "x.png", DecodingSettings()), expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"junkjunkjunk", b"II*\0\x08\0\0\0\x05\0", b"MM\0*\0\0\xff\xff", b"x"])
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_an_orientation_that_cannot_be_read_is_none(exif, before):
    content = png_with(b"eXIf", exif, before)
    np.testing.assert_array_equal(decode(lambda: io.BytesIO(content), "x.png", DecodingSettings()), grey())
    assert picture_header(lambda: io.BytesIO(content), "x.png", DecodingSettings()).size == (6, 9)
    assert decode_mask(lambda: io.BytesIO(content), "x.png", DecodingSettings()).shape == (6, 9)


def test_an_orientation_counts_whatever_is_damaged_beside_it():
    kind, exif = turning("EXIF")
    whole = exif[:9] + b"\2" + exif[10:22] + struct.pack(">HHII", 0x011A, 2, 2, 0) + exif[22:]  # a text, not a number
    content = png_with(kind, whole, b"IDAT")
    upright = decode(lambda: io.BytesIO(content), "x.png", DecodingSettings())
    np.testing.assert_array_equal(upright, np.rot90(grey(), -1))


@pytest.mark.parametrize("how", ["EXIF", "XMP", "raw profile"])
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_a_png_is_turned_alike_in_size_and_pixels_wherever_its_orientation_stands(tmp_path, how, before):
    content = png_with(*turning(how), before)
    assert decode(lambda: io.BytesIO(content), "x.png", DecodingSettings()).shape == (9, 6)
    assert picture_header(lambda: io.BytesIO(content), "x.png", DecodingSettings()).size == (9, 6)
    defects_folder(tmp_path)
    (tmp_path / "test/cut/0.png").write_bytes(content)
    said = "test/cut/0.png: found a mask of 6 x 9"
    assert said in message_of(ImageFolderDataset(filepath=str(tmp_path)))
    (tmp_path / "ground_truth/cut/0_mask.png").write_bytes(content)
    source = ImageFolderDataset(filepath=str(tmp_path)).load()
    row = source.table["image_id"].tolist().index("test/cut/0.png")
    assert source.read_mask(row).shape == source.read(row).shape == (9, 6)


def test_the_size_of_a_png_costs_no_decoding(monkeypatch):
    def decoded(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decoded)
    dated = png_with(b"tEXt", b"date:create\x002026-01-01", b"IEND")
    assert picture_header(lambda: io.BytesIO(dated), "x.png", DecodingSettings()).size == (6, 9)
    turned = png_with(*turning("XMP"), b"IDAT")
    assert picture_header(lambda: io.BytesIO(turned), "x.png", DecodingSettings()).size == (9, 6)


def test_sizes_may_differ_and_names_may_lie_about_the_format(tmp_path):
    put(tmp_path, "a.png", size=(3, 4))
    put(tmp_path, "b.png", size=(50, 20))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    source = ImageFolderDataset(filepath=str(tmp_path)).load()
    assert [source.read(i).shape for i in range(2)] == [(3, 4), (50, 20)]


def test_a_photograph_with_a_second_picture_behind_is_one_picture(tmp_path):
    first, second = (Image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)) for value in (200, 20))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert read_one(tmp_path).mean() == pytest.approx(200, abs=2)


@pytest.mark.parametrize("extension", ["png", "webp", "tif"])
def test_moving_pictures_are_refused_or_give_their_first_frame(tmp_path, extension):
    first, second = (Image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)) for value in (200, 20))
    first.save(tmp_path / f"a.{extension}", save_all=True, append_images=[second])
    message = message_of(ImageFolderDataset(filepath=str(tmp_path)))
    assert f"a.{extension}: found an animated or multi-page file, expected a single picture; split it, or" in message
    assert read_one(tmp_path, animated="first_frame").mean() == pytest.approx(200, abs=2)


def test_masks_count_whatever_is_not_black(tmp_path):
    def mask_of(image: Image.Image, name: str) -> list:
        image.save(tmp_path / name, quality=90)
        return decode_mask(lambda: (tmp_path / name).open("rb"), name, DecodingSettings()).tolist()

    values = np.array([[0, 1, 255]], dtype=np.uint8)
    assert mask_of(Image.fromarray(values), "grey.png") == [[False, True, True]]
    assert mask_of(Image.fromarray(values.astype(np.uint16)), "wide.png") == [[False, True, True]]
    assert mask_of(Image.fromarray(values > 0), "bit.png") == [[False, True, True]]
    palette = Image.fromarray(values).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 200] + [9] * 762)
    assert mask_of(palette, "palette.png") == [[False, True, True]]
    blocks = np.kron(np.array([[0, 255]], dtype=np.uint8), np.ones((8, 8), dtype=np.uint8))
    assert mask_of(Image.fromarray(blocks), "lossy.jpg") == (blocks > 0).tolist()


def test_want_of_memory_is_no_damage_to_the_picture():
    class Costly(io.BytesIO):
        def seek(self, *place: int) -> int:
            raise MemoryError

    with pytest.raises(InputError, match=r"^x\.png: cannot be read \(out of memory\)"):
        decode(lambda: Costly(encoded("PNG")), "x.png", DecodingSettings())


WHOLE = {extension: encoded(extension) for extension in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")}


@st.composite
def damaged_pictures(draw) -> bytes:
    whole = bytearray(WHOLE[draw(st.sampled_from(sorted(WHOLE)))])
    if draw(st.booleans()):
        return bytes(whole[: draw(st.integers(0, len(whole)))])
    for _ in range(draw(st.integers(1, 8))):
        # most flips go where the structure is
        limit = draw(st.sampled_from([40, 200, len(whole)]))
        whole[draw(st.integers(0, limit - 1))] ^= draw(st.integers(1, 255))
    return bytes(whole)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(content=st.one_of(st.binary(max_size=100), damaged_pictures()))
@settings(max_examples=400, deadline=None)
def test_damaged_bytes_give_an_input_error_or_a_picture(content):
    limits = DecodingSettings(max_pixels=1_000_000)
    array, size, message = None, None, ""
    try:
        size = picture_header(lambda: io.BytesIO(content), "x.png", limits).size
        array = decode(lambda: io.BytesIO(content), "x.png", limits)
    except InputError as error:
        message = str(error)
    if array is None:
        assert message.startswith("x.png: ")
        assert "\n" not in message
    else:
        assert array.dtype == np.uint8
        assert array.shape[:2] == size
        assert array.shape[2:] in ((), (3,))
