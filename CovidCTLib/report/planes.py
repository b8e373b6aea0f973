"""Which planes of a scan the report shows, and the cutting of them out of the canonical arrays.

A plane's rows run down the picture and its columns to the right, in the radiological convention: the patient's right
is on the left of axial and coronal pictures, the front on the left of sagittal ones, the head is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Analysis, AxialArrays, SliceMeasures

PlaneName = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[PlaneName, ...] = ("axial", "coronal", "sagittal")

MARGIN_MM = 12.0
"""What pictures show around the lungs, in mm: enough for ribs and chest wall, so that the lungs fill the picture."""

MONTAGE_GAP_MM = 8.0
"""Least distance between two slices of the montage, in mm; nearer slices of a thin-slice CT look alike."""

MONTAGE_SLICES = 12
"""Most slices that the montage shows: three rows of four."""

_AXIS = {"axial": 0, "coronal": 1, "sagittal": 2}
AXIAL_SIDES = ("R", "L")
"""Letters at the left and the right of axial pictures, in the radiological convention."""

_SIDES = {"axial": AXIAL_SIDES, "coronal": ("R", "L"), "sagittal": ("A", "P")}

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Place:
    """A voxel that the three planes go through, and in words why it was chosen."""

    z: int
    y: int
    x: int
    reason: str

    def along(self, plane: PlaneName) -> int:
        """Index of the plane on its own axis."""
        return (self.z, self.y, self.x)[_AXIS[plane]]


@dataclass(frozen=True)
class Plane:
    """A cut through a scan and its results, ready to be painted.

    Parameters
    ----------
    hu
        int16, shape ``(rows, columns)``, HU.
    lungs, opacities
        uint8, same shape, values as in `AxialArrays`.
    localization
        float32, same shape, in [0, 1].
    pixel_mm
        Height and width of a pixel, in mm.
    sides
        Letters of the patient's sides at the left and the right of the picture.
    spacing_known
        Whether `pixel_mm` is the true size.
    """

    hu: NDArray[np.int16]
    lungs: NDArray[np.uint8]
    opacities: NDArray[np.uint8]
    localization: NDArray[np.float32]
    pixel_mm: tuple[float, float]
    sides: tuple[str, str]
    spacing_known: bool = True

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width in mm."""
        rows, columns = self.hu.shape
        return rows * self.pixel_mm[0], columns * self.pixel_mm[1]

    def area_cm2(self, mask: NDArray[np.bool_]) -> float:
        """Area of a mask of the plane's shape, in cm2."""
        return float(np.count_nonzero(mask)) * self.pixel_mm[0] * self.pixel_mm[1] / 100


def opacity_area_mm2(entry: SliceMeasures) -> float:
    """Area of ground-glass opacity and consolidation in a slice, in mm2."""
    return entry.ggo_area_mm2 + entry.consolidation_area_mm2


def badness(entry: SliceMeasures) -> tuple[float, float, float]:
    """Key that sorts slices by how ill they look: opacity area, then probability, then localization area."""
    return opacity_area_mm2(entry), entry.probability or 0.0, entry.localization_area_mm2


def worst_slices(
    slices: Sequence[SliceMeasures], count: int = MONTAGE_SLICES, gap_mm: float = MONTAGE_GAP_MM
) -> tuple[SliceMeasures, ...]:
    """Choose the slices that show most, worst first.

    Parameters
    ----------
    slices
        All slices of an analysis.
    count
        Most slices to return.
    gap_mm
        Least distance between two of them, in mm, inclusive.

    Returns
    -------
    tuple of SliceMeasures
        Only slices with opacity or called like COVID-19; empty where there is none.
    """
    chosen: list[SliceMeasures] = []
    for entry in sorted(slices, key=badness, reverse=True):
        if len(chosen) == count:
            break
        shows = opacity_area_mm2(entry) > 0 or entry.positive
        if shows and all(abs(entry.position_mm - other.position_mm) >= gap_mm for other in chosen):
            chosen.append(entry)
    return tuple(chosen)


