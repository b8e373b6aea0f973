"""Segments laid on the grid of a CT: recognized, resampled where they must be, and overlaps settled."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import in_a_row
from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import GRID_TOLERANCE_VOXELS, Geometry
from CovidCTLib.labels import LEFT, LEFT_LOBES, LOBE_LABELS, OPACITY_CONSOLIDATION, OPACITY_GGO, RIGHT
from CovidCTLib.scan import Scan
from CovidCTLib.segments.given import GivenLabels, GivenSegment, Segmentation
from CovidCTLib.segments.structures import STRUCTURES, UNSIDED, Structure, is_area, shown_name, structure_of

MOST_LISTED = 12
"""Names that a message lists at most; the record holds all."""

OUTSIDE_PERCENT = 1.0
"""Voxels of a segmentation outside of the CT above which, exclusive, it is warned of, in percent: a mask may end with
the half of a voxel, but not more."""

AERATED_HU = -500
"""Lung under this HU, exclusive, is well aerated (Gattinoni et al. 2001, doi:10.1164/ajrccm.164.9.2103121)."""

DOUBTFUL_AERATED_PERCENT = 20.0
"""Given lungs of which less is aerated, exclusive, in percent, are warned of: gravely ill, or of another CT."""

LEAST_AERATED_PERCENT = 3.0
"""Given lungs of which less is aerated, exclusive, in percent, are refused: even lungs in which hardly any air is left
hold more, and soft tissue has next to none."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Recognized:
    """A recognized segment on the grid of the CT."""

    structure: Structure
    mask: Mask


def lay_on(given: Segmentation, scan: Scan, areas: Collection[str] = ()) -> GivenLabels:
    """Make lungs, opacities, effusion, lobes and areas of a segmentation.

    Parameters
    ----------
    given
        The segmentation.
    scan
        The CT, on whose own grid they are wanted.
    areas
        Names of segments that are regions of interest whatever they are called; those whose first word is *area* or
        *ROI* are anyway.

    Returns
    -------
    GivenLabels
        A voxel that several segments claim goes, in this order, to effusion, consolidation, ground glass, lung; among
        lungs and lobes to the first of `CovidCTLib.segments.structures.STRUCTURES`. How many there were is said, an
        opacity in its lung excepted.

    Raises
    ------
    InputError
        If no segment is known, all are empty, the segmentation lies in another frame of reference or beside the CT, or
        its lungs hold no air in this CT.

    Notes
    -----
    Segments on another grid are resampled by the nearest neighbour, and that is said.
    """
    _check_frame(given, scan)
    wanted = {shown_name(name) for name in areas}
    absent = wanted - {shown_name(segment.name) for segment in given.segments}
    if absent:
        raise InputError(
            f"A segment of the name {sorted(absent)[0]!r} was expected as an area, but the segmentation has "
            f"{_listed([segment.name for segment in given.segments]) or 'none'}. Correct the name."
        )
    recognized: list[_Recognized] = []
    area_masks: dict[str, Mask] = {}
    unknown: list[str] = []
    teller = _Teller(scan.geometry)
    for segment in given.segments:
        name = shown_name(segment.name)
        structure = None if is_area(segment.name) or name in wanted else structure_of(segment.name, segment.code)
        if is_area(segment.name) or name in wanted:
            area_masks[_unused(name, area_masks)] = teller.laid(segment)
        elif structure is not None:
            recognized.append(_Recognized(structure, teller.laid(segment)))
        else:
            unknown.append(name)
    _check_something(given, recognized, area_masks, unknown, teller)
    labels = _merged(recognized)
    notices = (
        *given.notices, *teller.notices(), *_check_air(labels.lungs, scan), *labels.notices, *_unknown_notice(unknown),
    )  # fmt: skip
    return GivenLabels(
        labels.lungs, labels.opacities, labels.effusion, labels.lobes, area_masks, labels.kinds_parted, tuple(unknown),
        given.given_as, notices,
    )  # fmt: skip


class _Teller:
    """Lays segments on the grid, and remembers what must be told of that."""

    def __init__(self, grid: Geometry) -> None:
        self._grid = grid
        self._resampled: set[tuple[int, int, int]] = set()
        self.before = 0.0
        self.outside = 0.0

    def laid(self, segment: GivenSegment) -> Mask:
        """Give the mask of a segment on the grid of the CT."""
        mask, geometry = segment.voxels()
        self.before += float(np.count_nonzero(mask)) * geometry.voxel_volume_mm3
        if geometry.shape_zyx == self._grid.shape_zyx and geometry.lies_on(self._grid.ijk_to_lps):
            return mask
        if not _voxel_on_voxel(geometry, self._grid):
            self._resampled.add(geometry.shape_zyx)
        self.outside += float(_count_outside(mask, geometry, self._grid)) * geometry.voxel_volume_mm3
        return _nearest(mask, geometry, self._grid)

    def notices(self) -> list[Notice]:
        """What a reader must know."""
        notices = []
        if self._resampled:
            sizes = in_a_row([_size(shape) for shape in sorted(self._resampled)])
            text = (
                f"The segmentation has another grid ({sizes} voxels) than the CT ({_size(self._grid.shape_zyx)}); it "
                "was brought to the CT's by the nearest voxel, so that edges may be off by half a voxel."
            )
            notices.append(Notice("segments-resampled", text, "note"))
        percent = 100 * self.outside / self.before if self.before else 0.0
        if percent > OUTSIDE_PERCENT:
            text = (
                f"{percent:.0f} % of the segmentation lies outside of the CT and was not measured. See that it belongs "
                "to this CT."
            )
            notices.append(Notice("segments-outside", text, "warn", round(percent, 1), OUTSIDE_PERCENT, "%"))
        return notices


