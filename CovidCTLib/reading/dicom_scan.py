"""One series of a DICOM folder read as a scan."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.reading.dicom_choice import choose_series
from CovidCTLib.reading.dicom_pixels import read_volume
from CovidCTLib.reading.dicom_series import DicomFolder, Series
from CovidCTLib.reading.dicom_source import frame_of_reference_of, read_source
from CovidCTLib.reading.dicom_stack import Stack
from CovidCTLib.reading.identifiers import known_kernel, known_maker, read_identifiers, with_identifiers
from CovidCTLib.reading.plausibility import lacks_fat
from CovidCTLib.scan import Scan, ScanFacts

_DOUBTFUL_KINDS = {
    "derived": (
        Notice(
            "derived-images",
            "The images were computed from others (reformatted or compressed with loss); HU may differ from the "
            "scanner's.",
        ),
    ),
    "unknown unit": (
        Notice(
            "unknown-unit",
            "By their header (RescaleType) the values of the images are in a unit that is neither HU nor one of the "
            "known maps; they have air and tissue where HU have them, and were read as HU. Check in a viewer that air "
            "has about -1000 and muscle about 50.",
        ),
    ),
}


_Choice = tuple[Series, Stack, tuple[Notice, ...], NDArray[np.int16], tuple[Notice, ...]]
"""A series, its plan, why it was chosen, its HU, and what was found in its pixels."""


def _read_choice(folder: DicomFolder, wanted: str | None) -> _Choice:
    """Read the series that is chosen; where the user names none, one whose values are no HU is left for the next."""
    final = wanted is not None or sum(series.stack is not None for series in folder.series) < 2
    left: list[int] = []
    without_fat: _Choice | None = None
    refused: InputError | None = None
    while True:
        try:
            choice = choose_series(folder, wanted, left)
        except InputError as error:
            # The first that was read, or else why it could not be, is told rather than that nothing is left.
            if without_fat is not None:
                return without_fat
            raise refused or error from None
        try:
            values = read_volume(choice[1])
        except InputError as error:
            if final or error.notice is None:
                raise
            refused = refused or error
        else:
            if final or not lacks_fat(values[0]):
                return (*choice, *values)
            without_fat = without_fat or (*choice, *values)
        left.append(choice[0].summary.number)


def read_series(
    folder: DicomFolder,
    wanted: str | None = None,
    *,
    with_study_date: bool = False,
    identified: bool = False,
    with_source: bool = False,
) -> Scan:
    """Read one series of a folder as a scan.

    Parameters
    ----------
    folder
        The series, from `gather_series`.
    wanted
        See `choose_series`.
    with_study_date
        Whether the facts hold the study date.
    identified
        Whether the scan says who was scanned.
    with_source
        Whether the scan keeps the series that it came from (`Scan.source`).

    Raises
    ------
    InputError
        If no series can be used, files beside its slices are damaged, or its values are no HU.
    SeriesChoiceError
        If the series wanted is not there or ambiguous.
    """
    chosen, stack, notices, hu, pixel_notices = _read_choice(folder, wanted)
    folders = {os.fspath(frame.path.parent) for frame in stack.frames}
    beside = sum(os.fspath(parent) in folders for parent in folder.damaged)
    if beside:
        raise InputError(
            f"All files of the series must be readable, but {beside} DICOM files beside its {len(stack.frames)} slices "
            "are damaged or truncated. Copy or export the series again."
        )
    notices = (*notices, *_DOUBTFUL_KINDS.get(stack.frames[0].kind, ()))
    notices = (*notices, *_doubts(folder, chosen))
    header = next(one for one in chosen.headers if one.frames[0].path == stack.frames[0].path)
    facts = ScanFacts(
        source_format="DICOM",
        slice_count=len(stack.frames),
        grid_from="given" if any(notice.code == "given-spacing" for notice in stack.notices) else None,
        kernel=known_kernel(header.kernel),
        manufacturer=known_maker(header.manufacturer),
        slice_thickness_mm=header.slice_thickness_mm,
        tube_voltage_kv=header.tube_voltage_kv,
        study_date=header.study_date if with_study_date else None,
    )
    scan = Scan.from_array(hu, stack.geometry, facts, (*notices, *stack.notices, *pixel_notices))
    scan = replace(scan, frame_of_reference=frame_of_reference_of(stack.frames[0].path))
    if with_source:
        scan = replace(scan, source=read_source(stack.frames))
    return with_identifiers(scan, read_identifiers(header.frames[0].path)) if identified else scan


def _doubts(folder: DicomFolder, chosen: Series) -> tuple[Notice, ...]:
    """Say what contradicts the series: its Modality, or a DICOMDIR that lists more files."""
    notices = []
    if any(header.secondary_capture for header in chosen.headers):
        notices.append(
            Notice(
                "modality-contradicts",
                "The images are stored as Secondary Capture, as converters write them, but have all that CT slices "
                f"have (Modality {chosen.summary.modality or 'absent'}); they were read as CT.",
            )
        )
    elif chosen.summary.modality not in ("CT", ""):
        notices.append(
            Notice(
                "modality-contradicts",
                f"The images are stored as CT, but their Modality is {chosen.summary.modality}; they were read as CT.",
            )
        )
    there = {frame.instance for header in chosen.headers for frame in header.frames}
    listed = folder.listed.get(chosen.uid, frozenset())
    absent = len(listed - there)
    # A DICOMDIR of another medium may lie beside the files.
    if absent and listed & there:
        notices.append(
            Notice(
                "listed-files-absent",
                f"The DICOMDIR lists {len(listed)} images of the series, but {absent} of them are not there. Copy the "
                "whole medium to be sure.",
                value=absent,
                unit="images",
            )
        )
    return tuple(notices)
