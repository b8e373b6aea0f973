"""DICOM headers: what a stack of slices needs to know about each image, and nothing about the patient."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pydicom
from pydicom.tag import Tag
from pydicom.uid import UID

from CovidCTLib.errors import InputError
from CovidCTLib.reading.dicom_encoding import (
    META_BYTES,
    READ_FAILURES,
    Encoding,
    check_inflated_size,
    find_pixels,
    has_float_pixels,
    syntax_of,
)
from CovidCTLib.reading.dicom_kinds import Kind, kind_of
from CovidCTLib.reading.dicom_values import HeaderValues
from CovidCTLib.reading.quiet import quiet_pydicom

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
"""Enhanced CT and Legacy Converted Enhanced CT (DICOM PS3.4, table B.5-1)."""

MAX_TEXT = 64
"""Characters of a kernel or maker that are kept, the most that DICOM allows."""

# Only these are taken from a file. No name, number, birth date or free text is among them.
_KEYWORDS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "ImageType",
    "StudyDate", "Manufacturer", "ConvolutionKernel", "KVP", "SliceThickness", "SpacingBetweenSlices", "SliceLocation",
    "AcquisitionNumber", "InstanceNumber", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleSlope", "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient",
    "RescaleType", "AcquisitionTime", "TriggerTime", "TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DirectoryRecordSequence",
]  # fmt: skip
_PHILIPS_PIXELS = Tag(0x07A1, 0x100A)
"""Where Philips (Elscint) stores pixels in its own compression, with no PixelData beside them."""

_TAGS = [*(Tag(keyword) for keyword in _KEYWORDS), _PHILIPS_PIXELS]

_PHASES = ("TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase", "TriggerTime", "AcquisitionTime")
"""What tells phases of one series apart, in this order."""

SECONDARY_CAPTURE_CLASSES = tuple(f"1.2.840.10008.5.1.4.1.1.7{ending}" for ending in ("", ".1", ".2", ".3", ".4"))
"""Secondary Capture, single and multi-frame: what converters write that know no other class."""

Elsewhere = Literal["float", "Philips", "nowhere"]
"""Where pixels are that are not in PixelData."""


@dataclass(frozen=True)
class Frame:
    """One image of a DICOM file.

    Parameters
    ----------
    path, index
        The file, and the frame's number in it from 0.
    study
        StudyInstanceUID; never shown.
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
    encoding
        How the file stores its pixels.
    padding
        Stored values from the first to the second, both inclusive, are padding.
    acquisition, number
        AcquisitionNumber and InstanceNumber.
    kernel
        ConvolutionKernel.
    location_mm, distance_mm
        SliceLocation, and SpacingBetweenSlices or else SliceThickness; only used where `assume_axial` is asked for.
    phases
        What may tell phases of one series apart, as text, in the order of `_PHASES`; then ImageType.
    """

    path: Path
    index: int
    study: str
    instance: str
    kind: Kind
    rows: int
    columns: int
    position_lps_mm: tuple[float, ...] | None
    orientation_lps: tuple[float, ...] | None
    spacing_yx_mm: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    encoding: Encoding
    padding: tuple[int, int] | None
    acquisition: int | None
    number: int | None
    kernel: str | None
    location_mm: float | None
    distance_mm: float | None
    phases: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileHeader:
    """What one DICOM file says of its series and its frames.

    ``complete`` is false where its pixels are cut off, ``elsewhere`` names where they are if not in PixelData,
    ``secondary_capture`` tells that its storage class is one of those, and ``unreadable`` holds the
    keywords of values that no volume needs and that could not be read.
    """

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
    elsewhere: Elsewhere | None = None
    secondary_capture: bool = False
    unreadable: frozenset[str] = frozenset()


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
        with quiet_pydicom(), path.open("rb") as file:
            check_inflated_size(file, file.read(META_BYTES))
            file.seek(0)
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
            values = HeaderValues(dataset)
            sop_class = str(values.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")
            if "Rows" not in values:
                nothing = not sop_class and "DirectoryRecordSequence" not in values
                if nothing or sop_class in (CT_CLASS, *ENHANCED_CT_CLASSES):
                    raise EOFError
                return None
            elsewhere = _elsewhere(file, dataset)
            start, length, complete = find_pixels(file, dataset)
            encoding = _encoding(values, syntax_of(dataset, native=length is not None), start, length)
            if not sop_class and str(values.get("Modality", "")) == "CT":
                sop_class = CT_CLASS
            header = _header(path, values, sop_class, encoding, complete or elsewhere is not None)
            return replace(header, elsewhere=elsewhere)
    except InputError:
        raise
    except READ_FAILURES:
        # Not chained: the messages of pydicom may quote values of the header.
        raise InputError(
            "A readable DICOM file was expected, but its header is damaged or cut off. Copy the series again."
        ) from None


def _elsewhere(file: BinaryIO, dataset: Any) -> Elsewhere | None:
    """Tell where the pixels are if the header is not followed by PixelData; None where it is, or is cut off."""
    if has_float_pixels(file, dataset):
        return "float"
    if syntax_of(dataset, native=True).is_deflated:
        return None
    position = file.tell()
    at_end = not file.read(1)
    file.seek(position)
    if not at_end:
        return None
    return "Philips" if _PHILIPS_PIXELS in dataset else "nowhere"


def _encoding(dataset: HeaderValues, syntax: UID, start: int | None, length: int | None) -> Encoding:
    bits_allocated = int(dataset.get("BitsAllocated", 16))
    bits_stored = min(max(int(dataset.get("BitsStored", bits_allocated)), 1), bits_allocated)
    high_bit = int(dataset.get("HighBit", bits_stored - 1))
    if not bits_stored <= high_bit + 1 <= bits_allocated:
        high_bit = bits_stored - 1
    encapsulated = not syntax.is_transfer_syntax or syntax.is_encapsulated
    return Encoding(
        syntax=str(syntax),
        start=start if encapsulated or syntax.is_little_endian else None,
        length=None if encapsulated else length,
        frames=_integer(dataset.get("NumberOfFrames")) or 1,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=high_bit,
        signed=bool(dataset.get("PixelRepresentation", 0)),
    )


def _header(path: Path, dataset: HeaderValues, sop_class: str, encoding: Encoding, complete: bool) -> FileHeader:
    if sop_class in ENHANCED_CT_CLASSES:
        frames = _enhanced_frames(path, dataset, encoding)
    else:
        frames = _plain_frames(path, dataset, sop_class, encoding)
    groups = _Groups(dataset, 0)
    return FileHeader(
        series=str(dataset.get("SeriesInstanceUID", "")),
        series_number=dataset.optional("SeriesNumber", _integer, lambda: dataset.get("SeriesNumber")),
        modality=re.sub(r"[^A-Z0-9]", "", str(dataset.get("Modality", "")).upper())[:4],
        kernel=frames[0].kernel,
        manufacturer=text_of(dataset.get("Manufacturer")),
        slice_thickness_mm=groups.number("PixelMeasuresSequence", "SliceThickness"),
        tube_voltage_kv=groups.number("CTXRayDetailsSequence", "KVP"),
        study_date=dataset.optional("StudyDate", date_of, lambda: dataset.get("StudyDate")),
        frames=frames,
        complete=complete,
        secondary_capture=sop_class in SECONDARY_CAPTURE_CLASSES,
        unreadable=frozenset(dataset.unreadable),
    )


def _plain_frames(path: Path, dataset: HeaderValues, sop_class: str, encoding: Encoding) -> tuple[Frame, ...]:
    """Describe the image of a file that is no enhanced CT; all of its frames alike where it has several."""
    groups = _Groups(dataset, 0)
    placed = _frame(path, dataset, groups, 0, "not CT", encoding)
    if sop_class == CT_CLASS or (sop_class in SECONDARY_CAPTURE_CLASSES and _may_be_ct(dataset, placed)):
        placed = replace(placed, kind=kind_of(dataset, dataset.get("ImageType")))
    if placed.kind == "not CT" or encoding.frames == 1:
        return (placed,)
    # Frames of a class that knows one image have no places of their own.
    bare = replace(placed, position_lps_mm=None, location_mm=None, number=None)
    return tuple(replace(bare, index=index) for index in range(encoding.frames))


def _may_be_ct(dataset: HeaderValues, frame: Frame) -> bool:
    """Tell whether a secondary capture has a place, orientation and spacing, as CT slices have."""
    whole = None not in (frame.position_lps_mm, frame.orientation_lps, frame.spacing_yx_mm)
    modality = str(dataset.get("Modality", "")).upper().strip()
    return whole and frame.encoding.bits_allocated == 16 and modality in ("CT", "OT", "SC", "")


class _Groups:
    """Values of an image: at the top level, in the frame's functional group, or in the shared one (PS3.3 C.7.6.16)."""

    def __init__(self, dataset: HeaderValues, index: int) -> None:
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or ()
        shared = dataset.get("SharedFunctionalGroupsSequence") or ()
        self._groups = [*per_frame[index : index + 1], *shared[:1]]
        self._dataset = dataset

    def find(self, sequence: str, keyword: str) -> Any:
        for group in self._groups:
            items = group.get(sequence)
            if items and keyword in items[0]:
                return items[0].get(keyword)
        return self._dataset.get(keyword)

    def number(self, sequence: str, keyword: str) -> float | None:
        """Give a number that no volume needs."""
        return self._dataset.optional(keyword, _number, lambda: self.find(sequence, keyword))


