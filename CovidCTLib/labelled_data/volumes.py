"""CT volumes of a training folder, with their masks and the tables of their slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import CovidCTError, TrainingDataError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import NETWORK_LOW_HU
from CovidCTLib.labelled_data.images import INFECTION, UNKNOWN, LabelledImage
from CovidCTLib.labelled_data.masks import read_mask
from CovidCTLib.labelled_data.tables import TableRow, columns_of, read_table
from CovidCTLib.labelled_data.training_case import TrainingCase, says_normal, says_other_disease

MIN_POSITIVE_MM2 = 30.0
"""Slices with less opacity than this, but some, are neither abnormal nor normal for the classifier."""


MOST_OVERLAP_SHARE = 0.02
"""Share of an effusion that may be called lung or opacity, too: masks of two hands meet at their rims. What both claim
is taken as not labelled; more of it is a contradiction."""


def read_volume(case: TrainingCase) -> LabelledImage:
    """Read a CT volume with its masks and the table of its slices.

    Parameters
    ----------
    case
        A case of the kind "volume".

    Raises
    ------
    TrainingDataError
        If a file cannot be read or does not fit the CT, labels are out of range, a mask is empty, or name, masks and
        table contradict each other.
    """
    from CovidCTLib.reading import read_scan

    try:
        scan = read_scan(case.image)
    except CovidCTError as error:
        raise TrainingDataError(f"{case.name}: {error}") from error
    grid = CanonicalGrid(scan.geometry)
    hu = np.ascontiguousarray(grid.take(scan.hu, NETWORK_LOW_HU))
    lungs = np.full(hu.shape, UNKNOWN, np.uint8)
    opacities = np.full(hu.shape, UNKNOWN, np.uint8)
    if case.lungs:
        lungs = read_mask(case.lungs, scan.geometry, 2, unlabelled=UNKNOWN)
        # Left and right may differ.
        lungs[lungs == 2] = 1
        if not (lungs == 1).any():
            raise TrainingDataError(f"The mask {case.lungs.name} is empty. Leave the case out, or paint its lungs.")
    painted = _read_painted(case, scan.geometry)
    if painted is not None:
        opacities = painted
    elif case.all_normal or says_other_disease(case.name):
        opacities[:] = 0
    effusion = _read_effusion(case, scan.geometry, hu.shape)
    if case.effusion and effusion is not None:
        _settle_overlap(case, effusion, lungs, opacities)
    if case.slice_table:
        abnormal = _by_table(case, grid)
        _check_agreement(case, abnormal, opacities)
        opacities[abnormal == 0] = 0
    elif painted is not None or case.all_normal or says_other_disease(case.name):
        pixel_mm2 = grid.geometry.spacing_xyz_mm[0] * grid.geometry.spacing_xyz_mm[1]
        area = np.count_nonzero((opacities > 0) & (opacities != UNKNOWN), axis=(1, 2)) * pixel_mm2
        abnormal = np.where(area >= MIN_POSITIVE_MM2, 1, np.where(area == 0, 0, -1)).astype(np.int8)
    else:
        abnormal = np.full(len(hu), -1, np.int8)
    spacing = grid.geometry.spacing_zyx_mm
    return LabelledImage(case.name, case.patient, hu, lungs, opacities, abnormal, spacing, scan, effusion)


def _read_painted(case: TrainingCase, geometry: Geometry) -> NDArray[np.uint8] | None:
    """Read the painted opacities, of told kinds or not; None where there is no such mask."""
    painted = read_mask(case.opacities, geometry, 2) if case.opacities else None
    untold = read_mask(case.infection, geometry, 1) if case.infection else None
    for path, mask in ((case.opacities, painted), (case.infection, untold)):
        if path is not None and mask is not None:
            _check_painted(case, path, mask)
    if painted is not None and untold is not None and case.opacities and case.infection:
        differ = int(np.count_nonzero((painted > 0) != (untold > 0)))
        if differ:
            raise TrainingDataError(
                f"{case.opacities.name} and {case.infection.name} must mark the same voxels, but {differ} differ. "
                "Correct one of them, or leave one out: the first tells the kinds of opacity, the second does not."
            )
    if painted is not None:
        return painted
    return None if untold is None else untold * np.uint8(INFECTION)


def _read_effusion(case: TrainingCase, geometry: Geometry, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Read the mask of pleural effusion; none anywhere where that is known; None where nothing is known."""
    if case.effusion:
        effusion = read_mask(case.effusion, geometry, 1)
        if effusion.any() and case.all_normal:
            raise TrainingDataError(
                f"The mask {case.effusion.name} must be empty, as a name that begins with 'normal' says that the CT "
                "shows no disease, but an effusion is painted. Rename the CT and its files, or correct the mask."
            )
        if not effusion.any() and not case.all_normal:
            raise TrainingDataError(
                f"The mask {case.effusion.name} is empty. If the CT shows no pleural effusion, leave the mask out and "
                f"give --no-effusion {case.name}; else paint it."
            )
        return effusion
    return np.zeros(shape, np.uint8) if case.all_normal or case.no_effusion else None


def _settle_overlap(
    case: TrainingCase, effusion: NDArray[np.uint8], lungs: NDArray[np.uint8], opacities: NDArray[np.uint8]
) -> None:
    """Refuse effusion that is called lung or opacity, too; a rim of it counts as not labelled, in place."""
    fluid, mask_name = effusion == 1, case.effusion.name if case.effusion else ""
    for name, other in (("lung", lungs == 1), ("opacity", (opacities > 0) & (opacities != UNKNOWN))):
        both = fluid & other
        share = int(np.count_nonzero(both)) / max(1, int(np.count_nonzero(fluid)))
        if share > MOST_OVERLAP_SHARE:
            raise TrainingDataError(
                f"Pleural effusion is neither lung nor opacity, but {share:.0%} of what {mask_name} marks is "
                f"marked as {name}, too ({MOST_OVERLAP_SHARE:.0%} at the rim may be). Correct one of the masks."
            )
        for mask in (effusion, lungs, opacities):
            mask[both] = UNKNOWN
    # Fluid is no opacity, whether or not opacities were labelled.
    opacities[effusion == 1] = 0


