"""Segments of a DICOM segmentation (SEG), read onto the grid of a CT."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import LABELS, Label
from CovidCTLib.reading.dicom_encoding import READ_FAILURES
from CovidCTLib.reading.quiet import quiet_pydicom
from CovidCTLib.segments.dicom_seg import unpacked_frames

PLACE_TOLERANCE = 0.05
"""A frame lies on a plane of the grid within this share of a voxel; positions are written with 16 characters."""


def read_segments(path: str | os.PathLike[str], geometry: Geometry) -> Mapping[Label, NDArray[np.bool_]]:
    """Read the segments of a DICOM SEG whose codes are those of CovidCT's labels, whichever program made it.

    Parameters
    ----------
    path
        Binary segmentation or label map segmentation, not compressed.
    geometry
        Grid to put the segments on; frames must lie on its planes, pixel by pixel.

    Returns
    -------
    mapping from Label to NDArray of bool
        Shape ``geometry.shape_zyx``, one entry a segment whose codes are known, empty ones included.

    Raises
    ------
    InputError
        If the file is no such SEG, is damaged, or lies on another grid.
    """
    dataset = read_object(Path(path))
    try:
        return _segments(dataset, geometry)
    except InputError:
        raise
    except READ_FAILURES:
        raise InputError(
            "A DICOM segmentation that can be read was expected, but its content is damaged. Fetch it again."
        ) from None


def _segments(dataset: Dataset, geometry: Geometry) -> dict[Label, NDArray[np.bool_]]:
    kind = str(dataset.get("SegmentationType", ""))
    if kind not in ("BINARY", "LABELMAP"):
        raise InputError(
            f"A binary or label map segmentation was expected, but its type is {kind[:16]!r}. Export it as binary."
        )
    label_of_number = {int(item.SegmentNumber): _label_of(item) for item in dataset.SegmentSequence}
    masks = {label: np.zeros(geometry.shape_zyx, bool) for label in label_of_number.values() if label is not None}
    planes = planes_on_grid(dataset, geometry)
    frames = unpacked_frames(dataset, kind)
    for number, plane in enumerate(planes):
        if kind == "LABELMAP":
            for value, label in label_of_number.items():
                if label is not None:
                    masks[label][plane] |= frames[number] == value
            continue
        item = dataset.PerFrameFunctionalGroupsSequence[number].SegmentIdentificationSequence[0]
        label = label_of_number.get(int(item.ReferencedSegmentNumber))
        if label is not None:
            masks[label][plane] |= frames[number] != 0
    return masks


def _label_of(item: Dataset) -> Label | None:
    """Find the label of a segment by its codes."""
    kind = item.SegmentedPropertyTypeCodeSequence[0]
    modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence") or ()
    modifier = str(modifiers[0].CodeValue) if modifiers else None
    for label in LABELS:
        same = str(kind.CodeValue) == label.type.value and str(kind.CodingSchemeDesignator) == label.type.scheme
        if same and modifier == (label.modifier.value if label.modifier else None):
            return label
    return None


def planes_on_grid(dataset: Dataset, geometry: Geometry) -> list[int]:
    """Give the plane of the grid that each frame lies on."""
    count, rows, columns = geometry.shape_zyx
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
    direction = geometry.direction_matrix
    same = (
        (int(dataset.Rows), int(dataset.Columns)) == (rows, columns)
        and np.allclose(orientation, [*direction[:, 0], *direction[:, 1]], atol=1e-4)
        and np.allclose(spacing, [geometry.spacing_xyz_mm[1], geometry.spacing_xyz_mm[0]], rtol=1e-4)
    )
    if not same:
        raise _other_grid(dataset, geometry)
    to_index = np.linalg.inv(geometry.ijk_to_lps)
    planes = []
    for item in dataset.PerFrameFunctionalGroupsSequence:
        position = [float(v) for v in item.PlanePositionSequence[0].ImagePositionPatient]
        i, j, k = (to_index @ [*position, 1.0])[:3]
        plane = round(float(k))
        if max(abs(i), abs(j), abs(k - plane)) > PLACE_TOLERANCE or not 0 <= plane < count:
            raise _other_grid(dataset, geometry)
        planes.append(plane)
    return planes


def _other_grid(dataset: Dataset, geometry: Geometry) -> InputError:
    size = " x ".join(str(length) for length in geometry.shape_zyx[::-1])
    return InputError(
        f"A segmentation on the CT's grid of {size} voxels was expected, but its frames of {int(dataset.Columns)} x "
        f"{int(dataset.Rows)} pixels lie elsewhere. Give the segmentation of this CT."
    )


def read_object(path: Path) -> Dataset:
    """Read a DICOM object whole.

    Raises
    ------
    InputError
        If it is damaged or cut off.
    """
    try:
        with quiet_pydicom():
            return pydicom.dcmread(path)
    except READ_FAILURES:
        raise InputError(
            "A DICOM object that can be read was expected, but it is damaged or cut off. Fetch it again."
        ) from None
