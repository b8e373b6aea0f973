"""NIfTI, NRRD and MetaImage files, by SimpleITK, checked before memory is taken and before values are believed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.reading.given_grid import with_spacing
from CovidCTLib.reading.header_grid import HeaderGrid, read_header_grid
from CovidCTLib.reading.integrity import check_complete
from CovidCTLib.reading.neutral_copy import has_other_name, neutral_text_header
from CovidCTLib.reading.nifti_header import GeometrySource, neutral_nifti
from CovidCTLib.reading.photo_origin import origin_from_description
from CovidCTLib.reading.plausibility import check_hu, check_size, check_spacing
from CovidCTLib.reading.quiet import quiet_itk
from CovidCTLib.reading.stated_grid import StatedGrid, straightened
from CovidCTLib.reading.stored_values import agree_on_values
from CovidCTLib.scan import Scan, ScanFacts

FORMATS = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
}
"""Endings of file names, in small letters, and what they stand for."""

IMAGE_IO = {"NIfTI": "NiftiImageIO", "NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}
"""ITK's name of what reads each format."""

_HIGHEST_INT16 = int(np.iinfo(np.int16).max)

_ITK_SHEAR_DEG = 1e-3
"""ITK refuses axes that are off a right angle by some thousandths of a degree."""

_NOT_FOR_ITK = ("negative-spacing", "spacing-contradicts")
"""Headers with these notices are refused by ITK in some formats."""


def format_of(path: Path) -> str | None:
    """Name the format that a file's name stands for; None if it is none of `FORMATS`."""
    name = path.name.lower()
    return next((kind for ending, kind in FORMATS.items() if name.endswith(ending)), None)


def read_volume_file(
    path: Path,
    *,
    geometry: GeometrySource | None = None,
    spacing_zyx_mm: tuple[float, float, float] | None = None,
) -> Scan:
    """Read a CT volume from a NIfTI, NRRD or MetaImage file.

    Parameters
    ----------
    path
        One of `FORMATS`. Values are HU; a 4D image of one time point counts as 3D.
    geometry
        Which of the two grids of a NIfTI header is taken; None chooses.
    spacing_zyx_mm
        Distance of slices, rows and columns of the file in mm, in place of the header's.

    Raises
    ------
    InputError
        If the file is damaged, truncated, not 3D, too large, has colour channels, complex or infinite values, is a
        labelmap, its voxels cannot be measured in mm, its values cannot be the HU of a chest CT, or their bytes stand
        in another order than the header says.
    """
    kind = format_of(path)
    if kind is None:
        raise InputError(
            f"A file of one of the types {', '.join(FORMATS)} was expected, but its name does not end in one. "
            "Give the CT in one of them, or as a DICOM folder."
        )
    check_complete(path)
    header = read_header_grid(path, kind, geometry)
    image, description = _read_image(path, kind, header)
    values, doubts = agree_on_values(sitk.GetArrayViewFromImage(image))
    hu = _as_int16(values)
    notices = (*header.notices, *doubts)
    read = Geometry.from_image(image)
    if header.grid is None:
        check_spacing(read.spacing_xyz_mm)
        grid = read
    else:
        check_spacing(header.grid.spacing_xyz_mm)
        grid, hu, notices = _on_stated_grid(hu, header.grid, notices)
    facts = ScanFacts(
        source_format=kind,
        slice_count=grid.shape_zyx[0],
        spacing_known=header.spacing_known,
        grid_from=header.source,
    )
    origin = origin_from_description(description)
    if origin is not None:
        facts = replace(facts, source_format=f"{kind} from pictures", spacing_known=origin.spacing_known)
        notices = (*(n for n in notices if n.code != "spacing-assumed"), *origin.notices)
    scan = Scan.from_array(hu, grid, facts, notices)
    check_hu(scan.hu)
    return scan if spacing_zyx_mm is None else with_spacing(scan, spacing_zyx_mm)


def _on_stated_grid(
    hu: NDArray[np.int16] | NDArray[Any], stated: StatedGrid, notices: tuple[Notice, ...]
) -> tuple[Geometry, NDArray[Any], tuple[Notice, ...]]:
    """Lay voxels on the grid that the header states; those that are no finite numbers are for `Scan` to refuse."""
    if hu.dtype != np.int16:
        return Geometry((hu.shape[0], hu.shape[1], hu.shape[2])), hu, notices
    moved, grid, turned = straightened(hu, stated)
    return grid, moved, (*notices, *turned)


