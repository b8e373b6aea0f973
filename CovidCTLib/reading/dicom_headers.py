"""DICOM headers: what a stack of slices needs to know about each image, and nothing about the patient."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pydicom
from pydicom.errors import InvalidDicomError

from CovidCTLib.errors import InputError
from CovidCTLib.reading.quiet import quiet_pydicom

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
"""Enhanced CT and Legacy Converted Enhanced CT (DICOM PS3.4, table B.5-1)."""

READ_FAILURES = (
    InvalidDicomError, OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    NotImplementedError, RuntimeError, OverflowError, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom and its plugins raise on a damaged or truncated file."""

LOCALIZER_WORDS = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM"})
PICTURE_WORDS = frozenset(
    {"MIP", "MINIP", "MAX_IP", "MIN_IP", "MAXIMUM", "MINIMUM", "PROJECTION", "PROJECTION IMAGE", "VOLUME RENDERING",
     "VRT", "SSD", "SCREEN SAVE", "DOSE", "DOSE_INFO", "PERFUSION", "MONITORING", "FILTERED_MAP", "PARAMETRIC_MAP"}
)  # fmt: skip
"""Values of ImageType (0008,0008) and FrameType (0008,9007) of images that do not show HU of slices."""

_PIXEL_DATA = (0x7FE0, 0x0010)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
PREAMBLE_BYTES = 128
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")

# Only these are taken from a file. No name, number, birth date or free text is among them.
_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "ImageType", "StudyDate",
    "Manufacturer", "ConvolutionKernel", "KVP", "SliceThickness", "AcquisitionNumber", "Rows", "Columns",
    "SamplesPerPixel", "NumberOfFrames", "BitsStored", "PixelRepresentation", "PixelSpacing", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip

Kind = Literal["original", "derived", "localizer", "picture", "colour", "not CT"]


@dataclass(frozen=True)
class Frame:
    """One image of a DICOM file.

    Parameters
    ----------
    path, index
        The file, and the frame's number in it from 0.
    instance
        SOPInstanceUID, to find copies of a file; never shown.
    kind
        What the image is, by SOP class and ImageType.
    rows, columns
        Pixels along y and x.
    position_lps_mm
        ImagePositionPatient: centre of the first pixel.
    orientation_lps
        ImageOrientationPatient: direction of growing columns (x), then of growing rows (y).
    spacing_yx_mm
        PixelSpacing: distance of rows, distance of columns.
    slope, intercept
        Of the rescale to HU; None where the file has none.
    bits_stored
        Significant bits of a stored value.
    padding
        Stored values from the first to the second, both inclusive, are padding.
    acquisition
        AcquisitionNumber.
    """

    path: Path
    index: int
    instance: str
    kind: Kind
    rows: int
    columns: int
    position_lps_mm: tuple[float, ...] | None
    orientation_lps: tuple[float, ...] | None
    spacing_yx_mm: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    bits_stored: int
    padding: tuple[int, int] | None
    acquisition: int | None


@dataclass(frozen=True)
class FileHeader:
    """What one DICOM file says of its series and its frames; ``complete`` is false where its pixels are cut off."""

    series: str
    series_number: int | None
    modality: str
    kernel: str | None
    manufacturer: str | None
    slice_thickness_mm: float | None
    tube_voltage_kv: float | None
    study_date: str | None
    frames: tuple[Frame, ...]
    complete: bool = True


def looks_like_dicom(path: Path) -> bool:
    """Tell by its first bytes (or, if it has none, its name) whether a file claims to be DICOM.

    Notes
    -----
    Files without preamble begin with an element of group 0002 or 0008 (DICOM PS3.10 demands the preamble, old
    archives lack it).
    """
    try:
        with path.open("rb") as file:
            start = file.read(PREAMBLE_BYTES + 4)
    except OSError:
        return path.suffix.lower() in _DICOM_SUFFIXES
    if start[PREAMBLE_BYTES:] == b"DICM":
        return True
    if start[:2] in _FIRST_GROUPS and start[3:4] == b"\x00" and len(start) > PREAMBLE_BYTES:
        return True
    return path.suffix.lower() in _DICOM_SUFFIXES


