"""The arrays of a result folder, read back as fast as they can be inflated, and checked against the record's grid."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import GRID_TOLERANCE_VOXELS, Geometry
from CovidCTLib.labels import LEFT, LOBE_LABELS, OPACITY_EFFUSION
from CovidCTLib.results.nifti_file import DATA_OFFSET, HEADER_BYTES

BLOCK_BYTES = 1 << 22
"""Compressed bytes that are read, and inflated bytes that are copied, at a time."""

_GZIP_WINDOW = 31
"""zlib's largest window (15) plus 16 for a gzip header."""

_LONGEST_HEADER = 1 << 16
"""Bytes in which the header of a segmentation must end; CovidCT's own takes about 3,000."""

_HEADER_READ_BYTES = 1 << 16
"""Compressed bytes in which a NIfTI header must lie; it takes 352 bytes inflated."""

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_NIFTI_CODES = {"uint8": 2, "int16": 4, "float32": 16}
"""Codes of voxel types in nifti1.h."""


Layers = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8] | None]
"""Lungs, opacities, and lobes where there are some."""

_MOST_LAYERS = 255
"""Layers of a segmentation at most: lungs, opacities, lobes, and one for each area."""


def read_segmentation_layers(path: Path, geometry: Geometry) -> Layers:
    """Read lungs, opacities and lobes from ``segmentation.seg.nrrd`` as `write_segmentation` writes it.

    Parameters
    ----------
    path
        The file.
    geometry
        Grid that the record states.

    Returns
    -------
    lungs, opacities, lobes
        uint8, contiguous, shape ``geometry.shape_zyx``, values as in `CovidCTLib.analysis.AxialArrays` and
        `CovidCTLib.labels.LOBE_LABELS`; no lobes are None.

    Raises
    ------
    InputError
        If the file is missing, truncated, on another grid, holds unknown labels, or was written by another program.
    """
    with _opened(path) as file:
        start = file.read(_LONGEST_HEADER)
        end = start.find(b"\n\n")
        sizes = re.search(rb"^sizes: ([0-9 ]+)$", start[: max(end, 0)], re.MULTILINE)
        if end < 0 or sizes is None or not start.startswith(b"NRRD"):
            raise _foreign(path)
        count, *shape_xyz = (int(size) for size in sizes[1].split())
        if tuple(shape_xyz) != geometry.shape_zyx[::-1] or not 2 <= count <= _MOST_LAYERS:
            raise _other_grid(path)
        _check_grid(_nrrd_grid(start[:end], path), path, geometry)
        file.seek(end + 2)
        layers = np.empty((*geometry.shape_zyx, count), np.uint8)
        _inflate(file, path, layers)
    lungs, opacities = np.ascontiguousarray(layers[..., 0]), np.ascontiguousarray(layers[..., 1])
    has_lobes = any(f"_ID:={label.segment_id}\n".encode() in start[:end] for label in LOBE_LABELS)
    lobes = np.ascontiguousarray(layers[..., 2]) if has_lobes and count > 2 else None
    for labels, highest in ((lungs, LEFT), (opacities, OPACITY_EFFUSION), (lobes, len(LOBE_LABELS))):
        if labels is not None and int(labels.max(initial=0)) > highest:
            raise _foreign(path)
    return lungs, opacities, lobes


def read_nifti(path: Path, geometry: Geometry, dtype: type[np.generic]) -> NDArray[Any]:
    """Read a volume as `CovidCTLib.results.nifti_file.write_nifti` writes it.

    Parameters
    ----------
    path
        A ``.nii.gz`` file of CovidCT.
    geometry
        Grid that the record states.
    dtype
        Type of the voxels: uint8, int16 or float32.

    Returns
    -------
    ndarray
        Shape ``geometry.shape_zyx``.

    Raises
    ------
    InputError
        If the file is missing, truncated, on another grid, or was written by another program.
    """
    with _opened(path) as file:
        _check_header(_header_of(file), path, geometry, dtype)
        # Memory is taken only for a grid that the record and the file agree on.
        file.seek(0)
        voxels = np.empty(geometry.shape_zyx, np.dtype(dtype).newbyteorder("<"))
        _inflate(file, path, np.empty(DATA_OFFSET, np.uint8), voxels)
    return voxels.astype(dtype, copy=False)


def check_grid(path: Path, geometry: Geometry) -> None:
    """Refuse a labelmap of another grid; only its header is read, and one that is not there is none.

    Parameters
    ----------
    path
        ``labelmap.nii.gz`` of a result folder. No reader needs it, so that it may be missing.
    geometry
        Grid that the record states.

    Raises
    ------
    InputError
        If the file is there and lies on another grid, or another program wrote it.
    """
    if path.exists():
        with _opened(path) as file:
            _check_header(_header_of(file), path, geometry, np.uint8)


def _header_of(file: BinaryIO) -> bytes:
    """Inflate what should be a NIfTI header; what is no gzip stream gives nothing."""
    try:
        return zlib.decompressobj(_GZIP_WINDOW).decompress(file.read(_HEADER_READ_BYTES), DATA_OFFSET)
    except zlib.error:
        return b""


