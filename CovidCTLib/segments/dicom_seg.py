"""DICOM segmentations of any program, binary or label maps, on a grid of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.reading.dicom_encoding import READ_FAILURES
from CovidCTLib.reading.dicom_files import find_dicom_files
from CovidCTLib.reading.plausibility import check_size
from CovidCTLib.reading.quiet import quiet_pydicom
from CovidCTLib.segments.given import GivenSegment, Segmentation
from CovidCTLib.segments.structures import SegmentCode

DICOM_SEG = "DICOM SEG"
"""Kind of the segmentation, for people."""

SEGMENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
LABELMAP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
"""Segmentation Storage and Label Map Segmentation Storage (DICOM PS3.4, table B.5-1)."""

PLACE_TOLERANCE = 0.05
"""A frame lies on a plane of its grid within this share of their distance."""


def find_segmentations(folder: Path) -> tuple[Path, ...]:
    """List the DICOM segmentations in a folder, nested, other files among them."""
    return tuple(path for path in find_dicom_files(folder) if is_dicom_segmentation(path))


def is_dicom_segmentation(path: Path) -> bool:
    """Tell whether a DICOM file is a segmentation."""
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"], force=True)
            return str(header.get("SOPClassUID", "")) in (SEGMENTATION_CLASS, LABELMAP_CLASS)
    except READ_FAILURES:
        return False


def read_dicom_segmentations(paths: Sequence[Path]) -> Segmentation:
    """Read the segments of DICOM segmentations of one scan.

    Parameters
    ----------
    paths
        Files of one frame of reference.

    Raises
    ------
    InputError
        If a file is damaged, fractional, its frames make no grid, or two name different frames of reference.
    """
    segments: list[GivenSegment] = []
    frames: set[str] = set()
    for path in paths:
        try:
            with quiet_pydicom():
                dataset = pydicom.dcmread(path)
                segments += _segments(dataset)
                frames.add(str(dataset.get("FrameOfReferenceUID") or ""))
        except READ_FAILURES:
            raise InputError(
                "A DICOM segmentation that can be read was expected, but its content is damaged. Fetch it again."
            ) from None
    if len(frames - {""}) > 1:
        raise InputError(
            f"Segmentations of one scan were expected, but the {len(paths)} in the folder are of several frames of "
            "reference. Give the file of the one that is wanted."
        )
    return Segmentation(tuple(segments), DICOM_SEG, (), next(iter(frames - {""}), None))


@dataclass(frozen=True)
class _Stack:
    """Frames, their planes, and the grid that the planes make."""

    frames: NDArray[Any]
    planes: tuple[int, ...]
    geometry: Geometry

    def mask(self, numbers: Sequence[int] | None, value: int | None) -> tuple[NDArray[np.bool_], Geometry]:
        """The voxels of a segment and their grid: where its frames are not 0, or where all frames have a value."""
        mask = np.zeros(self.geometry.shape_zyx, bool)
        for number in range(len(self.planes)) if numbers is None else numbers:
            frame = self.frames[number]
            mask[self.planes[number]] |= (frame != 0) if value is None else (frame == value)
        return mask, self.geometry


def _segments(dataset: Dataset) -> list[GivenSegment]:
    kind = str(dataset.get("SegmentationType", ""))
    if kind not in ("BINARY", "LABELMAP"):
        raise InputError(
            f"A binary or label map segmentation was expected, but its type is {kind[:16]!r}. Export it as binary."
        )
    stack = _stack(dataset, kind)
    of_segment: dict[int, list[int]] = {}
    if kind == "BINARY":
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            holder = item if "SegmentIdentificationSequence" in item else shared
            segment = int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            of_segment.setdefault(segment, []).append(number)
    segments = []
    for item in dataset.SegmentSequence:
        number = int(item.SegmentNumber)
        if kind == "LABELMAP" and number == 0:
            continue
        voxels = (
            partial(stack.mask, of_segment.get(number, []), None)
            if kind == "BINARY"
            else partial(stack.mask, None, number)
        )
        segments.append(GivenSegment(str(item.get("SegmentLabel", "")), voxels, _code(item)))
    return segments


def _code(item: Dataset) -> SegmentCode | None:
    kinds = item.get("SegmentedPropertyTypeCodeSequence")
    if not kinds:
        return None
    modifiers = kinds[0].get("SegmentedPropertyTypeModifierCodeSequence") or ()
    modifier = str(modifiers[0].CodeValue) if modifiers else None
    return SegmentCode(str(kinds[0].CodingSchemeDesignator), str(kinds[0].CodeValue), modifier)


def _stack(dataset: Dataset, kind: str) -> _Stack:
    """Put the frames on the grid of their own planes; frames without voxels are often left out."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    items = list(dataset.PerFrameFunctionalGroupsSequence)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    check_size((len(items), rows, columns))
    orientations = [_group(item, shared, "PlaneOrientationSequence").ImageOrientationPatient for item in items]
    turned = [[float(v) for v in entry] for entry in orientations]
    if not np.allclose(turned, turned[0], atol=1e-4):
        raise InputError(
            "Frames of one orientation were expected, but those of the segmentation have several. Give one that lies "
            "on the slices of the CT."
        )
    measures = _group(items[0], shared, "PixelMeasuresSequence")
    row_mm, column_mm = (float(v) for v in measures.PixelSpacing)
    along_row, along_column = np.array(turned[0][:3]), np.array(turned[0][3:])
    normal = np.cross(along_row, along_column)
    positions = np.array([[float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient] for item in items])
    heights = positions @ normal
    step = _step(heights, measures)
    first = positions[int(np.argmin(heights))]
    planes = np.rint((heights - heights.min()) / step).astype(int)
    apart = np.abs(positions - (first + np.outer(planes * step, normal))).max()
    if apart > PLACE_TOLERANCE * max(step, row_mm, column_mm):
        raise InputError(
            f"Frames at equal distances were expected, but those of the segmentation lie up to {apart:.2g} mm off. "
            "Export it again on the slices of the CT."
        )
    shape = (int(planes.max()) + 1, rows, columns)
    check_size(shape)
    geometry = Geometry(
        shape,
        (column_mm, row_mm, step),
        tuple(float(v) for v in first),  # type: ignore[arg-type]
        tuple(float(v) for v in np.stack([along_row, along_column, normal], axis=1).ravel()),
    )
    return _Stack(unpacked_frames(dataset, kind), tuple(int(plane) for plane in planes), geometry)


