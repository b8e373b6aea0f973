"""NIfTI-1 files of results, written in one pass without a second copy of the volume.

The format is the NIfTI-1.1 standard (https://nifti.nimh.nih.gov/nifti-1, nifti1.h). It is written here and not
through SimpleITK because that copies the volume, and does not report a disk that runs full while compressing.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from CovidCTLib.errors import OutputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.results.compressed import slabs, write_gzip

HEADER_BYTES = 348
"""Length of a NIfTI-1 header."""

DATA_OFFSET = 352
"""Where the voxels of a single file begin: the header and four bytes that say that no extension follows."""

LARGEST_AXIS = 32767
"""NIfTI-1 holds the number of voxels along an axis in 16 bits, signed."""

_TYPES = {"uint8": (2, 8), "int16": (4, 16), "float32": (16, 32)}
"""Code and bits of each voxel type."""

_MILLIMETRES = 2
_SCANNER_COORDINATES = 1


def write_nifti(path: Path, array: NDArray[Any], geometry: Geometry, description: str) -> None:
    """Write a volume as ``.nii.gz``.

    Parameters
    ----------
    path
        New file.
    array
        Shape ``geometry.shape_zyx``; uint8, int16 or float32.
    geometry
        Grid of the array.
    description
        Plain ASCII, cut at 79 characters; never patient data.

    Raises
    ------
    OutputError
        If the array's type or shape cannot be written.
    OSError
        If the file cannot be written.
    """
    if array.dtype.name not in _TYPES:
        raise OutputError(
            f"A NIfTI file of voxels of type {', '.join(_TYPES)} can be written, but the array is {array.dtype}. "
            "Convert it."
        )
    if array.shape != geometry.shape_zyx or max(array.shape) > LARGEST_AXIS:
        raise OutputError(
            f"An array of the grid's shape {geometry.shape_zyx} with at most {LARGEST_AXIS} voxels an axis can be "
            f"written as NIfTI, but this one has shape {array.shape}. Give the volume with its own grid."
        )
    header = np.frombuffer(_header(array.dtype.name, geometry, description), np.uint8)
    with path.open("wb") as file:
        write_gzip(file, [header, *slabs(array)])


def _header(type_name: str, geometry: Geometry, description: str) -> bytes:
    """Pack the header, field by field in the order of nifti1.h, and the four bytes after it."""
    code, bits = _TYPES[type_name]
    shape_xyz = geometry.shape_zyx[::-1]
    quaternion, sign = _quaternion(geometry)
    affine = geometry.ijk_to_ras
    return struct.pack(
        "<i35xB 8h 3f 4h 8f 3f hBB 4f 2i 80s 24s 2h 3f 3f 12f 16s 4s 4x".replace(" ", ""),
        HEADER_BYTES,
        0,  # dim_info
        *(3, *shape_xyz, 1, 1, 1, 1),
        *(0.0, 0.0, 0.0),  # intent parameters
        *(0, code, bits, 0),  # intent, datatype, bitpix, first slice
        *(sign, *geometry.spacing_xyz_mm, 0.0, 0.0, 0.0, 0.0),
        *(float(DATA_OFFSET), 1.0, 0.0),  # vox_offset, scl_slope, scl_inter
        *(0, 0, _MILLIMETRES),  # last slice, slice code, units
        *(0.0, 0.0, 0.0, 0.0),  # display range, slice duration, time offset
        *(0, 0),
        description.encode("ascii", "replace")[:79],
        b"",
        *(_SCANNER_COORDINATES, _SCANNER_COORDINATES),
        *quaternion,
        *(float(value) for value in affine[:3, 3]),
        *(float(value) for value in affine[:3].ravel()),
        b"",
        b"n+1",
    )


def _quaternion(geometry: Geometry) -> tuple[tuple[float, float, float], float]:
    """Quaternion parts b, c, d of the axes in RAS, and the sign of the third axis (NIfTI's qfac)."""
    axes = geometry.ijk_to_ras[:3, :3] / np.asarray(geometry.spacing_xyz_mm)
    sign = -1.0 if np.linalg.det(axes) < 0 else 1.0
    axes[:, 2] *= sign
    b, c, d, a = Rotation.from_matrix(axes).as_quat()
    if a < 0:
        # NIfTI stores b, c, d of the quaternion whose real part is not negative.
        b, c, d = -b, -c, -d
    return (float(b), float(c), float(d)), sign
