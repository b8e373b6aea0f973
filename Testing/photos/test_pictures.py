"""Single picture files."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from picture_maker import as_grey, chest_hu
from PIL import Image

from CovidCTLib.errors import InputError
from CovidCTLib.photos.pictures import MAX_PICTURE_PIXELS, natural_key, read_picture

GREY = as_grey(chest_hu(96))


def test_names_sort_by_their_numbers():
    names = ["slice10.png", "Slice2.png", "slice1.png", "a.png", "slice2b.png", "10.png", "9.png"]
    expected = ["9.png", "10.png", "a.png", "slice1.png", "Slice2.png", "slice2b.png", "slice10.png"]
    assert sorted(names, key=natural_key) == expected


def test_names_of_any_characters_can_be_sorted():
    names = ["²", "x\ny", "", "9" * 5000, "١٢", "\udcff", "A1", "a1"]
    assert sorted(sorted(names, key=natural_key, reverse=True), key=natural_key) == sorted(names, key=natural_key)


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp"])
def test_lossless_formats_give_the_pixels_as_they_are(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(GREY).save(tmp_path / f"a.{ending}", **options)
    picture = read_picture(tmp_path / f"a.{ending}")
    assert picture.grey.dtype == np.float32
    assert np.abs(picture.grey - GREY).max() < 0.01
    assert (picture.bits, picture.notes) == (8, ())


def test_a_jpeg_is_read_whatever_its_name(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.dat", "JPEG", quality=95)
    assert np.abs(read_picture(tmp_path / "a.dat").grey - GREY).mean() < 3


def test_16_bits_keep_their_steps(tmp_path):
    deep = np.arange(96 * 96, dtype=np.uint16).reshape(96, 96) * 7
    Image.fromarray(deep).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.bits == 16
    assert np.allclose(picture.grey, deep * (255 / 65535), atol=1e-3)
    assert len(np.unique(picture.grey)) == 96 * 96


def test_colours_become_luminance_and_are_noted(tmp_path):
    colours = np.repeat(GREY[..., None], 3, axis=2)
    colours[10:20, 10:20] = (255, 0, 0)
    Image.fromarray(colours).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.grey[15, 15] == pytest.approx(0.299 * 255, abs=0.01)
    assert picture.grey[50, 50] == pytest.approx(GREY[50, 50], abs=0.01)
    assert picture.notes == ("1.1 % of its pixels are coloured (arrows, marks); their HU mean nothing",)


def test_grey_stored_as_colours_is_not_noted(tmp_path):
    Image.fromarray(np.repeat(GREY[..., None], 3, axis=2)).save(tmp_path / "a.jpg", quality=90)
    assert read_picture(tmp_path / "a.jpg").notes == ()


def test_palettes_and_transparency_are_resolved(tmp_path):
    Image.fromarray(GREY).convert("P").save(tmp_path / "p.png")
    assert np.abs(read_picture(tmp_path / "p.png").grey - GREY).max() < 0.01
    alpha = np.full((96, 96), 255, np.uint8)
    alpha[:48] = 0
    Image.fromarray(np.dstack([GREY, alpha]), "LA").save(tmp_path / "a.png")
    grey = read_picture(tmp_path / "a.png").grey
    assert grey[:48].max() == 0
    assert np.abs(grey[48:] - GREY[48:]).max() < 0.01


def test_a_picture_that_exif_turns_is_turned(tmp_path):
    image = Image.fromarray(GREY[:, :80])
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    picture = read_picture(tmp_path / "a.png")
    assert np.abs(picture.grey - np.rot90(GREY[:, :80], -1)).max() < 0.01
    assert picture.notes == ("turned as its EXIF says",)


def test_of_several_frames_the_first_is_read_and_said(tmp_path):
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    picture = read_picture(tmp_path / "a.tif")
    assert np.abs(picture.grey - GREY).max() < 0.01
    assert picture.notes == ("only the first of its 2 frames was read",)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="no picture in one of the formats JPEG, PNG, BMP, TIFF, WEBP"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "bmp"])
def test_a_truncated_picture_is_refused(tmp_path, ending):
    buffer = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper())
    Image.fromarray(GREY).save(buffer, kind)
    (tmp_path / f"a.{ending}").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(InputError, match=r"damaged or cut off|no picture in one of the formats"):
        read_picture(tmp_path / f"a.{ending}")


def bomb(width, height):
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 9000), (60000, 60000)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, size):
    (tmp_path / "a.png").write_bytes(bomb(*size))
    with pytest.raises(InputError, match=f"too large.*at most {MAX_PICTURE_PIXELS // 10**6} million pixels are read"):
        read_picture(tmp_path / "a.png")


def test_a_tiny_picture_is_refused(tmp_path):
    Image.fromarray(GREY[:40]).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"too small to show a chest \(96 x 40, at least 64 a side\)"):
        read_picture(tmp_path / "a.png")


def test_a_picture_of_one_value_is_refused(tmp_path):
    Image.fromarray(np.full((96, 96), 7, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="empty: all of its pixels have the same value"):
        read_picture(tmp_path / "a.png")


def test_floats_have_no_known_scale(tmp_path):
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="of a scale that is not known"):
        read_picture(tmp_path / "a.tif")


def test_damaged_bytes_never_give_another_error(tmp_path):
    random = np.random.default_rng(3)
    originals = []
    for kind in ("JPEG", "PNG", "TIFF", "BMP", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(GREY).save(buffer, kind)
        originals.append(np.frombuffer(buffer.getvalue(), np.uint8))
    refused = 0
    for trial in range(300):
        data = originals[trial % len(originals)].copy()
        where = random.integers(0, min(len(data), 400 if trial % 2 else len(data)), 6)
        data[where] = random.integers(0, 256, 6)
        (tmp_path / "a").write_bytes(data.tobytes())
        try:
            read_picture(tmp_path / "a")
        except InputError:
            refused += 1
    assert 0 < refused < 300
