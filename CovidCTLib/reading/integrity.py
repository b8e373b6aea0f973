"""Whether a volume file is whole: ITK fills what is missing with zeros, and its NIfTI reader turns NaN into 0 HU.

gzip and zlib streams carry a checksum, which is verified by decompressing once more (about 0.5 s per 100 MB).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from CovidCTLib.errors import InputError
from CovidCTLib.reading.gzip_layers import opened
from CovidCTLib.reading.plausibility import check_size

_CHUNK = 1 << 22
_HEADER_BYTES = 1 << 16
MAX_EXCESS_BYTES = 64 << 20
"""A NIfTI file may hold so many bytes behind its voxels; a file that would inflate without end is given up then."""

_NIFTI_1_BYTES, _NIFTI_2_BYTES = 348, 540
_NIFTI_FLOATS = {16: "f4", 64: "f8"}
_META_DIMENSIONS = 10
_META_NUMBERS = {
    "dimsize": 1, "elementspacing": 1, "elementsize": 1, "offset": 1, "position": 1, "origin": 1, "centerofrotation": 1,
    "transformmatrix": 2, "rotation": 2, "orientation": 2,
}  # fmt: skip
"""Fields of a MetaImage header, and to which power of the dimensions their numbers count."""

_META_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_FLOAT": 4,
    "MET_DOUBLE": 8, "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8,
}  # fmt: skip


def check_complete(path: Path) -> None:
    """Refuse a volume file that is cut off, whose checksum is wrong, or whose NIfTI voxels are not finite.

    It comes before ITK opens the file: MetaImage headers whose numbers do not fit, or whose data are not there, make
    ITK write beyond its memory.

    Parameters
    ----------
    path
        NIfTI, NRRD or MetaImage by its ending. Of raw NRRD, ITK checks the length itself.

    Raises
    ------
    InputError
        If the header is damaged or claims more than `MAX_VOXELS`, fewer bytes are there than it claims, the file of
        data that it names is not there or it names many, the compressed data are damaged, the file is NIfTI-2,
        or voxels of a NIfTI file are NaN or infinite.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii.gz", ".nii")):
            with opened(path) as file:
                _check_nifti(file)
        elif name.endswith((".mha", ".mhd")):
            _check_meta_image(path)
        else:
            _check_nrrd(path)
    except (OSError, EOFError, ValueError, OverflowError, zlib.error, struct.error):
        # Not chained: the message of the library names no remedy, and this one does.
        raise InputError(
            "A whole file was expected, but its header or its compressed data are damaged or cut off. Copy or export "
            "it again."
        ) from None


def _check_length(claimed: int, length: int) -> None:
    if length < claimed:
        raise InputError(
            f"A whole file was expected, but its header claims {claimed} bytes and {length} are there. Copy or export "
            "it again."
        )