def _read_image(path: Path, kind: str, header: HeaderGrid) -> tuple[sitk.Image, str]:
    """Read the voxels; from a copy whose header ITK takes where it would not open the file by itself."""
    with quiet_itk(), _openable(path, kind, header) as readable:
        reader = open_volume(readable, kind)
        size = reader.GetSize()
        check_size(size)
        if reader.GetDimension() == 4:
            reader.SetExtractSize([*size[:3], 0])
        if reader.GetPixelID() == sitk.sitkFloat64:
            reader.SetOutputPixelType(sitk.sitkFloat32)
        try:
            return reader.Execute(), _description(reader)
        except RuntimeError as error:
            raise _damaged(kind, str(error)) from None
        except MemoryError:
            raise InputError(
                f"The image of {' x '.join(str(s) for s in size)} voxels does not fit into memory. Resample it to a "
                "coarser grid, or use a machine with more memory."
            ) from None


@contextmanager
def _openable(path: Path, kind: str, header: HeaderGrid) -> Iterator[Path]:
    """Give the file itself, or a copy with another header where ITK would refuse the grid or the name."""
    plain = header.grid is None or header.grid.shear_deg < _ITK_SHEAR_DEG
    contradicts = any(notice.code in _NOT_FOR_ITK for notice in header.notices)
    if plain and not contradicts and not (kind == "NIfTI" and has_other_name(path)):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="covidct-") as name:
        copies = neutral_nifti if kind == "NIfTI" else neutral_text_header
        with copies(path, Path(name)) as copy:
            yield copy


def _description(reader: sitk.ImageFileReader) -> str:
    """Free text of a NIfTI header; it is only compared, never shown, as it may name the patient."""
    return str(reader.GetMetaData("descrip")) if reader.HasMetaDataKey("descrip") else ""


def open_volume(path: Path, kind: str) -> sitk.ImageFileReader:
    """Read the header of a volume file; refuse what is not one 3D image of single values.

    Parameters
    ----------
    path
        The file.
    kind
        Its format, as `format_of` names it.

    Raises
    ------
    InputError
        If the header is damaged, or the image has colours, or not three dimensions.
    """
    reader = sitk.ImageFileReader()
    # By name: ITK would know neither upper-case endings nor refuse a picture that is named like a volume.
    reader.SetImageIO(IMAGE_IO[kind])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _damaged(kind, str(error)) from None
    size = reader.GetSize()
    times = " x ".join(str(s) for s in size)
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"A CT has one value a voxel, but this image has {reader.GetNumberOfComponents()} (colour or vectors). "
            "Give the original CT."
        )
    one_time_point = len(size) == 4 and size[3] == 1
    if len(size) != 3 and not one_time_point:
        raise InputError(
            f"A 3D CT was expected, but this image has {len(size)} dimensions ({times}). Give one 3D scan: not a "
            "single picture or a time series."
        )
    return reader


def _damaged(kind: str, message: str) -> InputError:
    """Make ITK's trace one line."""
    if re.search("orthonormal|non-?orthogonal|not orthogonal", message, re.IGNORECASE):
        return InputError(
            f"A rectangular grid was expected, but the axes of this {kind} file are sheared. Resample it to a "
            "rectangular grid (for example in 3D Slicer) and try again."
        )
    return InputError(
        f"A readable {kind} file was expected, but this one is damaged, truncated or of another type than its name "
        "says. Copy or export it again."
    )


def _as_int16(values: NDArray[Any]) -> NDArray[np.int16] | NDArray[Any]:
    """Round and clip to int16 slice by slice, so that no second copy in floats is made.

    Values that are no finite real numbers are given back as they are, for `Scan.from_array` to refuse.
    """
    if values.dtype.kind not in "iuf":
        return values
    hu = np.empty(values.shape, dtype=np.int16)
    for plane, target in zip(values, hu, strict=True):
        if values.dtype.kind == "f" and not np.isfinite(plane).all():
            return values
        limited = np.clip(plane, LOWEST_HU, _HIGHEST_INT16)
        target[:] = np.rint(limited) if values.dtype.kind == "f" else limited
    return hu