def _voxel_on_voxel(geometry: Geometry, grid: Geometry) -> bool:
    """Whether a grid is a part of another, perhaps with its axes turned round: each voxel lies on one of the other."""
    between = np.linalg.inv(grid.ijk_to_lps) @ geometry.ijk_to_lps
    whole = np.rint(between)
    ends = np.append(np.array(geometry.shape_zyx[::-1], float), 1.0)
    return bool(np.all(np.abs(between - whole)[:3] @ ends <= GRID_TOLERANCE_VOXELS))


def _nearest(mask: Mask, geometry: Geometry, grid: Geometry) -> Mask:
    import SimpleITK as sitk

    target = sitk.Image([int(size) for size in grid.shape_zyx[::-1]], sitk.sitkUInt8)
    target.SetSpacing(grid.spacing_xyz_mm)
    target.SetOrigin(grid.origin_lps_mm)
    target.SetDirection(grid.direction_lps)
    image = geometry.to_image(mask.astype(np.uint8))
    moved = sitk.Resample(image, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0)
    return np.asarray(sitk.GetArrayViewFromImage(moved)) > 0


def _count_outside(mask: Mask, geometry: Geometry, grid: Geometry) -> int:
    """Count the voxels of a mask whose centre lies in no voxel of the grid."""
    to_grid = np.linalg.inv(grid.ijk_to_lps) @ geometry.ijk_to_lps
    limits = np.array(grid.shape_zyx[::-1]) - 0.5
    outside = 0
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        j, i = np.nonzero(mask[k])
        index = to_grid[:3, :3] @ np.stack([i, j, np.full(len(i), k)]) + to_grid[:3, 3:]
        inside = np.all((index >= -0.5) & (index <= limits[:, None]), axis=0)
        outside += int(len(i) - np.count_nonzero(inside))
    return outside


def _check_frame(given: Segmentation, scan: Scan) -> None:
    """Refuse a segmentation that says itself that it is of another examination."""
    frame = scan.frame_of_reference
    if given.frame_of_reference and frame and given.frame_of_reference != frame:
        raise InputError(
            "A segmentation in the frame of reference of the CT was expected, but its DICOM header names another: it "
            "belongs to another scan. Give the segmentation of this CT."
        )


def _check_something(
    given: Segmentation,
    recognized: Sequence[_Recognized],
    areas: Mapping[str, Mask],
    unknown: Sequence[str],
    teller: _Teller,
) -> None:
    """Refuse what gives nothing to measure."""
    if not given.segments:
        raise InputError(
            "A segmentation with segments was expected, but it has none. Give one with lungs or opacities."
        )
    if not recognized and not areas:
        raise InputError(
            f"Segments of lungs, lobes, opacities or pleural effusion were expected, but none of the "
            f"{len(unknown)} is known: {_listed(unknown)}. Name them as the documentation lists, or say which is which."
        )
    if any(entry.mask.any() for entry in recognized) or any(mask.any() for mask in areas.values()):
        return
    if teller.before:
        raise InputError(
            "A segmentation that lies in the CT was expected, but it lies beside it altogether: it belongs to another "
            "scan, or one of the two was moved. Give the segmentation of this CT."
        )
    raise InputError(
        f"A segmentation with voxels was expected, but all of its {len(recognized) + len(areas)} known segments are "
        "empty. Draw the segments, or give another file."
    )


def _check_air(lungs: NDArray[np.uint8] | None, scan: Scan) -> list[Notice]:
    """Refuse lungs that hold no air in this CT, and warn of those that hold little."""
    if lungs is None or not lungs.any():
        return []
    total = aerated = 0
    for plane, hu in zip(lungs, scan.hu, strict=True):
        inside = plane > 0
        total += int(np.count_nonzero(inside))
        aerated += int(np.count_nonzero(hu[inside] < AERATED_HU))
    if 100 * aerated < LEAST_AERATED_PERCENT * total:
        raise InputError(
            f"Lungs of this CT were expected, but of the lungs in the segmentation {100 * aerated / total:.1f} % are "
            f"aerated (under {AERATED_HU} HU; at least {LEAST_AERATED_PERCENT:g} % are): it belongs to another CT, or "
            "lies elsewhere. Give the segmentation of this CT."
        )
    percent = 100 * aerated / total
    if percent >= DOUBTFUL_AERATED_PERCENT:
        return []
    text = (
        f"Only {percent:.0f} % of the given lungs are aerated (under {AERATED_HU} HU): these lungs are gravely ill, or "
        "the segmentation belongs to another CT. Look at it over this CT."
    )
    return [Notice("given-lungs-dense", text, "warn", round(percent, 1), DOUBTFUL_AERATED_PERCENT, "%")]


