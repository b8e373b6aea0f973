"""Measures of lobes, where a segmentation gives them: every measure of a lung, and the lobar severity score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays, Measurement
from CovidCTLib.errors import InputError, Notice
from CovidCTLib.labels import LEFT, LEFT_LOBES, LOBE_LABELS, RIGHT, RIGHT_LOBES
from CovidCTLib.measures.counts import count_labels
from CovidCTLib.measures.definitions import definitions_for
from CovidCTLib.measures.described import LOBE_DEFINITIONS
from CovidCTLib.measures.region_table import WHOLE, measure_counts, measurement, without_size
from CovidCTLib.measures.severity import MOST_SEVERE_LOBE, lobe_severity
from CovidCTLib.options import Options
from CovidCTLib.units import MM3_PER_ML

NO_LOBE_REASON = "this lobe was not given"

AGREEMENT_PERCENT = 0.1
"""Lobes whose sum differs from their lung by more than this share of it, exclusive, in percent, are told. The volumes
of segments shall be held to as much."""

LOBES_DIFFER_PERCENT = 5.0
"""From this share on, inclusive, in percent, it is a warning: the measures of lobes and lungs tell two stories then.
CovidCT's own choice: twice what two careful readers of the same lungs differ in (Dice of 0.97)."""


def measure_lobes(axial: AxialArrays, lobes: NDArray[np.uint8], options: Options) -> tuple[Measurement, ...]:
    """Measure each lobe, and grade the lobes.

    Parameters
    ----------
    axial
        The scan and its results in the canonical orientation, as `CovidCTLib.measures.measure_regions` takes them.
    lobes
        uint8 of the same shape: 0, or a value of `CovidCTLib.labels.LOBE_LABELS`. What is pleural effusion is no lobe.
    options
        As for `CovidCTLib.measures.measure_regions`.

    Returns
    -------
    tuple of Measurement
        For each lobe in the order of `LOBE_LABELS` what every region of the lungs has, and ``lobar_severity``; then
        ``lobar_severity_0_25`` of both lungs. A lobe without voxels has None, with the reason; without all five
        lobes so has the sum, whose reason says how many points those that are there have.

    Raises
    ------
    InputError
        If the lobes have another shape or hold unknown values, or the localization leaves [0, 1].
    """
    _check(axial, lobes)
    definitions = {**definitions_for(options), **LOBE_DEFINITIONS}
    voxel_ml = axial.geometry.voxel_volume_mm3 / MM3_PER_ML
    counted = count_labels(axial, lobes, len(LOBE_LABELS), options.localization_threshold)
    table: list[Measurement] = []
    points: list[int] = []
    for label, counts in zip(LOBE_LABELS, counted, strict=True):
        values = measure_counts(counts, options, voxel_ml)
        values["lobar_severity"] = ""
        if counts.voxels:
            points.append(lobe_severity(counts.opacity_voxels, counts.voxels))
            values["lobar_severity"] = float(points[-1])
        else:
            values = dict.fromkeys(values, NO_LOBE_REASON)
        if not axial.spacing_known:
            values = {name: without_size(value, definitions[name].unit) for name, value in values.items()}
        table += [
            measurement(label.segment_id, name, values[name], definition.unit)
            for name, definition in definitions.items()
            if name in values
        ]
    unit = LOBE_DEFINITIONS["lobar_severity_0_25"].unit
    return (*table, measurement(WHOLE, "lobar_severity_0_25", _sum_of(points), unit))


def _sum_of(points: list[int]) -> float | str:
    """The score of all lobes; without one of them the sum would look milder than it is."""
    if len(points) == len(LOBE_LABELS):
        return float(sum(points))
    most = MOST_SEVERE_LOBE * len(points)
    return f"{len(points)} of {len(LOBE_LABELS)} lobes are given; they have {sum(points)} of {most} points"


def lobe_notices(axial: AxialArrays, lobes: NDArray[np.uint8]) -> tuple[Notice, ...]:
    """Say which lobes are missing, and by how much lobes and lungs differ.

    Parameters
    ----------
    axial, lobes
        As for `measure_lobes`.
    """
    counts, lungs = _voxels(lobes, len(LOBE_LABELS)), _voxels(axial.lungs, LEFT)
    missing = [label.name for label in LOBE_LABELS if not counts[label.value]]
    notices = []
    if missing:
        text = (
            f"Not among the lobes that were given: {', '.join(missing)}. Where that was not removed by an operation, "
            "its part of the lung belongs to no lobe."
        )
        notices.append(Notice("lobes-missing", text, "warn", float(len(missing)), None, "lobes"))
    for side, lung_value, members in (("right", RIGHT, RIGHT_LOBES), ("left", LEFT, LEFT_LOBES)):
        total, lung = int(sum(counts[member] for member in members)), int(lungs[lung_value])
        if not total or not lung:
            continue
        percent = 100 * (total - lung) / lung
        if abs(percent) <= AGREEMENT_PERCENT:
            continue
        more = "more" if percent > 0 else "less"
        text = f"The lobes of the {side} lung together hold {abs(percent):.1f} % {more} than the {side} lung itself."
        value, limit = round(abs(percent), 2), AGREEMENT_PERCENT
        notices.append(
            Notice("lobes-differ", text, "warn" if value >= LOBES_DIFFER_PERCENT else "note", value, limit, "%")
        )
    return tuple(notices)


def _voxels(labels: NDArray[np.uint8], highest: int) -> NDArray[np.int64]:
    """Count the voxels of each label from 0 to the highest, slice by slice."""
    counts = np.zeros(highest + 1, np.int64)
    for plane in labels:
        counts += np.bincount(plane.ravel(), minlength=highest + 1)
    return counts


def _check(axial: AxialArrays, lobes: NDArray[np.uint8]) -> None:
    highest = int(lobes.max(initial=0)) if lobes.dtype == np.uint8 else -1
    if lobes.shape != axial.geometry.shape_zyx or not 0 <= highest <= len(LOBE_LABELS):
        raise InputError(
            f"Lobes must be uint8 from 0 to {len(LOBE_LABELS)} on the grid of {axial.geometry.shape_zyx}, but are "
            f"{lobes.dtype} up to {lobes.max(initial=0)} of shape {lobes.shape}. Give the lobes of this CT."
        )
