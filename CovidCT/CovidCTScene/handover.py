"""A CT of the scene as an uncompressed NRRD file, written piece by piece so that the application goes on answering."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTScene.scan import geometryOfVolumeNode, refusalOfVolumeNode
from CovidCTScene.texts import tr as _

PIECE_BYTES = 1 << 22
"""Bytes that are written at a time; 4 MiB take about 10 ms, and three times as long on a busy computer."""

_TYPES = {
    "i1": "int8",
    "u1": "uint8",
    "i2": "int16",
    "u2": "uint16",
    "i4": "int32",
    "u4": "uint32",
    "i8": "int64",
    "u8": "uint64",
    "f4": "float",
    "f8": "double",
}
"""NRRD's names of numpy's types (https://teem.sourceforge.net/nrrd/format.html)."""


def handOverOfVolumeNode(volumeNode: Any) -> tuple[int, Callable[[Path], Iterator[float]]]:
    """Prepare to write a CT to a file.

    Parameters
    ----------
    volumeNode
        A vtkMRMLScalarVolumeNode with voxels in HU and without a parent transform. Its voxels are not copied: they
        stay in memory until the file is written, even where the node is removed meanwhile.

    Returns
    -------
    byteCount, steps
        Size of the voxels in bytes; and a function that takes the path of a new ``.nrrd`` file and gives a generator,
        which writes a piece at each step and yields the share that is written (0 to 1). The steps raise OSError if the
        file cannot be written.

    Raises
    ------
    InputError
        As `CovidCTScene.scan.scanFromVolumeNode`, the values of the voxels excepted.
    """
    refusal = refusalOfVolumeNode(volumeNode)
    if refusal is not None:
        raise InputError(refusal)
    image = volumeNode.GetImageData()
    x, y, z = image.GetDimensions()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(z, y, x)
    geometry = geometryOfVolumeNode(volumeNode)
    if voxels.dtype.str[1:] not in _TYPES:
        raise InputError(
            _("HU must be real numbers, but the voxels are {type}. Give the CT itself.").format(type=voxels.dtype)
        )
    return voxels.nbytes, lambda path: _written(path, voxels, geometry)


def _written(path: Path, voxels: NDArray[Any], geometry: Geometry) -> Iterator[float]:
    flat = np.ascontiguousarray(voxels).reshape(-1).view(np.uint8)
    with path.open("xb") as file:
        file.write(_header(voxels.dtype, geometry).encode("ascii"))
        for start in range(0, flat.size, PIECE_BYTES):
            file.write(flat[start : start + PIECE_BYTES].data)
            yield min(1.0, (start + PIECE_BYTES) / flat.size)


def _header(dtype: np.dtype[Any], geometry: Geometry) -> str:
    """Give NRRD's header with the empty line that ends it."""
    steps = geometry.direction_matrix * np.asarray(geometry.spacing_xyz_mm)
    lines = [
        "NRRD0004",
        f"type: {_TYPES[dtype.str[1:]]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(size) for size in geometry.shape_zyx[::-1])}",
        f"space directions: {' '.join(vectorText(steps[:, axis]) for axis in range(3))}",
        "kinds: domain domain domain",
        f"endian: {'big' if dtype.str[0] == '>' else 'little'}",
        "encoding: raw",
        f"space origin: {vectorText(geometry.origin_lps_mm)}",
    ]
    return "\n".join(lines) + "\n\n"


def vectorText(values: Any) -> str:
    """Write a vector in NRRD's notation, with all digits."""
    return "(" + ",".join(repr(float(value)) for value in values) + ")"