@dataclass(frozen=True)
class _Merged:
    lungs: NDArray[np.uint8] | None
    opacities: NDArray[np.uint8] | None
    effusion: Mask | None
    lobes: NDArray[np.uint8] | None
    kinds_parted: bool
    notices: tuple[Notice, ...]


def _merged(recognized: Sequence[_Recognized]) -> _Merged:
    """Settle overlaps: effusion, consolidation, ground glass, lung."""
    order = {structure.key: number for number, structure in enumerate(STRUCTURES)}
    ordered = sorted(recognized, key=lambda entry: order[entry.structure.key])
    clashes: dict[tuple[str, str], int] = {}
    effusion = _union([entry.mask for entry in ordered if entry.structure.kind == "effusion"])
    opacities = _of_kind(ordered, "opacity", (OPACITY_CONSOLIDATION, OPACITY_GGO), clashes)
    lungs = _of_kind(ordered, "lung", None, clashes)
    lobes = _of_kind(ordered, "lobe", None, clashes)
    if effusion is not None:
        for name, array in (("the opacities", opacities), ("the lungs", lungs), ("the lobes", lobes)):
            if array is None:
                continue
            under = effusion & (array > 0)
            count = int(np.count_nonzero(under))
            if count:
                array[under] = 0
                clashes["pleural effusion", name] = count
    if lungs is None and lobes is not None:
        lungs = np.zeros_like(lobes)
        for label in LOBE_LABELS:
            lungs[lobes == label.value] = LEFT if label.value in LEFT_LOBES else RIGHT
    kinds_parted = all(entry.structure.sure for entry in ordered if entry.structure.kind == "opacity")
    return _Merged(lungs, opacities, effusion, lobes, kinds_parted, tuple(_clash_notices(clashes)))


def _union(masks: Sequence[Mask]) -> Mask | None:
    if not masks:
        return None
    union = masks[0].copy()
    for mask in masks[1:]:
        union |= mask
    return union


def _of_kind(
    ordered: Sequence[_Recognized], kind: str, values: tuple[int, ...] | None, clashes: dict[tuple[str, str], int]
) -> NDArray[np.uint8] | None:
    """Put the segments of a kind into one array; a voxel goes to the first that claims it, and the others are counted.

    ``values`` gives the order of the values where it is not that of the structures.
    """
    members = [entry for entry in ordered if entry.structure.kind == kind]
    if not members:
        return None
    if values is not None:
        members.sort(key=lambda entry: values.index(entry.structure.value))
    array = np.zeros(members[0].mask.shape, np.uint8)
    names: dict[int, str] = {}
    for entry in members:
        value = entry.structure.value
        names.setdefault(value, entry.structure.name)
        for other, name in names.items():
            # Both lungs in one mask, and opacity of either kind, contradict no mask of a part.
            if other == value or value == UNSIDED or not entry.structure.sure:
                continue
            count = int(np.count_nonzero(entry.mask & (array == other)))
            if count:
                clashes[name, entry.structure.name] = clashes.get((name, entry.structure.name), 0) + count
        array[entry.mask & (array == 0)] = value
    return array


def _clash_notices(clashes: Mapping[tuple[str, str], int]) -> list[Notice]:
    return [
        Notice(
            "segments-overlap",
            f"{count} voxels belong to two segments, {first} and {second}; they were counted as {first}.",
            "warn",
            float(count),
            None,
            "voxels",
        )
        for (first, second), count in clashes.items()
    ]


def _unknown_notice(unknown: Sequence[str]) -> list[Notice]:
    if not unknown:
        return []
    words = "1 segment is not known and was" if len(unknown) == 1 else f"{len(unknown)} segments are not known and were"
    return [Notice("segments-unknown", f"{words} left out: {_listed(unknown)}.", "note")]


def _listed(names: Sequence[str]) -> str:
    """List names, not too many of them."""
    shown = [repr(shown_name(name)) for name in names[:MOST_LISTED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _unused(name: str, taken: Collection[str]) -> str:
    """Number a name that is there already."""
    number, unused = 1, name
    while unused in taken:
        number += 1
        unused = f"{name} ({number})"
    return unused


def _size(shape_zyx: tuple[int, int, int]) -> str:
    return " x ".join(str(size) for size in shape_zyx[::-1])