def _group(item: Dataset, shared: Dataset, name: str) -> Any:
    """The functional group of a frame, its own or the one of all frames."""
    return (item if name in item else shared)[name].value[0]


def _step(heights: NDArray[np.float64], measures: Dataset) -> float:
    """Distance of the planes in mm: as stated where it fits, else the smallest between two frames."""
    apart = np.diff(np.unique(np.round(heights, 4)))
    stated = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    smallest = float(apart[apart > 1e-3].min()) if (apart > 1e-3).any() else None
    if stated is not None and float(stated) > 0:
        whole = np.rint(apart / float(stated)) * float(stated)
        if smallest is None or np.allclose(apart, whole, atol=PLACE_TOLERANCE * float(stated)):
            # The positions are more exact than the rounded distance in the header.
            total = np.rint((heights.max() - heights.min()) / float(stated))
            return float((heights.max() - heights.min()) / total) if total else float(stated)
    if smallest is None:
        raise InputError(
            "A segmentation that says how far its slices are apart was expected, but it has one plane and no distance. "
            "Export it again."
        )
    total = np.rint((heights.max() - heights.min()) / smallest)
    return float((heights.max() - heights.min()) / total)


def unpacked_frames(dataset: Dataset, kind: str) -> NDArray[Any]:
    """Unpack the frames of a segmentation.

    Parameters
    ----------
    dataset
        A segmentation with its pixels.
    kind
        Its SegmentationType, ``"BINARY"`` or ``"LABELMAP"``.

    Returns
    -------
    ndarray
        Whole numbers, shape ``(frames, rows, columns)``.

    Raises
    ------
    EOFError
        If there are fewer pixels than frames.
    """
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = np.asarray(dataset.pixel_array)
        return frames if frames.ndim == 3 else frames[None]
    shape = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
    pixels = np.frombuffer(dataset.PixelData, np.uint8)
    bits = 1 if kind == "BINARY" else int(dataset.BitsAllocated)
    if pixels.size * 8 < int(np.prod(shape)) * bits:
        raise EOFError("fewer pixels than frames")
    if kind == "BINARY":
        pixels = np.unpackbits(pixels, count=int(np.prod(shape)), bitorder="little")
    elif int(dataset.BitsAllocated) == 16:
        pixels = pixels.view("<u2")
    return pixels[: int(np.prod(shape))].reshape(shape)
