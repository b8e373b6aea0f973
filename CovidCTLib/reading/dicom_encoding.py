"""How the pixels of a DICOM file are stored, and their decoding, one frame at a time."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from CovidCTLib.errors import InputError
from CovidCTLib.reading.codestreams import check_codestream, is_plain_lossless_jpeg

READ_FAILURES = (
    InvalidDicomError, BytesLengthException, OSError, EOFError, ValueError, TypeError, LookupError, AttributeError,
    AssertionError, ArithmeticError, RuntimeError, MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom and its plugins raise on a damaged or truncated file; MemoryError where a length is damaged."""

MAX_INFLATED_BYTES = 512 << 20
"""Largest content, in bytes, of a deflated file: 1,000 slices of 512 x 512 at 2 bytes."""

PREAMBLE_BYTES = 128
META_BYTES = 1 << 10
"""The meta header lies in the first bytes of a file; it is a few hundred long."""

_GROUP_LENGTH_BYTES = 12
_PIXEL_DATA = (0x7FE0, 0x0010)
_FLOAT_PIXELS = ((0x7FE0, 0x0008), (0x7FE0, 0x0009))
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_CHUNK = 1 << 20
_NATIVE_BITS = (8, 16, 32)


@dataclass(frozen=True)
class Encoding:
    """Where and how a file stores its pixels.

    Parameters
    ----------
    syntax
        Transfer syntax UID.
    start
        Offset of the pixel data's value in the file, in bytes; None where it must be found by pydicom (deflated,
        big endian).
    length
        Bytes of native pixel data; None for encapsulated ones.
    frames
        NumberOfFrames, 1 where it is not given.
    bits_allocated, bits_stored, high_bit
        Of a stored value (DICOM PS3.3, C.7.6.3).
    signed
        PixelRepresentation.
    """

    syntax: str
    start: int | None
    length: int | None
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool


def syntax_of(dataset: Any, *, native: bool) -> UID:
    """Give the transfer syntax of a data set.

    Parameters
    ----------
    dataset
        As pydicom read it.
    native
        Whether the pixel data have a length, so that they cannot be compressed whatever the file says.

    Notes
    -----
    Files are met that name a native syntax and are written in the other, or a compressed one and are not; how the
    elements could be read decides.
    """
    named = UID(dataset.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian)
    if not named.is_transfer_syntax and not native:
        # A maker's own compression; `check_readable` names it.
        return named
    if named.is_transfer_syntax and (named.is_deflated or (named.is_encapsulated and not native)):
        return named
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def check_readable(syntaxes: Iterable[str]) -> None:
    """Refuse a compression that no decoder here reads, by its name: the files are whole.

    Parameters
    ----------
    syntaxes
        Transfer syntax UIDs.

    Raises
    ------
    InputError
        If one cannot be decoded.
    """
    for syntax in syntaxes:
        uid = UID(syntax)
        if uid.is_transfer_syntax and not uid.is_encapsulated:
            continue
        try:
            # One whose package is not installed is named when it is needed, for GDCM may do without.
            get_decoder(uid)
        except NotImplementedError as error:
            named = uid.name if uid.is_transfer_syntax else f"the maker's own, {syntax}"
            raise InputError(
                f"Slices in an encoding that can be read were expected, but these are compressed in another ({named}); "
                "the files are whole. Export the series uncompressed (Explicit VR Little Endian) or as JPEG Lossless."
            ) from error


def find_pixels(file: BinaryIO, dataset: Any) -> tuple[int | None, int | None, bool]:
    """Find the pixel data that begin where a header was read to, and tell whether all bytes are there.

    Parameters
    ----------
    file
        Positioned at the element after the header.
    dataset
        The header.

    Returns
    -------
    tuple
        Offset of the value, its length (None if encapsulated), and whether it is whole (DICOM PS3.5, A.4). Lossless
        JPEG decoders fill a picture that is cut off and say nothing, so it must be known beforehand.
    """
    if syntax_of(dataset, native=False) == DeflatedExplicitVRLittleEndian:
        return None, None, True
    implicit = bool(dataset.original_encoding[0])
    order = "<" if dataset.original_encoding[1] else ">"
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    head = file.read(8 if implicit else 12)
    if len(head) < (8 if implicit else 12) or struct.unpack_from(f"{order}2H", head) != _PIXEL_DATA:
        return None, None, False
    (length,) = struct.unpack_from(f"{order}I", head, len(head) - 4)
    value = file.tell()
    if length != _UNDEFINED_LENGTH:
        return value, length, value + length <= end
    while len(item := file.read(8)) == 8:
        tag, length = item[:4], int.from_bytes(item[4:], "little")
        if tag != _ITEM:
            return value, None, tag == _DELIMITER
        if file.tell() + length > end:
            return value, None, False
        file.seek(length, os.SEEK_CUR)
    return value, None, not item


