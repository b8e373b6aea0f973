"""What compressed pictures say of themselves, checked before a decoder takes memory for it.

JPEG: ITU-T T.81, annex B; JPEG-LS: ITU-T T.87, annex C; JPEG 2000: ITU-T T.800, annex A.
"""

from __future__ import annotations

import struct

import numpy as np

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_LOSSLESS_SOF = 0xC3
_JPEG_LS_SOF = 0xF7
_SOF = {*range(0xC0, 0xD0), _JPEG_LS_SOF} - {0xC4, 0xC8, 0xCC}
"""Start of frame; C4, C8 and CC define tables and extensions instead."""

_RESTARTS = range(0xD0, 0xD8)
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_JP2_START = b"\0\0\0\x0cjP  "
"""Some writers put the file format around the codestream, against DICOM PS3.5, A.4.4."""

_SIZ_BYTES = 42


def check_codestream(stream: bytes, shape: tuple[int, int]) -> None:
    """Refuse a JPEG, JPEG-LS or JPEG 2000 stream of another size than its header says, or with several channels.

    Parameters
    ----------
    stream
        The compressed picture.
    shape
        Rows and columns that are expected.

    Raises
    ------
    ValueError
        If it is neither, or the size is another.
    """
    if stream.startswith((_JPEG_2000_START, _JP2_START)):
        rows_columns_samples = _jpeg_2000_size(stream[max(stream.find(_JPEG_2000_START), 0) :])
    else:
        sizes = [size for marker, size in _jpeg_segments(stream)[0] if marker in _SOF]
        rows_columns_samples = (
            struct.unpack_from(">xHHB", sizes[0]) if len(sizes) == 1 and len(sizes[0]) >= 6 else (0, 0, 0)
        )
    if rows_columns_samples != (*shape, 1):
        raise ValueError(f"a compressed picture of {rows_columns_samples}")


def is_plain_lossless_jpeg(stream: bytes, bits_stored: int) -> bool:
    """Tell whether a stream is one scan of JPEG Lossless at a given depth, with no marker out of place.

    Parameters
    ----------
    stream
        The compressed picture.
    bits_stored
        Precision that is expected, 2 to 16.

    Raises
    ------
    ValueError
        If it is no JPEG stream, or its segments are cut off.
    """
    segments, data = _jpeg_segments(stream)
    frames = [content for marker, content in segments if marker in _SOF]
    kinds = [marker for marker, _ in segments if marker in _SOF]
    if kinds != [_LOSSLESS_SOF] or frames[0][0] != bits_stored or segments[-1][0] != _SOS:
        return False
    coded = np.frombuffer(stream, np.uint8)[data:]
    marks = np.flatnonzero(coded[:-1] == 0xFF)
    following = coded[marks + 1]
    ends = marks[following == _EOI]
    if ends.size == 0:
        return False
    allowed = np.isin(following[marks < ends[0]], [0x00, *_RESTARTS])
    return bool(allowed.all()) and coded.size - int(ends[0]) <= 3


def _jpeg_2000_size(stream: bytes) -> tuple[int, int, int]:
    if len(stream) < _SIZ_BYTES:
        raise ValueError("a cut off JPEG 2000 header")
    x_end, y_end, x, y, tile_x, tile_y, _, _, channels = struct.unpack_from(">8IH", stream, 8)
    if min(tile_x, tile_y) == 0:
        raise ValueError("tiles of no size")
    return y_end - y, x_end - x, channels


def _jpeg_segments(stream: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """List the marker segments up to the first scan, and give the offset of its data."""
    if stream[:2] != bytes((0xFF, _SOI)):
        raise ValueError("no JPEG stream")
    segments: list[tuple[int, bytes]] = []
    position = 2
    while position + 4 <= len(stream):
        fill, marker, length = struct.unpack_from(">BBH", stream, position)
        if fill == 0xFF and marker == 0xFF:
            position += 1
            continue
        end = position + 2 + length
        if fill != 0xFF or length < 2 or end > len(stream):
            break
        segments.append((marker, stream[position + 4 : end]))
        position = end
        if marker == _SOS:
            return segments, position
    raise ValueError("a damaged JPEG header")
