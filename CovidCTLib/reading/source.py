"""One call that reads a CT from whatever path the user has."""

from __future__ import annotations

import os
from pathlib import Path

from CovidCTLib.errors import InputError
from CovidCTLib.reading.dicom_headers import find_dicom_files, looks_like_dicom, read_header
from CovidCTLib.reading.dicom_series import SeriesSummary, gather_series, read_series
from CovidCTLib.reading.volume_files import FORMATS, format_of, read_volume_file
from CovidCTLib.scan import Scan


def read_scan(path: str | os.PathLike[str], *, series: str | None = None, with_study_date: bool = False) -> Scan:
    """Read a chest CT.

    Parameters
    ----------
    path
        A folder with DICOM files (nested, other files among them), one DICOM file of a series, or a NIfTI (``.nii``,
        ``.nii.gz``), NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``) file.
    series
        Which series of a DICOM folder: its number in `list_series`, its SeriesInstanceUID or a unique ending of it.
        None takes the usable axial series with the most slices.
    with_study_date
        Whether ``facts.study_date`` is filled from DICOM.

    Returns
    -------
    Scan
        int16 HU on the scan's own grid; DICOM slices are ordered along their normal.

    Raises
    ------
    InputError
        If there is nothing at the path, it is of an unknown type, damaged, or no CT that can be used.
    SeriesChoiceError
        If the series asked for is not there or ambiguous.
    """
    place = Path(path)
    _check_exists(place)
    if place.is_dir():
        folder = gather_series(find_dicom_files(place))
        if not folder.series and not folder.damaged:
            raise InputError(_why_nothing(place))
        return read_series(folder, series, with_study_date=with_study_date)
    if format_of(place) is not None:
        if series is not None:
            raise InputError(
                "A series can only be chosen from a DICOM folder, but a single file was given. Leave it out."
            )
        return read_volume_file(place)
    if looks_like_dicom(place):
        header = read_header(place)
        if header is None:
            raise InputError("A DICOM CT image was expected, but this DICOM file holds no image. Give the CT's folder.")
        folder = gather_series(find_dicom_files(place.parent, nested=False))
        return read_series(folder, series or header.series, with_study_date=with_study_date)
    raise InputError(
        f"A DICOM folder or file, or one of {', '.join(FORMATS)}, was expected, but the file is of another type. "
        "Export the CT in one of these."
    )


def list_series(folder: str | os.PathLike[str]) -> tuple[SeriesSummary, ...]:
    """List the series of a DICOM folder, usable or not, without patient data.

    Parameters
    ----------
    folder
        A folder with DICOM files, nested, other files among them.

    Returns
    -------
    tuple of SeriesSummary
        By SeriesNumber; series without images are left out.

    Raises
    ------
    InputError
        If there is no such folder, or it holds no DICOM images.
    """
    place = Path(folder)
    _check_exists(place)
    if not place.is_dir():
        raise InputError("A folder with DICOM files was expected, but a single file was given. Give its folder.")
    found = gather_series(find_dicom_files(place)).series
    if not found:
        raise InputError(_why_nothing(place))
    return tuple(series.summary for series in found)


def _check_exists(place: Path) -> None:
    try:
        there = place.exists()
    except (OSError, ValueError):
        there = False
    if not there:
        raise InputError(f"A file or folder was expected at {os.fspath(place)!r}, but there is none. Check the path.")


def _why_nothing(place: Path) -> str:
    """Say what a folder without DICOM images holds instead."""
    names = [entry for entry in place.iterdir() if not entry.name.startswith(".")]
    if not names:
        return "A folder with the DICOM files of a CT was expected, but the folder is empty. Check the path."
    volumes = sum(format_of(entry) is not None for entry in names)
    if volumes:
        return (
            f"A folder with DICOM files was expected, but this one holds none; it holds {volumes} volume files (NIfTI, "
            "NRRD or MetaImage). Give one of these files itself."
        )
    return "A folder with the DICOM images of a CT was expected, but this one holds none. Check the path."
