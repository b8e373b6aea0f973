"""The population study's path of a scan (rows C3 to C5): lungs by contours, representative slice, vessel ratio.

No network takes part and torch is not loaded. Slices are searched at most `SEARCH_STEP_MM` apart, and all of them
around the best: the lung area changes little from one thin slice to the next, and contours are what takes the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from CovidCTLib.analysis import Analysis, AxialArrays, CancelCheck, SliceFinding, SliceMeasures
from CovidCTLib.checks import check_lungs, check_scan
from CovidCTLib.cohort.representative import RepresentativeSlice
from CovidCTLib.errors import Notice, QualityError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.lungs.contour import segment_lungs_by_contours
from CovidCTLib.lungs.sides import find_body_midline, split_sides
from CovidCTLib.measures.slice_table import measure_slices
from CovidCTLib.measures.vessels import vessel_mask
from CovidCTLib.options import Options
from CovidCTLib.reading.plausibility import check_hu
from CovidCTLib.scan import Scan, ScanFacts

SEARCH_STEP_MM = 4.0
"""Largest distance of the slices that are searched first, in mm, inclusive. The population study looked at every slice;
in the shared CTs of 2 mm slices the result is the same."""

_SEVERITY_ORDER = {"refuse": 0, "warn": 1, "note": 2}


@dataclass(frozen=True)
class PopulationMeasures:
    """What the population study measures of a scan.

    Parameters
    ----------
    slice_count, searched_slices
        Axial slices of the scan, and those of them whose lungs were looked for.
    representative
        The slice with the largest lung area.
    representative_position_mm
        S coordinate of its centre in mm; None where the spacing is not known, as for the areas.
    open_slices_percent
        Share of open slices (`CovidCTLib.measures.representative.openness_of`) among searched slices with lung.
    lung_area_mm2, vessel_area_mm2
        Areas in the representative slice, in mm2.
    vessel_ratio_percent
        100 x vessel area / lung area of the representative slice.
    notices
        What the reading and the quality checks found.
    """

    slice_count: int
    searched_slices: int
    representative: RepresentativeSlice
    representative_position_mm: float | None
    open_slices_percent: float
    lung_area_mm2: float | None
    vessel_area_mm2: float | None
    vessel_ratio_percent: float
    notices: tuple[Notice, ...] = ()

    def values(self) -> Mapping[str, float | int | tuple[str, ...] | None]:
        """Give the values of the scan's row, by the columns of `CovidCTLib.cohort.rows.CohortRow`.

        Returns
        -------
        Mapping
            ``slice_index``, ``slice_count``, ``lung_area_mm2``, ``vessel_area_mm2``, ``vessel_ratio_percent``, and
            ``notices``: each code once, warnings first.
        """
        ordered = sorted(self.notices, key=lambda notice: _SEVERITY_ORDER[notice.severity])
        return {
            "slice_index": self.representative.index,
            "slice_count": self.slice_count,
            "lung_area_mm2": self.lung_area_mm2,
            "vessel_area_mm2": self.vessel_area_mm2,
            "vessel_ratio_percent": self.vessel_ratio_percent,
            "notices": tuple(dict.fromkeys(notice.code for notice in ordered)),
        }


def fast_measures(
    scan: Scan,
    options: Options | None = None,
    *,
    without_contour: bool = False,
    cancelled: CancelCheck | None = None,
) -> PopulationMeasures:
    """Measure a scan as the population study did.

    Parameters
    ----------
    scan
        The scan, on any grid.
    options
        Of these only ``vessel_hu`` counts; None takes the defaults.
    without_contour
        Leave the pixels on the lung contour out of the vessels.
    cancelled
        Asked before each slice whether to stop.

    Returns
    -------
    PopulationMeasures
        The representative slice and its areas.

    Raises
    ------
    InputError
        If the values of an array cannot be HU.
    QualityError
        If the quality checks refuse the scan, or no slice shows two lungs.
    CancelledError
        If ``cancelled`` says so.

    Notes
    -----
    Vessels are the pixels inside the lungs at or above ``vessel_hu`` (-500 HU, inclusive); consolidation and dense
    ground glass count, too. A slice whose lungs touch counts as failed and cannot be the representative one.
    """
    options = options if options is not None else Options()
    if scan.facts.source_format == ScanFacts().source_format:
        # Files were looked at when they were read.
        check_hu(scan.hu)
    spacing_known = scan.facts.spacing_known
    grid = CanonicalGrid(scan.geometry)
    hu = grid.take(scan.hu, LOWEST_HU)
    spacing = grid.geometry.spacing_zyx_mm
    notices = [*scan.notices, *check_scan(hu, grid, spacing_known, scan.facts.slice_thickness_mm)]

    step = max(1, int(SEARCH_STEP_MM / spacing[0])) if spacing_known else 1
    midline = find_body_midline(hu, spacing[2])
    searched = slice(step // 2, None, step)
    axial, lung_notices = _take(scan, hu, grid.geometry, searched, midline, cancelled)
    notices += [*lung_notices, *check_lungs(axial.lungs, axial.geometry.spacing_zyx_mm, spacing_known, axial.hu)]
    slices = _measure(axial, options, without_contour)
    count = len(slices)
    best = next(entry for entry in slices if entry.representative)
    shift = searched.start
    if step > 1:
        middle = searched.start + step * best.index
        near = slice(max(0, middle - step + 1), middle + step)
        axial, _ = _take(scan, hu, grid.geometry, near, midline, cancelled)
        shift, step = near.start, 1
        best = next(entry for entry in _measure(axial, options, without_contour) if entry.representative)
    shown = RepresentativeSlice(
        index=shift + step * best.index,
        hu=axial.hu[best.index],
        lungs=axial.lungs[best.index],
        opacities=None,
        vessels=vessel_mask(
            axial.hu[best.index], axial.lungs[best.index], options.vessel_hu, without_contour=without_contour
        ),
        pixel_mm=(spacing[1], spacing[2]),
        spacing_known=spacing_known,
    )
    return _gathered(len(hu), count, slices, best, shown, tuple(notices))


def population_measures(analysis: Analysis) -> PopulationMeasures:
    """Take the population study's measures from a whole analysis, so that both kinds of rows have the same columns.

    Parameters
    ----------
    analysis
        The result for one scan; its lungs are those of its own engine.

    Raises
    ------
    QualityError
        If no slice shows lung.
    """
    axial = analysis.axial
    best = next((entry for entry in analysis.slices if entry.representative), None)
    if best is None:
        raise QualityError("A slice with lung was expected, but none shows any. Check that this is a chest CT.")
    k = best.index
    shown = RepresentativeSlice(
        index=k,
        hu=axial.hu[k],
        lungs=axial.lungs[k],
        opacities=axial.opacities[k],
        vessels=vessel_mask(axial.hu[k], axial.lungs[k], analysis.options.vessel_hu),
        pixel_mm=(axial.geometry.spacing_zyx_mm[1], axial.geometry.spacing_zyx_mm[2]),
        spacing_known=axial.spacing_known,
    )
    count = len(analysis.slices)
    return _gathered(count, count, analysis.slices, best, shown, analysis.notices)


def _gathered(
    slice_count: int,
    searched: int,
    slices: tuple[SliceMeasures, ...],
    best: SliceMeasures,
    shown: RepresentativeSlice,
    notices: tuple[Notice, ...],
) -> PopulationMeasures:
    """Put the measures of slices together; what needs the spacing is left out where that is not known."""
    with_lung = [entry for entry in slices if entry.openness != "no lung"]
    spacing_known = shown.spacing_known
    return PopulationMeasures(
        slice_count=slice_count,
        searched_slices=searched,
        representative=shown,
        representative_position_mm=best.position_mm if spacing_known else None,
        open_slices_percent=100 * sum(entry.openness == "open" for entry in with_lung) / len(with_lung),
        lung_area_mm2=best.lung_area_mm2 if spacing_known else None,
        vessel_area_mm2=best.vessel_area_mm2 if spacing_known else None,
        vessel_ratio_percent=100 * best.vessel_area_mm2 / best.lung_area_mm2,
        notices=notices,
    )


def _take(
    scan: Scan,
    hu: np.ndarray[tuple[int, ...], np.dtype[np.int16]],
    geometry: Geometry,
    chosen: slice,
    midline: float,
    cancelled: CancelCheck | None,
) -> tuple[AxialArrays, tuple[Notice, ...]]:
    """Find the lungs in chosen slices of the canonical volume."""
    part = hu[chosen]
    first, step = chosen.start, chosen.step or 1
    corner = geometry.ijk_to_lps @ np.array([0.0, 0.0, first, 1.0])
    x, y, z = geometry.spacing_xyz_mm
    geometry = Geometry(
        (part.shape[0], part.shape[1], part.shape[2]),
        (x, y, z * step),
        (float(corner[0]), float(corner[1]), float(corner[2])),
        geometry.direction_lps,
    )
    mask, notices = segment_lungs_by_contours(part, geometry.spacing_zyx_mm, cancelled=cancelled)
    lungs = split_sides(mask, geometry.spacing_zyx_mm, body_midline_x=midline)
    # The measures of slices also want what is not looked for here; a zero that is spread out takes no memory.
    nothing = np.broadcast_to(np.uint8(0), part.shape), np.broadcast_to(np.float32(0), part.shape)
    return AxialArrays(part, lungs, *nothing, geometry, scan.facts.spacing_known), notices


def _measure(axial: AxialArrays, options: Options, without_contour: bool) -> tuple[SliceMeasures, ...]:
    """Measure slices that no classifier has seen."""
    unread = [SliceFinding(None, False)] * len(axial.hu)
    return measure_slices(axial, unread, options, without_contour=without_contour)