def _check_nifti(file: IO[bytes]) -> None:
    """Read a NIfTI-1 file to its end (which verifies gzip's checksum), and compare it with its header."""
    start = file.read(_NIFTI_1_BYTES)
    sizes = {order: struct.unpack_from(f"{order}i", start)[0] for order in "<>"}
    if _NIFTI_2_BYTES in sizes.values():
        raise InputError("A NIfTI-1 file was expected, but this is NIfTI-2. Save it as NIfTI-1, NRRD or MetaImage.")
    order = next((order for order, size in sizes.items() if size == _NIFTI_1_BYTES), None)
    if order is None:
        raise EOFError
    dimensions = struct.unpack_from(f"{order}8h", start, 40)
    kind, bits = struct.unpack_from(f"{order}2h", start, 70)
    offset = max(int(struct.unpack_from(f"{order}f", start, 108)[0]), _NIFTI_1_BYTES)
    sizes_xyz = dimensions[1 : 1 + max(0, min(dimensions[0], 7))]
    check_size(sizes_xyz)
    if offset > _CHUNK:
        raise EOFError
    length = len(start) + len(file.read(offset - len(start)))
    dtype = f"{order}{_NIFTI_FLOATS[kind]}" if kind in _NIFTI_FLOATS else None
    not_finite = 0
    claimed = offset + math.prod(sizes_xyz) * bits // 8
    for chunk in _chunks(file):
        length += len(chunk)
        if length > claimed + MAX_EXCESS_BYTES:
            raise InputError(
                f"A NIfTI file of {claimed} bytes was expected from its header, but it goes on for more than "
                f"{MAX_EXCESS_BYTES >> 20} MiB. The header is damaged: export the scan again."
            )
        if dtype is not None:
            whole = len(chunk) - len(chunk) % np.dtype(dtype).itemsize
            not_finite += int((~np.isfinite(np.frombuffer(chunk[:whole], dtype))).sum())
    _check_length(claimed, length)
    if len(start) < _NIFTI_1_BYTES:
        raise EOFError
    if not_finite:
        raise InputError(
            f"All voxels must be finite HU, but {not_finite} are NaN or infinite. Export the scan again, or replace "
            "them by -1024 (air)."
        )


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def read_fields(path: Path, separator: str, last: str) -> tuple[dict[str, str], int]:
    """Read the text header of a NRRD or MetaImage file.

    Parameters
    ----------
    path
        The file.
    separator
        What stands between key and value.
    last
        Key of the last line; empty for the first line without a key.

    Returns
    -------
    tuple
        Fields with keys in small letters, and where the data behind the header start, in bytes.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    offset = 0
    for line in start.splitlines(keepends=True):
        offset += len(line)
        key, _, value = line.decode("latin-1").partition(separator)
        fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == last:
            break
    return fields, offset


def _check_meta_header(fields: dict[str, str]) -> int:
    """Check that the numbers of a MetaImage header fit together; give the bytes of the voxels that it claims."""
    try:
        dimensions = int(fields["ndims"])
        channels = int(fields.get("elementnumberofchannels", "1"))
        sizes = tuple(int(size) for size in fields["dimsize"].split())
        counts = {key: len([float(v) for v in fields[key].split()]) for key in _META_NUMBERS if key in fields}
        voxel_bytes = _META_BYTES[fields["elementtype"].upper()]
    except (KeyError, ValueError):
        dimensions = channels = voxel_bytes = 0
        sizes, counts = (), {}
    fits = all(count == dimensions ** _META_NUMBERS[key] for key, count in counts.items())
    if not (1 <= dimensions <= _META_DIMENSIONS and channels >= 1 and fits):
        raise InputError(
            "A readable MetaImage header was expected (NDims, and as many numbers in the other fields), but this one "
            "is damaged. Copy or export the file again."
        )
    check_size(sizes)
    return math.prod(sizes) * channels * voxel_bytes


def _check_meta_image(path: Path) -> None:
    """Compare the length of a MetaImage's data with its header, or verify their checksum if they are compressed."""
    fields, offset = read_fields(path, "=", "elementdatafile")
    claimed = _check_meta_header(fields)
    where = fields.get("elementdatafile", "")
    data = path
    if where.upper() != "LOCAL":
        data, offset = path.parent / where, 0
    _check_is_there(data, where)
    if fields.get("compresseddata", "false").lower() == "true":
        compressed = int(fields.get("compresseddatasize", "0"))
        _check_length(compressed, data.stat().st_size - offset)
        _check_length(claimed, _length_of_stream(data, offset))
    else:
        _check_length(claimed, data.stat().st_size - offset)


def _check_nrrd(path: Path) -> None:
    """Verify the checksum of gzip-encoded NRRD data in one piece."""
    fields, offset = read_fields(path, ":", "")
    where = fields.get("data file", fields.get("datafile"))
    data = path
    if where is not None:
        data, offset = path.parent / where, 0
    skips = {fields.get(key, "0") for key in ("line skip", "lineskip", "byte skip", "byteskip")}
    _check_is_there(data, where or "")
    if fields.get("encoding") in ("gzip", "gz") and skips == {"0"}:
        _length_of_stream(data, offset)


def _check_is_there(data: Path, named: str) -> None:
    if named.upper().startswith("LIST") or "%" in named:
        raise InputError(
            "A header with one file of data was expected, but this one names many. Save the CT as one file (for "
            "example in 3D Slicer) and try again."
        )
    if not data.is_file():
        raise InputError(
            "A header with its file of data was expected, but the file that it names is not beside it. Keep both "
            "in one folder."
        )


def _length_of_stream(path: Path, offset: int) -> int:
    """Decompress a zlib or gzip stream to its end, which verifies its checksum; give the length of the content."""
    length = 0
    stream = zlib.decompressobj(wbits=47)  # zlib or gzip, by its first bytes
    with path.open("rb") as file:
        file.seek(offset)
        for chunk in _chunks(file):
            pending = chunk
            while pending and not stream.eof:
                length += len(stream.decompress(pending, _CHUNK))
                pending = stream.unconsumed_tail
            if stream.eof:
                return length
    raise EOFError