def find_dicom_files(folder: Path, *, nested: bool = True) -> Iterator[Path]:
    """Yield the files of a folder that look like DICOM, in the order of their names.

    Parameters
    ----------
    folder
        Where to look; links to folders are not followed.
    nested
        Whether to look into subfolders.
    """
    for place, folders, names in os.walk(folder):
        folders.sort()
        if not nested:
            folders.clear()
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and looks_like_dicom(path):
                yield path


def read_header(path: Path) -> FileHeader | None:
    """Read the header of a DICOM file, without its pixels.

    Returns
    -------
    FileHeader or None
        None for DICOM objects without pixels (reports, presentation states, DICOMDIR).

    Raises
    ------
    InputError
        If the file is damaged or truncated.
    """
    try:
        with quiet_pydicom():
            with path.open("rb") as file:
                dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
                # Lossless JPEG decoders fill a picture that is cut off, and say nothing.
                complete = _pixels_are_whole(file, dataset)
            if "SOPClassUID" not in dataset and "Rows" not in dataset and "DirectoryRecordSequence" not in dataset:
                meta_class = dataset.file_meta.get("MediaStorageSOPClassUID")
                if meta_class is None or str(meta_class) == CT_CLASS:
                    raise EOFError
                return None
            if "Rows" not in dataset:
                if str(dataset.get("SOPClassUID", "")) in (CT_CLASS, *ENHANCED_CT_CLASSES):
                    raise EOFError
                return None
            return _header(path, dataset, complete)
    except READ_FAILURES:
        # Not chained: the messages of pydicom may quote values of the header.
        raise InputError(
            "A readable DICOM file was expected, but its header is damaged or cut off. Copy the series again."
        ) from None


def _header(path: Path, dataset: Any, complete: bool) -> FileHeader:
    enhanced = str(dataset.get("SOPClassUID", "")) in ENHANCED_CT_CLASSES
    frames = _enhanced_frames(path, dataset) if enhanced else (_classic_frame(path, dataset),)
    groups = _Groups(dataset, 0)
    kernel = groups.find("CTReconstructionSequence", "ConvolutionKernel")
    return FileHeader(
        series=str(dataset.get("SeriesInstanceUID", "")),
        series_number=_integer(dataset.get("SeriesNumber")),
        modality=re.sub(r"[^A-Z0-9]", "", str(dataset.get("Modality", "")).upper())[:4],
        kernel=_text(kernel),
        manufacturer=_text(dataset.get("Manufacturer")),
        slice_thickness_mm=_number(groups.find("PixelMeasuresSequence", "SliceThickness")),
        tube_voltage_kv=_number(groups.find("CTXRayDetailsSequence", "KVP")),
        study_date=_date(dataset.get("StudyDate")),
        frames=frames,
        complete=complete,
    )


def _pixels_are_whole(file: BinaryIO, dataset: Any) -> bool:
    """Tell whether all bytes of the pixel data are there, from the element's start on (DICOM PS3.5, A.4)."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is not None and syntax.is_deflated:
        return True
    implicit = bool(dataset.original_encoding[0])
    order = "<" if dataset.original_encoding[1] else ">"
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    head = file.read(8 if implicit else 12)
    if len(head) < (8 if implicit else 12) or struct.unpack_from(f"{order}2H", head) != _PIXEL_DATA:
        return False
    (length,) = struct.unpack_from(f"{order}I", head, len(head) - 4)
    if length != _UNDEFINED_LENGTH:
        return file.tell() + length <= end
    while len(item := file.read(8)) == 8:
        tag, length = item[:4], int.from_bytes(item[4:], "little")
        if tag != _ITEM:
            return tag == _DELIMITER
        if file.tell() + length > end:
            return False
        file.seek(length, os.SEEK_CUR)
    return not item


class _Groups:
    """Values of an image: at the top level, in the frame's functional group, or in the shared one (PS3.3 C.7.6.16)."""

    def __init__(self, dataset: Any, index: int) -> None:
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or ()
        shared = dataset.get("SharedFunctionalGroupsSequence") or ()
        self._places = [*per_frame[index : index + 1], *shared[:1]]
        self._dataset = dataset

    def find(self, sequence: str, keyword: str) -> Any:
        for place in self._places:
            items = place.get(sequence)
            if items and keyword in items[0]:
                return items[0].get(keyword)
        return self._dataset.get(keyword)


