"""The DICOM series behind a scan: patient, study and UIDs, for results that go back into the same study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.tag import Tag

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.reading.dicom_encoding import READ_FAILURES
from CovidCTLib.reading.dicom_headers import CT_CLASS, Frame, read_header
from CovidCTLib.reading.quiet import quiet_pydicom
from CovidCTLib.scan import SourceImage, SourceSeries

_KEYWORDS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientName", "PatientID", "IssuerOfPatientID",
    "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved",
    "DeidentificationMethod", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
_TAGS = [Tag(keyword) for keyword in _KEYWORDS]

LONGEST_UID = 64
"""Characters of a UID at most (DICOM PS3.5, 9.1)."""

PLACE_TOLERANCE = 0.05
"""An image lies on a slice of a grid within this share of a voxel, inclusive; positions are written with 16 characters
(DICOM PS3.5, DS) and grids that other programs read in float32."""

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def is_uid(text: str) -> bool:
    """Tell whether a text can be a UID: numbers with dots between, 64 characters at most."""
    return len(text) <= LONGEST_UID and _UID.fullmatch(text) is not None


def source_of_file(path: Path) -> SourceSeries | None:
    """Read whose study one image is of; None where it does not say, or cannot be read.

    Parameters
    ----------
    path
        A DICOM file.

    Returns
    -------
    SourceSeries or None
        Without images.
    """
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
            uids = [str(header.get(name) or "") for name in ("StudyInstanceUID", "SeriesInstanceUID")]
    except READ_FAILURES:
        return None
    return SourceSeries(header, ()) if all(is_uid(uid) for uid in uids) else None


def frame_of_reference_of(path: Path) -> str | None:
    """Read the FrameOfReferenceUID of a file; None where it has none that is valid, or cannot be read."""
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["FrameOfReferenceUID"], force=True)
            uid = str(header.get("FrameOfReferenceUID") or "").strip()
    except READ_FAILURES:
        return None
    return uid if is_uid(uid) else None


def read_source(frames: Sequence[Frame]) -> SourceSeries:
    """Read from the first file of a stack whose study it is, and name the images.

    Parameters
    ----------
    frames
        The images in the order of the slices.

    Returns
    -------
    SourceSeries
        With patient data, for DICOM results alone.

    Raises
    ------
    InputError
        If the first file is gone or damaged, or a UID is missing or no UID, as in series that were made anonymous
        without new UIDs.
    """
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(frames[0].path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
            uids = {
                name: str(header.get(name) or "").strip()
                for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
            }
            sop_class = str(header.get("SOPClassUID") or CT_CLASS)
    except READ_FAILURES:
        raise InputError(
            "The DICOM files of the CT were expected where they were read, but the first is gone or damaged. Put them "
            "back and analyze the CT again."
        ) from None
    for name, uid in uids.items():
        if not is_uid(uid):
            raise InputError(
                f"DICOM results need the CT's {name}, but its files have none that is valid (were they made "
                "anonymous?). Analyze without DICOM results, or give the files as the archive holds them."
            )
    nameless = sum(not is_uid(frame.instance) for frame in frames)
    if nameless:
        raise InputError(
            f"DICOM results need a SOPInstanceUID in each image, but {nameless} of {len(frames)} images have none that "
            "is valid (were they made anonymous?). Analyze without DICOM results, or give the files as the archive "
            "holds them."
        )
    images = tuple(
        SourceImage(
            sop_class,
            frame.instance,
            frame.index + 1 if frame.encoding.frames > 1 else None,
            frame.position_lps_mm,
        )
        for frame in frames
    )
    return SourceSeries(header, images)


def source_of_grid(files: Sequence[Path], geometry: Geometry) -> SourceSeries:
    """Read whose study the images of a CT are of, where another program has read their voxels.

    Parameters
    ----------
    files
        The DICOM files of the CT, in any order.
    geometry
        The grid on which the other program put them: slices along the third index, whichever end comes first.

    Returns
    -------
    SourceSeries
        Its images in the order of the slices.

    Raises
    ------
    InputError
        If a file is gone or damaged, the images are not one a slice of the grid, and as `read_source`.
    """
    frames: list[Frame] = []
    lost = 0
    for path in files:
        try:
            header = read_header(path) if path.is_file() else None
        except InputError:
            header = None
        lost += header is None
        frames += header.frames if header is not None else ()
    if lost or not frames:
        raise InputError(
            f"All DICOM files of the CT are needed for DICOM results, but {lost} of {len(files)} are gone or damaged. "
            "Load the CT again from its DICOM files."
        )
    of_slice = {_slice_of(frame, geometry): frame for frame in frames}
    of_slice.pop(None, None)
    count = geometry.shape_zyx[0]
    if len(of_slice) != count or len(frames) != count:
        raise InputError(
            f"Each slice of the CT must lie on one of its DICOM images, but of {count} slices {len(of_slice)} do, and "
            f"there are {len(frames)} images (was the CT cropped, resampled or moved?). Load it again from its DICOM "
            "files."
        )
    return read_source([of_slice[number] for number in range(count)])


def _slice_of(frame: Frame, geometry: Geometry) -> int | None:
    """Give the slice of a grid that an image lies on, pixel by pixel; None where there is none."""
    count, rows, columns = geometry.shape_zyx
    if frame.position_lps_mm is None or (frame.rows, frame.columns) != (rows, columns):
        return None
    i, j, k, _one = np.linalg.solve(geometry.ijk_to_lps, np.append(frame.position_lps_mm, 1.0))
    number = round(float(k))
    if max(abs(i), abs(j), abs(k - number)) > PLACE_TOLERANCE or not 0 <= number < count:
        return None
    return number