def _enhanced_frames(path: Path, dataset: HeaderValues, encoding: Encoding) -> tuple[Frame, ...]:
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if described != encoding.frames:
        raise ValueError(f"{encoding.frames} frames, {described} described")
    frames = []
    for index in range(encoding.frames):
        groups = _Groups(dataset, index)
        frame_type = groups.find("CTImageFrameTypeSequence", "FrameType") or dataset.get("ImageType")
        frames.append(_frame(path, dataset, groups, index, kind_of(dataset, frame_type), encoding))
    return tuple(frames)


def _frame(path: Path, dataset: HeaderValues, groups: _Groups, index: int, kind: Kind, encoding: Encoding) -> Frame:
    distance = groups.number("PixelMeasuresSequence", "SpacingBetweenSlices")
    thickness = groups.number("PixelMeasuresSequence", "SliceThickness")
    optional = dataset.optional
    return Frame(
        path=path,
        index=index,
        study=str(dataset.get("StudyInstanceUID", "")),
        instance=str(dataset.get("SOPInstanceUID", "")),
        kind=kind,
        rows=int(dataset.get("Rows")),
        columns=int(dataset.get("Columns")),
        position_lps_mm=_numbers(groups.find("PlanePositionSequence", "ImagePositionPatient"), 3),
        orientation_lps=_numbers(groups.find("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        spacing_yx_mm=_numbers(groups.find("PixelMeasuresSequence", "PixelSpacing"), 2),
        slope=_number(groups.find("PixelValueTransformationSequence", "RescaleSlope")),
        intercept=_number(groups.find("PixelValueTransformationSequence", "RescaleIntercept")),
        encoding=encoding,
        padding=_padding(dataset),
        acquisition=optional(
            "AcquisitionNumber",
            _integer,
            lambda: groups.find("FrameContentSequence", "FrameAcquisitionNumber") or dataset.get("AcquisitionNumber"),
        ),
        number=optional("InstanceNumber", _integer, lambda: dataset.get("InstanceNumber")),
        kernel=text_of(groups.find("CTReconstructionSequence", "ConvolutionKernel")),
        location_mm=optional("SliceLocation", _number, lambda: dataset.get("SliceLocation")),
        distance_mm=thickness if distance is None else distance,
        phases=(
            *(optional(name, _text, partial(dataset.get, name)) or "" for name in _PHASES),
            _text(dataset.get("ImageType")),
        ),
    )


def _padding(dataset: HeaderValues) -> tuple[int, int] | None:
    first = _integer(dataset.get("PixelPaddingValue"))
    if first is None:
        return None
    last = _integer(dataset.get("PixelPaddingRangeLimit"))
    return (first, first) if last is None else (min(first, last), max(first, last))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _float(value: Any) -> float:
    """Read a number, with a decimal comma, too: pydicom gives what it cannot read as text."""
    return float(value.replace(",", ".")) if isinstance(value, str) else float(value)


def _number(value: Any) -> float | None:
    number = None if value is None or value == "" else _float(value)
    if number is not None and not math.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


def _integer(value: Any) -> int | None:
    if isinstance(value, bytes):
        # The sign of a padding value is ambiguous until the pixels' sign is known; it is compared bit by bit later.
        return int.from_bytes(value[:2], "little")
    return None if value is None or value == "" else int(value)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None or value == "":
        return None
    numbers = tuple(_float(v) for v in value)
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def text_of(value: Any) -> str | None:
    """Give a value as one line of printable characters; several values are joined by DICOM's backslash."""
    joined = value if value is None or isinstance(value, str) else "\\".join(str(v).strip() for v in value)
    return "".join(c for c in joined or "" if c.isprintable()).strip()[:MAX_TEXT] or None


def date_of(value: Any) -> str | None:
    """DICOM's ``YYYYMMDD`` as ``YYYY-MM-DD``."""
    match = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", str(value or "").strip())
    return "-".join(match.groups()) if match else None
