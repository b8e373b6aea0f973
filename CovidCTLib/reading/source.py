"""One call that reads a CT from whatever path the user has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.reading.archive import is_archive, unpacked
from CovidCTLib.reading.dicom_axial import scan_as_axial
from CovidCTLib.reading.dicom_files import DIRECTORY_NAME, count_links_out, find_dicom_files, is_dicom_file
from CovidCTLib.reading.dicom_headers import read_header
from CovidCTLib.reading.dicom_scan import read_series
from CovidCTLib.reading.dicom_series import DicomFolder, SeriesSummary, gather_series
from CovidCTLib.reading.fill import without_fill
from CovidCTLib.reading.given_grid import check_given_spacing
from CovidCTLib.reading.identifiers import with_identifiers
from CovidCTLib.reading.nifti_header import GEOMETRY_SOURCES, GeometrySource
from CovidCTLib.reading.volume_files import FORMATS, format_of, read_volume_file
from CovidCTLib.scan import Identifiers, Scan

_LONGEST_SHOWN = 200
"""Characters of a path that a message shows; it is the end that tells files apart."""


class GridWishes(TypedDict):
    """What stands for a header that is wrong about the grid, as `read_scan` takes it."""

    assume_axial: bool
    geometry: GeometrySource | None
    spacing_zyx_mm: tuple[float, float, float] | None


class _Wishes(TypedDict):
    """What `gather_series` is asked for."""

    axial: bool
    acquisition: int | None
    spacing: tuple[float, float, float] | None


def read_scan(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    acquisition: int | None = None,
    with_study_date: bool = False,
    assume_axial: bool = False,
    identified: bool = False,
    with_source: bool = False,
    geometry: GeometrySource | None = None,
    spacing_zyx_mm: tuple[float, float, float] | None = None,
) -> Scan:
    """Read a chest CT.

    Parameters
    ----------
    path
        A folder with DICOM files (nested, other files among them), its DICOMDIR, a ZIP archive of it, one DICOM file
        of a series, or a NIfTI (``.nii``, ``.nii.gz``), NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``)
        file. Links that lead out of the folder are not followed.
    series
        Which series of a DICOM folder: its number in `list_series`, its SeriesInstanceUID or a unique ending of it.
        None takes the usable axial series with the most slices.
    acquisition
        Which acquisition of the series, where it holds several: its number in `list_series`, which is DICOM's
        AcquisitionNumber wherever that tells the images apart. None takes all that fit together, else the largest.
    with_study_date
        Whether ``facts.study_date`` is filled from DICOM.
    assume_axial
        Whether the slices are taken for axial ones, whatever orientation the headers give: for files whose
        orientation a converter lost. A notice says so.
    identified
        Whether `Scan.identifiers` is filled from DICOM: patient data, which then go into the results. A notice says so.
    with_source
        Whether `Scan.source` is filled from DICOM: patient, study and UIDs, which DICOM results need
        (`CovidCTLib.dicom_results`) and nothing else shows.
    geometry
        Which grid of a NIfTI header is taken, ``"sform"`` or ``"qform"``; None takes the sform where it is of the
        scanner.
    spacing_zyx_mm
        Distance of slices, rows and columns in mm, in place of what the headers say. A notice says so.

    Returns
    -------
    Scan
        int16 HU on the scan's own grid; DICOM slices are ordered along their normal.

    Raises
    ------
    InputError
        If there is nothing at the path, it is of an unknown type, damaged, or no CT that can be used; there is no
        such acquisition; or the source is asked for, and the file is no DICOM.
    SeriesChoiceError
        If the series asked for is not there or ambiguous.
    OptionsError
        If the spacing is none, or there is no such geometry.
    """
    if spacing_zyx_mm is not None:
        check_given_spacing(spacing_zyx_mm)
    if geometry is not None and geometry not in GEOMETRY_SOURCES:
        raise OptionsError(f"The geometry must be one of {', '.join(GEOMETRY_SOURCES)}, not {geometry!r}. Choose one.")
    source = _existing(path)
    if geometry is not None and format_of(source) is None:
        raise InputError("The geometry chooses between the two grids of a NIfTI file, but this is none. Leave it out.")
    return without_fill(
        _read(
            source,
            _Asked(
                series, acquisition, with_study_date, assume_axial, identified, with_source, geometry, spacing_zyx_mm
            ),
        )
    )


@dataclass(frozen=True)
class _Asked:
    """What `read_scan` was asked for."""

    series: str | None
    acquisition: int | None
    with_study_date: bool
    assume_axial: bool
    identified: bool
    with_source: bool
    geometry: GeometrySource | None
    spacing_zyx_mm: tuple[float, float, float] | None


def _read(source: Path, asked: _Asked) -> Scan:
    """Read what is at a path that exists."""
    facts = {"with_study_date": asked.with_study_date, "identified": asked.identified, "with_source": asked.with_source}
    wishes: _Wishes = {
        "axial": asked.assume_axial,
        "acquisition": asked.acquisition,
        "spacing": asked.spacing_zyx_mm,
    }
    if source.is_dir() or source.name.upper() == DIRECTORY_NAME or is_archive(source):
        with _gathered(source, **wishes) as folder:
            return read_series(folder, asked.series, **facts)
    if format_of(source) is not None:
        if asked.series is not None:
            raise InputError(
                "A series can only be chosen from a DICOM folder, but a single file was given. Leave it out."
            )
        if asked.acquisition is not None:
            raise InputError(
                "An acquisition can only be chosen from a DICOM folder, but a single file was given. Leave it out."
            )
        if asked.with_source:
            raise InputError(
                "DICOM results need a CT that came as DICOM, but this is a volume file: it names no study to go into. "
                "Give the folder of the DICOM files, or leave DICOM results out."
            )
        scan = read_volume_file(source, geometry=asked.geometry, spacing_zyx_mm=asked.spacing_zyx_mm)
        scan = scan_as_axial(scan) if asked.assume_axial else scan
        return with_identifiers(scan, Identifiers()) if asked.identified else scan
    if is_dicom_file(source):
        header = read_header(source)
        if header is None:
            raise InputError("A DICOM CT image was expected, but this DICOM file holds no image. Give the CT's folder.")
        beside = find_dicom_files(source.parent, nested=False)
        folder = gather_series(beside, **wishes)
        return read_series(folder, asked.series or header.series, **facts)
    raise InputError(
        f"A DICOM folder or file, a ZIP archive, or one of {', '.join(FORMATS)}, was expected, but the file is of "
        "another type. Export the CT in one of these."
    )


def list_series(folder: str | os.PathLike[str], *, assume_axial: bool = False) -> tuple[SeriesSummary, ...]:
    """List the series of a DICOM folder, usable or not, without patient data.

    Parameters
    ----------
    folder
        A folder with DICOM files, nested, other files among them; its DICOMDIR; or a ZIP archive of it.
    assume_axial
        As for `read_scan`.

    Returns
    -------
    tuple of SeriesSummary
        By SeriesNumber; series without images are left out.

    Raises
    ------
    InputError
        If there is no such folder, or it holds no DICOM images.
    """
    source = _existing(folder)
    if not (source.is_dir() or source.name.upper() == DIRECTORY_NAME or is_archive(source)):
        if format_of(source) is not None:
            raise InputError(
                "A folder with DICOM files was expected, but a volume file was given; it holds one CT and no series. "
                "Analyze the file itself."
            )
        raise InputError("A folder with DICOM files was expected, but a single file was given. Give its folder.")
    with _gathered(source, axial=assume_axial) as gathered:
        if not gathered.series:
            raise InputError(_why_nothing(source))
        return tuple(series.summary for series in gathered.series)


@contextmanager
def _gathered(
    source: Path, *, axial: bool, acquisition: int | None = None, spacing: tuple[float, float, float] | None = None
) -> Iterator[DicomFolder]:
    """Gather the series of a folder, a DICOMDIR's folder, or an archive that stays unpacked meanwhile."""
    if source.is_file() and source.name.upper() != DIRECTORY_NAME:
        with unpacked(source) as folder:
            yield _gather(source, folder, axial, acquisition, spacing)
        return
    yield _gather(source, source if source.is_dir() else source.parent, axial, acquisition, spacing)