def has_float_pixels(file: BinaryIO, dataset: Any) -> bool:
    """Tell whether a header is followed by floating-point pixels (DICOM PS3.3, C.7.6.24); the position is kept."""
    position = file.tell()
    head = file.read(4)
    file.seek(position)
    order = "<" if dataset.original_encoding[1] else ">"
    return len(head) == 4 and struct.unpack(f"{order}2H", head) in _FLOAT_PIXELS


def check_inflated_size(file: BinaryIO, start: bytes) -> None:
    """Refuse a deflated file whose content is larger than `MAX_INFLATED_BYTES`, before pydicom inflates it.

    Parameters
    ----------
    file
        The file; its position is kept.
    start
        Its first bytes, with the meta header.

    Raises
    ------
    ValueError
        If it is larger.
    zlib.error
        If it is damaged.
    """
    if DeflatedExplicitVRLittleEndian.encode() not in start:
        return
    position = file.tell()
    group = struct.unpack_from("<I", start, PREAMBLE_BYTES + 4 + _GROUP_LENGTH_BYTES - 4)[0]
    # The group's length counts from behind its own element (DICOM PS3.10, 7.1).
    file.seek(PREAMBLE_BYTES + 4 + _GROUP_LENGTH_BYTES + group)
    stream, length = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not stream.eof and (chunk := stream.unconsumed_tail or file.read(_CHUNK)):
        length += len(stream.decompress(chunk, _CHUNK))
        if length > MAX_INFLATED_BYTES:
            raise ValueError(f"more than {MAX_INFLATED_BYTES} bytes")
    file.seek(position)


class FrameDecoder:
    """Decodes frames; a context manager, as GDCM's decoder needs a file of its own.

    Notes
    -----
    Native pixels are read straight into an array. JPEG Lossless, the usual compression of hospitals, is decoded by
    the GDCM inside SimpleITK, in half the time of pydicom's plugin; GDCM crashes on damaged streams, so it only gets
    streams whose structure was checked, in a file with a header made here. Everything else goes to pydicom's plugins.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="covidct-", ignore_cleanup_errors=True)

    def __enter__(self) -> FrameDecoder:
        """Begin to decode."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the decoder's folder."""
        self._folder.cleanup()

    def frames(
        self, path: Path, encoding: Encoding, shape: tuple[int, int], indices: Sequence[int]
    ) -> Iterator[NDArray[Any]]:
        """Decode frames of a file, as stored, one at a time.

        Parameters
        ----------
        path
            The file.
        encoding
            How it stores its pixels.
        shape
            Rows and columns.
        indices
            Numbers of the frames from 0, ascending.

        Raises
        ------
        READ_FAILURES
            If the pixels are damaged, truncated, of another size than the header says, or in an unknown encoding.
        InputError
            If the package that decodes them is missing.
        """
        if encoding.start is None or (encoding.length is not None and encoding.bits_allocated not in _NATIVE_BITS):
            yield from _by_pydicom(path, encoding, indices)
        elif encoding.length is not None:
            yield from _native(path, encoding, shape, indices)
        else:
            for stream in _streams(path, encoding, indices):
                yield self._decompressed(stream, encoding, shape)

    def _decompressed(self, stream: bytes, encoding: Encoding, shape: tuple[int, int]) -> NDArray[Any]:
        if encoding.syntax != RLELossless:
            # The decoders take memory for the size that the stream claims.
            check_codestream(stream, shape)
        fast = encoding.syntax in (JPEGLossless, JPEGLosslessSV1) and encoding.bits_allocated == 16
        if fast and is_plain_lossless_jpeg(stream, encoding.bits_stored):
            with suppress(OSError, RuntimeError):
                return self._by_gdcm(stream, encoding, shape)
        options = {
            "rows": shape[0],
            "columns": shape[1],
            "number_of_frames": 1,
            "samples_per_pixel": 1,
            "photometric_interpretation": "MONOCHROME2",
            "bits_allocated": encoding.bits_allocated,
            "bits_stored": encoding.bits_stored,
            "pixel_representation": int(encoding.signed),
            "pixel_keyword": "PixelData",
        }
        decoder = get_decoder(UID(encoding.syntax))
        if not decoder.is_available:
            raise _missing_decoder(encoding.syntax)
        pixels, _ = decoder.as_array(encapsulate([stream], has_bot=False), index=0, raw=True, **options)
        return np.asarray(pixels)

    def _by_gdcm(self, stream: bytes, encoding: Encoding, shape: tuple[int, int]) -> NDArray[Any]:
        path = Path(self._folder.name, "frame.dcm")
        path.write_bytes(_lone_frame(stream, encoding, shape))
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        pixels = sitk.GetArrayFromImage(reader.Execute()).reshape(shape)
        return np.asarray(pixels, dtype=np.int16 if encoding.signed else np.uint16)


