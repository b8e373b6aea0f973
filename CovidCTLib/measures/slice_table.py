"""The table of axial slices, from the feet to the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from CovidCTLib.analysis import AxialArrays, SliceFinding, SliceMeasures
from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_EFFUSION, OPACITY_GGO
from CovidCTLib.measures.checks import check_axial
from CovidCTLib.measures.representative import AERATED_BELOW_HU, openness_of, representative_slice
from CovidCTLib.measures.vessels import vessel_mask
from CovidCTLib.options import Options


@dataclass(frozen=True)
class _PixelCounts:
    """Pixels of one slice, all of them inside the lungs."""

    lung: int = 0
    aerated: int = 0
    vessels: int = 0
    ggo: int = 0
    consolidation: int = 0
    localized: int = 0


def measure_slices(
    axial: AxialArrays, findings: Sequence[SliceFinding], options: Options, *, without_contour: bool = False
) -> tuple[SliceMeasures, ...]:
    """Measure every axial slice.

    Parameters
    ----------
    axial
        The scan and its results in the canonical orientation.
    findings
        What the slice classifier says of each slice, from the feet to the head.
    options
        Limits of vessels and of the localization.
    without_contour
        Leave the pixels on the lung contour out of the vessels (or lesions).

    Returns
    -------
    tuple of SliceMeasures
        One entry a slice, from the feet to the head. In a slice without lung the areas are 0, the ratios None and
        ``openness`` is ``"no lung"``.

    Raises
    ------
    InputError
        If arrays and grid do not fit together, a label is not known, or there is not one finding a slice.
    OptionsError
        If a limit is not a number.
    """
    check_axial(axial)
    slices = axial.geometry.shape_zyx[0]
    if len(findings) != slices:
        raise InputError(
            f"One finding of the classifier for each of the {slices} slices was expected, but there are "
            f"{len(findings)}. Give one for every slice, those without lung included."
        )
    counts = [_count_slice(axial, index, options, without_contour) for index in range(slices)]
    fluids = np.array([np.count_nonzero(plane == OPACITY_EFFUSION) for plane in axial.opacities], dtype=np.int64)
    representative = representative_slice(np.array([count.lung for count in counts], dtype=np.int64))
    most_lung = counts[representative].lung if representative is not None else 0
    row_mm, column_mm = axial.geometry.spacing_zyx_mm[1:]
    pixel_mm2 = row_mm * column_mm
    return tuple(
        SliceMeasures(
            index=index,
            position_mm=_position_mm(axial.geometry, index),
            lung_area_mm2=count.lung * pixel_mm2,
            openness=openness_of(count.lung, count.aerated, most_lung),
            representative=index == representative,
            vessel_area_mm2=count.vessels * pixel_mm2,
            vessel_ratio_percent=_percent(count.vessels, count.lung),
            ggo_area_mm2=count.ggo * pixel_mm2,
            consolidation_area_mm2=count.consolidation * pixel_mm2,
            opacity_percent=_percent(count.ggo + count.consolidation, count.lung),
            probability=finding.probability,
            positive=finding.positive,
            localization_area_mm2=count.localized * pixel_mm2,
            effusion_area_mm2=fluid * pixel_mm2 if axial.effusion_known or fluids.any() else None,
        )
        for index, (count, finding, fluid) in enumerate(zip(counts, findings, fluids.tolist(), strict=True))
    )


def _count_slice(axial: AxialArrays, index: int, options: Options, without_contour: bool) -> _PixelCounts:
    """Count the pixels of one slice within the box around its lungs."""
    whole = axial.lungs[index] > 0
    rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
    if rows.size == 0:
        return _PixelCounts()
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    lungs, hu = axial.lungs[index][box], axial.hu[index][box]
    inside = whole[box]
    vessels = vessel_mask(hu, lungs, options.vessel_hu, without_contour=without_contour)
    opacities = axial.opacities[index][box][inside]
    localization = axial.localization[index][box][inside]
    # The tail of the smoothing is nowhere quite zero, so the threshold bounds the area, too.
    localized = (localization > 0) & (localization >= np.float32(options.localization_threshold))
    return _PixelCounts(
        lung=int(np.count_nonzero(inside)),
        aerated=int(np.count_nonzero(hu[inside] < AERATED_BELOW_HU)),
        vessels=int(np.count_nonzero(vessels)),
        ggo=int(np.count_nonzero(opacities == OPACITY_GGO)),
        consolidation=int(np.count_nonzero(opacities == OPACITY_CONSOLIDATION)),
        localized=int(np.count_nonzero(localized)),
    )


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _position_mm(geometry: Geometry, index: int) -> float:
    """Give the S coordinate of a slice's centre in mm; in a tilted slice it differs from that of its corner."""
    _, rows, columns = geometry.shape_zyx
    centre = np.array([(columns - 1) / 2, (rows - 1) / 2, index, 1.0])
    return float((geometry.ijk_to_lps @ centre)[2])