def _gather(
    source: Path, folder: Path, axial: bool, acquisition: int | None, spacing: tuple[float, float, float] | None
) -> DicomFolder:
    gathered = gather_series(find_dicom_files(folder), axial=axial, acquisition=acquisition, spacing=spacing)
    if not gathered.series and not gathered.damaged:
        raise InputError(_why_nothing(source))
    return gathered


def _existing(path: str | os.PathLike[str]) -> Path:
    """Give the path of a folder or regular file, with links resolved: what it names is what the user asked for."""
    source = Path(path)
    try:
        there = source.exists()
    except (OSError, ValueError):
        there = False
    if not there:
        given = os.fspath(path)
        shown = given if len(given) <= _LONGEST_SHOWN else f"...{given[-_LONGEST_SHOWN:]}"
        raise InputError(f"A file or folder was expected at {shown!r}, but there is none. Check the path.")
    if not (source.is_dir() or source.is_file()):
        raise InputError("A file or folder was expected, but this is a pipe or device. Save the CT to a file first.")
    return source.resolve() if source.is_symlink() else source


def _why_nothing(source: Path) -> str:
    """Say what a folder without DICOM images holds instead."""
    if not source.is_dir():
        return "The DICOM images of a CT were expected, but the archive or medium holds none. Check the file."
    names = [entry for entry in source.iterdir() if not entry.name.startswith(".")]
    if not names:
        return "A folder with the DICOM files of a CT was expected, but the folder is empty. Check the path."
    volumes = sum(format_of(entry) is not None for entry in names)
    if volumes:
        return (
            f"A folder with DICOM files was expected, but this one holds none; it holds {volumes} volume files (NIfTI, "
            "NRRD or MetaImage). Give one of these files itself."
        )
    links = count_links_out(source)
    if links:
        return (
            f"A folder with the DICOM images of a CT was expected, but this one holds none, and {links} links that "
            "lead out of it are not followed. Give the folder that they lead to."
        )
    return "A folder with the DICOM images of a CT was expected, but this one holds none. Check the path."