def worst_place(analysis: Analysis) -> Place:
    """Find the voxel through which the report cuts its planes.

    The slice is the one with the largest area of opacity; without opacity, the one with the largest localization;
    then the representative slice; then the middle one. Row and column are those with most of the same in that slice.
    """
    axial = analysis.axial
    depth, height, width = axial.geometry.shape_zyx
    k, reason = _worst_slice(analysis.slices, depth)
    opacity = (axial.opacities[k] == 1) | (axial.opacities[k] == 2)
    for weight in (opacity, axial.localization[k], axial.lungs[k] > 0):
        if weight.any():
            return Place(k, int(np.argmax(weight.sum(axis=1))), int(np.argmax(weight.sum(axis=0))), reason)
    return Place(k, height // 2, width // 2, reason)


def _worst_slice(slices: Sequence[SliceMeasures], depth: int) -> tuple[int, str]:
    """Index of the slice to show, and why."""
    if slices:
        by_opacity = max(slices, key=badness)
        if opacity_area_mm2(by_opacity) > 0:
            return by_opacity.index, "the slice with the largest area of opacity"
        by_localization = max(slices, key=lambda entry: entry.localization_area_mm2)
        if by_localization.localization_area_mm2 > 0:
            return by_localization.index, "the slice with the largest localization, since no opacity was found"
        for entry in slices:
            if entry.representative:
                return entry.index, "the representative slice, since neither opacity nor localization was found"
    return depth // 2, "the middle slice, since no lung was found"


def lung_box(axial: AxialArrays, margin_mm: float = MARGIN_MM) -> Box:
    """Find the box of the lungs and opacities with a margin.

    Parameters
    ----------
    axial
        The arrays.
    margin_mm
        Added on each side where the scan reaches so far, in mm.

    Returns
    -------
    tuple of slice
        Along z, y, x; the whole scan where there is neither lung nor opacity.
    """
    filled = [np.zeros(size, dtype=bool) for size in axial.geometry.shape_zyx]
    for labels in (axial.lungs, axial.opacities):
        from_above = labels.max(axis=0)
        filled[0] |= labels.max(axis=(1, 2)) > 0
        filled[1] |= from_above.max(axis=1) > 0
        filled[2] |= from_above.max(axis=0) > 0
    ranges = []
    for present, spacing_mm in zip(filled, axial.geometry.spacing_zyx_mm, strict=True):
        indices = np.flatnonzero(present)
        if indices.size == 0:
            ranges.append(slice(0, present.size))
            continue
        margin = int(np.ceil(margin_mm / spacing_mm)) if margin_mm > 0 else 0
        ranges.append(slice(max(0, int(indices[0]) - margin), min(present.size, int(indices[-1]) + 1 + margin)))
    return ranges[0], ranges[1], ranges[2]


def cut(axial: AxialArrays, plane: PlaneName, index: int, box: Box) -> Plane:
    """Cut one plane out of the arrays, as it is to be shown.

    Parameters
    ----------
    axial
        The arrays.
    plane
        Which of the three.
    index
        Where on the axis that is perpendicular to the plane.
    box
        What to show of the other two axes, from `lung_box`.
    """
    axis = _AXIS[plane]
    where = tuple(index if other == axis else box[other] for other in range(3))
    pixel = tuple(size for other, size in enumerate(axial.geometry.spacing_zyx_mm) if other != axis)
    # z runs from the feet to the head, but rows run down the picture.
    rows = slice(None) if plane == "axial" else slice(None, None, -1)
    return Plane(
        axial.hu[where][rows],
        axial.lungs[where][rows],
        axial.opacities[where][rows],
        axial.localization[where][rows],
        (pixel[0], pixel[1]),
        _SIDES[plane],
        axial.spacing_known,
    )


def position_mm(axial: AxialArrays, plane: PlaneName, index: int) -> float:
    """Patient coordinate of the middle of a plane, in mm: S (to the head), P (to the back) or L (to the left)."""
    shape = axial.geometry.shape_zyx
    zyx = [(size - 1) / 2 for size in shape]
    zyx[_AXIS[plane]] = index
    lps = axial.geometry.ijk_to_lps @ np.array([zyx[2], zyx[1], zyx[0], 1.0])
    return float(lps[2 - _AXIS[plane]])
