"""What a NIfTI header says of its grid: pixdim, qform and sform, held against each other.

Offsets and formulas are those of nifti1.h (https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError
from CovidCTLib.reading.gzip_layers import opened
from CovidCTLib.reading.stated_grid import StatedGrid

GeometrySource = Literal["sform", "qform"]
GEOMETRY_SOURCES: tuple[GeometrySource, ...] = ("sform", "qform")

HEADER_BYTES = 348
PIXDIM, UNITS, CODES, QUATERNION, SROWS = 76, 123, 252, 256, 280
"""Offsets in bytes: pixdim[0], xyzt_units, qform_code with sform_code, quatern_b, srow_x."""

MAX_SCANNER_CODE = 2
"""Codes 1 (scanner) and 2 (aligned) keep the patient's size; 3 and above are templates, to which heads are scaled."""

_MM_OF_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
_LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0])
_SMALLEST_STEP_MM = 1e-6


@dataclass(frozen=True)
class NiftiGrids:
    """Every statement of a NIfTI header about the grid.

    Parameters
    ----------
    pixdim_mm
        Voxel sizes along i, j, k as they stand, in mm; they may be 0, negative or not finite.
    qform, sform
        The grid by each in LPS; None where its code is 0 or it is no grid.
    qform_code, sform_code
        As they stand.
    """

    pixdim_mm: tuple[float, float, float]
    qform: StatedGrid | None
    sform: StatedGrid | None
    qform_code: int
    sform_code: int


def read_nifti_grids(path: Path) -> NiftiGrids:
    """Read every statement about the grid from the header of a NIfTI-1 file, compressed or not."""
    with opened(path) as file:
        header = file.read(HEADER_BYTES)
    order = byte_order(header)
    unit = _MM_OF_UNIT.get(header[UNITS] & 7, 1.0)
    qfac, *pixdim = struct.unpack_from(f"{order}4f", header, PIXDIM)
    qform_code, sform_code = struct.unpack_from(f"{order}2h", header, CODES)
    quaternion = struct.unpack_from(f"{order}6f", header, QUATERNION)
    rows = np.array(struct.unpack_from(f"{order}12f", header, SROWS), dtype=float).reshape(3, 4)
    sizes = np.array(pixdim, dtype=float) * unit
    return NiftiGrids(
        (float(sizes[0]), float(sizes[1]), float(sizes[2])),
        _of_quaternion(quaternion, qfac, sizes, unit) if qform_code > 0 else None,
        _grid(rows[:, :3] * unit, rows[:, 3] * unit) if sform_code > 0 else None,
        int(qform_code),
        int(sform_code),
    )


def byte_order(header: bytes) -> str:
    """Tell struct's byte order of a NIfTI header by its first number, which is its length."""
    return "<" if struct.unpack_from("<i", header)[0] == HEADER_BYTES else ">"


def choose_grid(grids: NiftiGrids, wanted: GeometrySource | None) -> tuple[GeometrySource | None, StatedGrid | None]:
    """Choose between sform and qform.

    Parameters
    ----------
    grids
        What the header says.
    wanted
        The one that the user asks for; None takes the sform, as most programs do, unless it leads to a template
        while the qform leads to the scanner.

    Returns
    -------
    tuple
        Name and grid; None and None where the header has neither.

    Raises
    ------
    InputError
        If the one that is asked for is not there.
    """
    there: dict[GeometrySource, StatedGrid | None] = {"sform": grids.sform, "qform": grids.qform}
    if wanted is not None:
        grid = there[wanted]
        if grid is None:
            code = grids.sform_code if wanted == "sform" else grids.qform_code
            raise InputError(
                f"A NIfTI file with a usable {wanted} was expected, as was asked for, but its {wanted}_code is {code} "
                "or its numbers make no grid. Leave the choice out."
            )
        return wanted, grid
    if grids.sform is not None and (grids.sform_code <= MAX_SCANNER_CODE or grids.qform is None):
        return "sform", grids.sform
    if grids.qform is not None:
        return "qform", grids.qform
    return None, None


def _of_quaternion(
    numbers: tuple[float, ...], qfac: float, sizes_mm: NDArray[np.float64], unit: float
) -> StatedGrid | None:
    """Make the grid of a qform (nifti1.h, method 2); negative sizes count as positive ones."""
    b, c, d = numbers[:3]
    rest = 1.0 - (b * b + c * c + d * d)
    if not math.isfinite(rest) or rest < -1e-3:
        return None
    a = math.sqrt(max(rest, 0.0))
    length = math.sqrt(a * a + b * b + c * c + d * d)
    a, b, c, d = a / length, b / length, c / length, d / length
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = rotation * np.abs(sizes_mm)
    if qfac < 0:
        steps[:, 2] *= -1
    return _grid(steps, np.array(numbers[3:], dtype=float) * unit)


def _grid(steps_ras: NDArray[np.float64], origin_ras: NDArray[np.float64]) -> StatedGrid | None:
    """Turn a grid from RAS to LPS; None if its numbers make none."""
    if not (np.isfinite(steps_ras).all() and np.isfinite(origin_ras).all()):
        return None
    lengths = np.linalg.norm(steps_ras, axis=0)
    if lengths.min() < _SMALLEST_STEP_MM or abs(np.linalg.det(steps_ras / lengths)) < 0.1:
        return None
    return StatedGrid.of(_LPS_OF_RAS @ steps_ras, _LPS_OF_RAS @ origin_ras)


@contextmanager
def neutral_nifti(path: Path, folder: Path) -> Iterator[Path]:
    """Write a plain copy of a NIfTI file whose header gives a grid that every reader takes, and remove it afterwards.

    Parameters
    ----------
    path
        A whole file.
    folder
        Where the copy is written.

    Yields
    ------
    Path
        The copy, not compressed, with voxels of 1 mm along the patient's axes.
    """
    copy = folder / "plain.nii"
    with opened(path) as source, copy.open("wb") as target:
        header = bytearray(source.read(HEADER_BYTES))
        order = byte_order(bytes(header))
        struct.pack_into(f"{order}4f", header, PIXDIM, 1.0, 1.0, 1.0, 1.0)
        struct.pack_into(f"{order}2h", header, CODES, 0, 0)
        target.write(header)
        while chunk := source.read(1 << 22):
            target.write(chunk)
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)