def _missing_decoder(syntax: str) -> InputError:
    """Name the package that decodes a transfer syntax; the files may be sound."""
    package = "pylibjpeg-openjpeg" if "2000" in UID(syntax).name else "pylibjpeg-libjpeg"
    return InputError(
        f"The slices are compressed as {UID(syntax).name}, which the Python packages pylibjpeg and {package} decode, "
        "but they are not installed or do not load. Install them and try again."
    )


def _native(path: Path, encoding: Encoding, shape: tuple[int, int], indices: Sequence[int]) -> Iterator[NDArray[Any]]:
    dtype = np.dtype(f"<{'i' if encoding.signed else 'u'}{encoding.bits_allocated // 8}")
    count = shape[0] * shape[1]
    for index in indices:
        offset = int(encoding.start or 0) + index * count * dtype.itemsize
        if (index + 1) * count * dtype.itemsize > int(encoding.length or 0):
            raise EOFError
        yield np.fromfile(path, dtype, count, offset=offset).reshape(shape)


def _streams(path: Path, encoding: Encoding, indices: Sequence[int]) -> Iterator[bytes]:
    """Yield the compressed frames ``indices`` of a file."""
    wanted = set(indices)
    with path.open("rb") as file:
        file.seek(int(encoding.start or 0))
        count = 0
        for index, stream in enumerate(generate_frames(file, number_of_frames=encoding.frames)):
            if index in wanted:
                count += 1
                yield stream
    if count < len(wanted):
        raise EOFError


def _by_pydicom(path: Path, encoding: Encoding, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
    dataset = pydicom.dcmread(path, force=True)
    dataset.file_meta.TransferSyntaxUID = UID(encoding.syntax)
    yield from iter_pixels(dataset, raw=True, indices=list(indices), correct_unused_bits=False)


def _lone_frame(stream: bytes, encoding: Encoding, shape: tuple[int, int]) -> bytes:
    """Wrap a compressed frame as a DICOM file with nothing in it but what a decoder must know."""

    def text(tag: int, vr: str, value: str) -> bytes:
        content = value.encode() + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
        return struct.pack("<2H2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(content)) + content

    def number(tag: int, value: int) -> bytes:
        return struct.pack("<2H2s2H", tag >> 16, tag & 0xFFFF, b"US", 2, value)

    meta = text(0x00020010, "UI", encoding.syntax)
    length = struct.pack("<2H2sHI", 0x0002, 0x0000, b"UL", 4, len(meta))
    # Secondary Capture: GDCM would look for a rescale, and for a place in space, in a CT.
    body = text(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7") + number(0x00280002, 1)
    body += text(0x00280004, "CS", "MONOCHROME2") + number(0x00280010, shape[0]) + number(0x00280011, shape[1])
    body += number(0x00280100, encoding.bits_allocated) + number(0x00280101, encoding.bits_stored)
    body += number(0x00280102, encoding.bits_stored - 1) + number(0x00280103, int(encoding.signed))
    padded = stream + b"\0" * (len(stream) % 2)
    body += struct.pack("<2H2s2xI", *_PIXEL_DATA, b"OB", _UNDEFINED_LENGTH)
    body += _ITEM + struct.pack("<I", 0) + _ITEM + struct.pack("<I", len(padded)) + padded
    return b"\0" * PREAMBLE_BYTES + b"DICM" + length + meta + body + _DELIMITER + struct.pack("<I", 0)
