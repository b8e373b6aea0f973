"""Measures of regions of interest that the user named: volume, HU statistics, and the opacity in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays, Measurement
from CovidCTLib.errors import InputError
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_EFFUSION, OPACITY_GGO
from CovidCTLib.measures.definitions import SIZE_UNITS, SPACING_REASON
from CovidCTLib.measures.described import AREA_DEFINITIONS
from CovidCTLib.measures.hu_statistics import hu_statistics
from CovidCTLib.measures.region_table import CONSTANT_HU_REASON, measurement
from CovidCTLib.measures.regions import area_region
from CovidCTLib.units import MM3_PER_ML

EMPTY_AREA_REASON = "the area holds no voxel"
NO_LUNG_IN_AREA_REASON = "no lung lies in the area"

_HU_OFFSET = 2**15


def measure_areas(axial: AxialArrays, areas: Mapping[str, NDArray[np.bool_]]) -> tuple[Measurement, ...]:
    """Measure each region of interest, in the lungs or not.

    Parameters
    ----------
    axial
        The scan and its results in the canonical orientation.
    areas
        By the user's names, bool of the same shape; they may overlap.

    Returns
    -------
    tuple of Measurement
        By area in the order given, then in the order of `AREA_DEFINITIONS`; regions as
        `CovidCTLib.measures.regions.area_region`. Without voxels all are None, with the reason.

    Raises
    ------
    InputError
        If an area has another shape.
    """
    table: list[Measurement] = []
    for name, mask in areas.items():
        if mask.shape != axial.geometry.shape_zyx:
            raise InputError(
                f"An area must have the grid's shape {axial.geometry.shape_zyx}, not {mask.shape}. Give the area on "
                "the grid of the CT."
            )
        values = _measured(axial, mask)
        for key, definition in AREA_DEFINITIONS.items():
            value = values[key]
            if not axial.spacing_known and definition.unit in SIZE_UNITS and not isinstance(value, str):
                value = SPACING_REASON
            table.append(measurement(area_region(name), key, value, definition.unit))
    return tuple(table)


def _measured(axial: AxialArrays, mask: NDArray[np.bool_]) -> dict[str, float | str]:
    """The measures of one area by name; text is the reason why there is none."""
    histogram = np.zeros(2 * _HU_OFFSET, np.int64)
    kinds = np.zeros(OPACITY_EFFUSION + 1, np.int64)
    lung = 0
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        inside = mask[k]
        histogram += np.bincount(axial.hu[k][inside].astype(np.intp) + _HU_OFFSET, minlength=len(histogram))
        kinds += np.bincount(axial.opacities[k][inside], minlength=len(kinds))
        lung += int(np.count_nonzero(axial.lungs[k][inside]))
    used = np.flatnonzero(histogram)
    counts = histogram[used]
    statistics = hu_statistics(used.astype(np.int64) - _HU_OFFSET, counts)
    if statistics is None:
        return dict.fromkeys(AREA_DEFINITIONS, EMPTY_AREA_REASON)
    opacity = int(kinds[OPACITY_GGO] + kinds[OPACITY_CONSOLIDATION])
    voxel_ml = axial.geometry.voxel_volume_mm3 / MM3_PER_ML
    return {
        "area_volume_ml": int(counts.sum()) * voxel_ml,
        "area_lung_volume_ml": lung * voxel_ml,
        "area_ggo_volume_ml": int(kinds[OPACITY_GGO]) * voxel_ml,
        "area_consolidation_volume_ml": int(kinds[OPACITY_CONSOLIDATION]) * voxel_ml,
        "area_opacity_volume_ml": opacity * voxel_ml,
        "area_effusion_volume_ml": int(kinds[OPACITY_EFFUSION]) * voxel_ml,
        "area_opacity_percent": 100 * opacity / lung if lung else NO_LUNG_IN_AREA_REASON,
        "area_hu_mean": statistics.mean_hu,
        "area_hu_sd": statistics.sd_hu,
        "area_hu_skewness": CONSTANT_HU_REASON if statistics.skewness is None else statistics.skewness,
        "area_hu_kurtosis": CONSTANT_HU_REASON if statistics.kurtosis is None else statistics.kurtosis,
        "area_hu_percentile_15": statistics.percentile_15_hu,
    }