def _check_painted(case: TrainingCase, path: Path, opacities: NDArray[np.uint8]) -> None:
    """Refuse opacities where the name says that there are none, and none where it does not."""
    mask = path.name
    if not opacities.any() and not case.not_covid:
        raise TrainingDataError(
            f"The mask {mask} is empty. If the CT shows no disease, let its name begin with "
            "'normal'; else paint its opacities, or leave the mask out."
        )
    if opacities.any() and case.all_normal:
        raise TrainingDataError(
            f"The mask {mask} must be empty, as a name that begins with 'normal' says that the CT shows no disease, "
            "but opacities are painted. Rename the CT and its files, or correct the mask."
        )


def _check_agreement(case: TrainingCase, abnormal: NDArray[np.int8], opacities: NDArray[np.uint8]) -> None:
    """Refuse a table that contradicts the name of the CT or what is painted."""
    table = case.slice_table.name if case.slice_table else ""
    if says_normal(case.name) and (abnormal == 1).any():
        raise TrainingDataError(
            f"{table} must call no slice abnormal, as a name that begins with 'normal' says that the CT shows no "
            f"disease, but it does so for {np.count_nonzero(abnormal == 1)}. Rename the CT and its files, or correct "
            "the table."
        )
    if mask := case.opacities or case.infection:
        erased = (abnormal == 0) & ((opacities > 0) & (opacities != UNKNOWN)).any(axis=(1, 2))
        if erased.any():
            raise TrainingDataError(
                f"{table} and {mask.name} must agree, but the table calls "
                f"{np.count_nonzero(erased)} of the slices with painted opacities normal. Correct one of them"
                + (", or take --reversed-table back." if case.table_reversed else ".")
            )


def _by_table(case: TrainingCase, grid: CanonicalGrid) -> NDArray[np.int8]:
    """Read which slices of a volume are abnormal, in the canonical order; -1 where the table is silent."""
    if grid.resamples:
        raise TrainingDataError(
            f"A table of slices needs a CT whose slices are axial, but those of {case.name} are turned by "
            f"{grid.angle_deg:.0f} degrees. Give masks instead, or leave the table out."
        )
    columns = columns_of(case.slice_table) if case.slice_table else ()
    # Where it has neither column, the one that is easier to write is asked for.
    by_location = "slice_location_mm" in columns and "slice_index" not in columns
    abnormal = _by_location(case, grid) if by_location else _by_index(case, grid)
    if not case.table_reversed:
        return abnormal
    if by_location:
        _check_complete(case, abnormal)
    return abnormal[::-1].copy()


def _check_complete(case: TrainingCase, abnormal: NDArray[np.int8]) -> None:
    """Refuse to turn heights of a part of the scan: the heights, or the labels beside them, may be in wrong order."""
    labelled = int(np.count_nonzero(abnormal >= 0))
    if labelled < len(abnormal) and case.slice_table:
        raise TrainingDataError(
            f"{case.slice_table.name} must name every slice to be turned by --reversed-table, as it names slices by "
            f"slice_location_mm, but names {labelled} of {len(abnormal)}. Add the others, or correct the table and "
            "take --reversed-table back."
        )


def _by_index(case: TrainingCase, grid: CanonicalGrid) -> NDArray[np.int8]:
    """Read a table that names slices by their number in the file."""
    states = np.full(grid.scan_geometry.shape_zyx[0], -1, np.int8)
    for row in _rows(case, "slice_index"):
        k = row.whole("slice_index")
        if not 0 <= k < len(states):
            raise TrainingDataError(
                f"{row.location} names slice {k}, but the scan has slices 0 to {len(states) - 1}. Correct the table."
            )
        _mark(states, k, row)
    # The table counts slices of the file; the canonical order may run the other way.
    marks = np.broadcast_to(states[:, None, None], grid.scan_geometry.shape_zyx)
    return np.array(grid.take(marks, -1)[:, 0, 0])


def _by_location(case: TrainingCase, grid: CanonicalGrid) -> NDArray[np.int8]:
    """Read a table that names slices by their height in the patient."""
    bottom = grid.geometry.origin_lps_mm[2]
    step = grid.geometry.spacing_xyz_mm[2]
    abnormal = np.full(grid.geometry.shape_zyx[0], -1, np.int8)
    for row in _rows(case, "slice_location_mm"):
        height = row.number("slice_location_mm")
        k = round((height - bottom) / step)
        if not 0 <= k < len(abnormal):
            raise TrainingDataError(
                f"{row.location} names a slice at {height:g} mm, but the scan goes from {bottom:g} to "
                f"{bottom + step * (len(abnormal) - 1):g} mm. Correct the table."
            )
        _mark(abnormal, k, row)
    return abnormal


def _rows(case: TrainingCase, column: str) -> list[TableRow]:
    """Read the rows of a volume's table."""
    return read_table(case.slice_table, [column, "abnormal"]) if case.slice_table else []


def _mark(marks: NDArray[np.int8], k: int, row: TableRow) -> None:
    """Enter what a row says of slice k."""
    if marks[k] >= 0:
        raise TrainingDataError(f"{row.location} names a slice that another line names too. Leave one of them.")
    marks[k] = row.yes("abnormal")