def _check_header(content: bytes, path: Path, geometry: Geometry, dtype: type[np.generic]) -> None:
    """Refuse a header that CovidCT would not have written for this grid."""
    if len(content) < DATA_OFFSET:
        raise _damaged(path)
    if struct.unpack_from("<i", content)[0] != HEADER_BYTES or content[344:347] != b"n+1":
        raise _foreign(path)
    axes, *shape_xyz = struct.unpack_from("<4h", content, 40)
    if (axes, *shape_xyz) != (3, *geometry.shape_zyx[::-1]):
        raise _other_grid(path)
    if struct.unpack_from("<h", content, 70)[0] != _NIFTI_CODES[np.dtype(dtype).name]:
        raise _foreign(path)
    spacing_mm = np.array(struct.unpack_from("<3f", content, 80))
    if np.abs(spacing_mm - geometry.spacing_xyz_mm).max() > GRID_TOLERANCE_VOXELS * min(geometry.spacing_xyz_mm):
        raise _other_grid(path, f"its voxels are {_sizes(spacing_mm)} mm large instead of {_sizes(_of(geometry))} mm")
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3] = np.reshape(struct.unpack_from("<12f", content, 280), (3, 4))
    _check_grid(_LPS_FROM_RAS @ ijk_to_ras, path, geometry)


def _nrrd_grid(header: bytes, path: Path) -> NDArray[np.float64]:
    """Read the matrix from the index (i, j, k, 1) to LPS in mm out of a header of `write_segmentation`."""
    vector = rb"\(([^(),\s]+),([^(),\s]+),([^(),\s]+)\)"
    steps = re.search(rb"^space directions: none " + rb" ".join([vector] * 3) + rb"$", header, re.MULTILINE)
    origin = re.search(rb"^space origin: " + vector + rb"$", header, re.MULTILINE)
    if steps is None or origin is None or b"\nspace: left-posterior-superior\n" not in header:
        raise _foreign(path)
    matrix = np.eye(4)
    try:
        matrix[:3, :3] = np.reshape([float(number) for number in steps.groups()], (3, 3)).T
        matrix[:3, 3] = [float(number) for number in origin.groups()]
    except ValueError as error:
        raise _foreign(path) from error
    return matrix


def _check_grid(ijk_to_lps: NDArray[np.float64], path: Path, geometry: Geometry) -> None:
    """Refuse a file whose spacing, origin or direction are not those of the record."""
    if geometry.lies_on(ijk_to_lps):
        return
    spacing_mm = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    if np.abs(spacing_mm - _of(geometry)).max() > GRID_TOLERANCE_VOXELS * min(geometry.spacing_xyz_mm):
        raise _other_grid(path, f"its voxels are {_sizes(spacing_mm)} mm large instead of {_sizes(_of(geometry))} mm")
    raise _other_grid(path, f"it lies up to {geometry.distance_mm(ijk_to_lps):.3g} mm from it")


def _of(geometry: Geometry) -> NDArray[np.float64]:
    return np.array(geometry.spacing_xyz_mm)


def _sizes(spacing_mm: NDArray[np.float64]) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing_mm)


def _opened(path: Path) -> BinaryIO:
    """Open a file of the folder."""
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(
            f"A complete result folder was expected, but {path.name} is missing: it was removed, or the writing was "
            "cut short. Analyze the CT again."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path.name} of the result folder must be readable, but the system refuses it. Check its permissions."
        ) from error


def _inflate(file: BinaryIO, path: Path, *arrays: NDArray[Any]) -> None:
    """Inflate a gzip stream into arrays, one after the other; the stream must fill them exactly.

    Nothing larger than the arrays is ever taken, whatever the file claims.
    """
    target = _Target(arrays)
    try:
        for block in _inflated(file):
            target.take(block)
    except (zlib.error, OSError) as error:
        raise _damaged(path) from error
    except _TooLongError as error:
        raise _other_grid(path) from error
    if not target.full:
        raise _damaged(path)


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """Give the content of a gzip stream in blocks."""
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    while not inflater.eof:
        compressed = file.read(BLOCK_BYTES)
        if not compressed:
            # What the arrays need may all be there, but without the end its checksum was not looked at.
            raise zlib.error("the stream has no end")
        while compressed and not inflater.eof:
            yield inflater.decompress(compressed, BLOCK_BYTES)
            compressed = inflater.unconsumed_tail
    if inflater.unused_data or file.read(1):
        raise zlib.error("more than one stream")


class _TooLongError(Exception):
    """The stream holds more than the arrays."""


class _Target:
    """Arrays that are filled one after the other."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._views = [array.data.cast("B") for array in arrays]

    @property
    def full(self) -> bool:
        """Whether nothing is missing."""
        return not self._views

    def take(self, block: bytes) -> None:
        """Put a block where the last one ended."""
        rest = memoryview(block)
        while rest:
            if not self._views:
                raise _TooLongError
            view = self._views[0]
            size = min(len(view), len(rest))
            view[:size] = rest[:size]
            rest = rest[size:]
            if size == len(view):
                self._views.pop(0)
            else:
                self._views[0] = view[size:]


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path.name} of the result folder must be complete, but it is damaged or cut short. Analyze the CT again."
    )


def _other_grid(path: Path, how: str = "") -> InputError:
    return InputError(
        f"{path.name} must lie on the grid that analysis.json states, but lies on another"
        f"{f' ({how})' if how else ''}: the folder's files are of different analyses, or one was changed. Analyze the "
        "CT again."
    )


def _foreign(path: Path) -> InputError:
    return InputError(
        f"{path.name} must be as CovidCT wrote it, but another program wrote or changed it. Give the folder as "
        "it was, or analyze the CT again."
    )
