"""What compressed pictures claim, checked before they are decoded."""

from __future__ import annotations

import struct

import numpy as np
import pydicom
import pytest
from dicom_maker import chest_like, compress_series, jpeg_lossless, write_series
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

from CovidCTLib.errors import InputError
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.codestreams import check_codestream, is_plain_lossless_jpeg

SHAPE = (32, 36)
JPEG_HEADER = b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 11, 12, *SHAPE, 1) + b"\1\x11\0"
JPEG_SCAN = b"\xff\xda" + struct.pack(">H", 8) + b"\1\1\0\1\0\0"


def jpeg_2000(columns, rows, channels=1, tiles=(36, 32)):
    return b"\xff\x4f\xff\x51" + struct.pack(">HH8IH", 41, 0, columns, rows, 0, 0, *tiles, 0, 0, channels)


@pytest.mark.parametrize(
    "stream", [JPEG_HEADER + JPEG_SCAN, jpeg_2000(36, 32), b"\0\0\0\x0cjP  box" + jpeg_2000(36, 32)]
)
def test_a_stream_of_the_size_that_is_expected_passes(stream):
    check_codestream(stream, SHAPE)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "no JPEG stream"),
        (b"\xff\xd8", "a damaged JPEG header"),
        (JPEG_HEADER, "a damaged JPEG header"),
        (JPEG_HEADER[:8] + JPEG_SCAN, "a damaged JPEG header"),
        (JPEG_HEADER[:5] + b"\0" + JPEG_HEADER[6:] + JPEG_SCAN, "a damaged JPEG header"),
        (b"\xff\xd8" + JPEG_SCAN, r"a compressed picture of \(0, 0, 0\)"),
        (JPEG_HEADER.replace(b"\0\x20", b"\xff\xff") + JPEG_SCAN, r"a compressed picture of \(65535, 36, 1\)"),
        (JPEG_HEADER + JPEG_HEADER[2:] + JPEG_SCAN, r"a compressed picture of \(0, 0, 0\)"),
        (jpeg_2000(60000, 60000), r"a compressed picture of \(60000, 60000, 1\)"),
        (jpeg_2000(36, 32, 3), r"a compressed picture of \(32, 36, 3\)"),
        (jpeg_2000(36, 32, 1, (0, 32)), "tiles of no size"),
        (jpeg_2000(36, 32)[:30], "a cut off JPEG 2000 header"),
    ],
)
def test_a_stream_of_another_size_is_refused(stream, message):
    with pytest.raises(ValueError, match=message):
        check_codestream(stream, SHAPE)


@pytest.fixture
def stream(tmp_path):
    """A real picture in JPEG Lossless, 16 bits."""
    stored = (chest_like((2, *SHAPE))[0] + 1024).astype(np.uint16)
    pixels = jpeg_lossless(stored, tmp_path / "one.dcm")
    return next(generate_frames(pixels, number_of_frames=1))


def test_a_real_lossless_stream_is_plain_at_its_own_depth_only(stream):
    check_codestream(stream, SHAPE)
    depth = stream[stream.index(b"\xff\xc3") + 4]
    assert is_plain_lossless_jpeg(stream, depth)
    assert not is_plain_lossless_jpeg(stream, depth - 1)


def test_streams_with_markers_out_of_place_are_not_plain(stream):
    depth = stream[stream.index(b"\xff\xc3") + 4]
    middle = len(stream) - 50
    assert not is_plain_lossless_jpeg(stream[:middle] + b"\xff\xc3" + stream[middle + 2 :], depth)
    assert not is_plain_lossless_jpeg(stream[: stream.rindex(b"\xff\xd9")], depth)
    assert not is_plain_lossless_jpeg(stream + b"more of it", depth)
    assert not is_plain_lossless_jpeg(stream.replace(b"\xff\xc3", b"\xff\xc1", 1), depth)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.filterwarnings("ignore")
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(tmp_path, monkeypatch, syntax):
    write_series(tmp_path, chest_like((4, *SHAPE)))
    compress_series(tmp_path, syntax)
    path = tmp_path / "im002.dcm"
    dataset = pydicom.dcmread(path)
    frame = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    size = struct.pack(">HH", *SHAPE)
    if syntax == JPEG2000Lossless:
        struct.pack_into(">II", frame, 8, 60000, 60000)
    else:
        at = frame.index(size)
        frame[at : at + 4] = b"\xff\xff\xff\xff"
    dataset.PixelData = encapsulate([bytes(frame)])
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"must be readable, but 1 of 4 are damaged"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    ("syntax", "package"),
    [
        (JPEGLosslessSV1, "pylibjpeg-libjpeg"),
        (JPEGLSLossless, "pylibjpeg-libjpeg"),
        (JPEG2000Lossless, "pylibjpeg-openjpeg"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_decoder_that_is_missing_is_named_and_the_files_are_not_called_damaged(
    tmp_path, monkeypatch, syntax, package
):
    write_series(tmp_path, chest_like((4, *SHAPE)))
    compress_series(tmp_path, syntax)
    monkeypatch.setattr(Decoder, "is_available", property(lambda self: False))
    # SimpleITK's own decoder is not in every build of it.
    monkeypatch.setattr("CovidCTLib.reading.dicom_encoding.is_plain_lossless_jpeg", lambda *_: False)
    with pytest.raises(InputError, match=rf"which the Python packages pylibjpeg and {package} decode, but") as refused:
        read_scan(tmp_path)
    assert syntax.name in str(refused.value)
    assert "damaged" not in str(refused.value)