def _classic_frame(path: Path, dataset: Any) -> Frame:
    modality_ct = str(dataset.get("SOPClassUID", "")) == CT_CLASS
    kind = _kind(dataset, dataset.get("ImageType")) if modality_ct else "not CT"
    return _frame(path, dataset, _Groups(dataset, 0), 0, kind)


def _enhanced_frames(path: Path, dataset: Any) -> tuple[Frame, ...]:
    count = _integer(dataset.get("NumberOfFrames")) or 1
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if described != count:
        raise ValueError(f"{count} frames, {described} described")
    frames = []
    for index in range(count):
        groups = _Groups(dataset, index)
        frame_type = groups.find("CTImageFrameTypeSequence", "FrameType") or dataset.get("ImageType")
        frames.append(_frame(path, dataset, groups, index, _kind(dataset, frame_type)))
    return tuple(frames)


def _frame(path: Path, dataset: Any, groups: _Groups, index: int, kind: Kind) -> Frame:
    return Frame(
        path=path,
        index=index,
        instance=str(dataset.get("SOPInstanceUID", "")),
        kind=kind,
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        position_lps_mm=_numbers(groups.find("PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation_lps=_numbers(groups.find("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        spacing_yx_mm=_numbers(groups.find("PixelMeasuresSequence", "PixelSpacing"), 2),
        slope=_number(groups.find("PixelValueTransformationSequence", "RescaleSlope")),
        intercept=_number(groups.find("PixelValueTransformationSequence", "RescaleIntercept")),
        bits_stored=int(dataset.get("BitsStored", 16)),
        padding=_padding(dataset),
        acquisition=_integer(
            groups.find("FrameContentSequence", "FrameAcquisitionNumber") or dataset.get("AcquisitionNumber")
        ),
    )


def _kind(dataset: Any, image_type: Any) -> Kind:
    words = [image_type] if isinstance(image_type, str) else list(image_type or ())
    upper = {str(word).strip().upper() for word in words}
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        return "colour"
    if upper & LOCALIZER_WORDS:
        return "localizer"
    if upper & PICTURE_WORDS:
        return "picture"
    return "derived" if "DERIVED" in upper else "original"


def _padding(dataset: Any) -> tuple[int, int] | None:
    first = _integer(dataset.get("PixelPaddingValue"))
    if first is None:
        return None
    last = _integer(dataset.get("PixelPaddingRangeLimit"))
    return (first, first) if last is None else (min(first, last), max(first, last))


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)


def _integer(value: Any) -> int | None:
    if isinstance(value, bytes):
        # The sign of a padding value is ambiguous until the pixels' sign is known; it is compared bit by bit later.
        return int.from_bytes(value[:2], "little")
    return None if value is None or value == "" else int(value)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None or value == "":
        return None
    numbers = tuple(float(v) for v in value)
    return numbers if len(numbers) == count else None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    return "\\".join(str(v).strip() for v in value) or None


def _date(value: Any) -> str | None:
    """DICOM's ``YYYYMMDD`` as ``YYYY-MM-DD``."""
    found = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", str(value or "").strip())
    return "-".join(found.groups()) if found else None
