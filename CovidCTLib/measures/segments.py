"""Measures of a CT with given segments: corrected by hand, of another program, or of an earlier analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays, Measurement
from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.labels import (
    CONSOLIDATION,
    GGO,
    LEFT,
    LEFT_LUNG,
    OPACITY_CONSOLIDATION,
    OPACITY_EFFUSION,
    OPACITY_GGO,
    PLEURAL_EFFUSION,
    RIGHT,
    RIGHT_LUNG,
    Label,
)
from CovidCTLib.measures.region_table import measure_regions
from CovidCTLib.options import Options
from CovidCTLib.scan import Scan

NO_LOCALIZATION_REASON = "segments hold no localization: only an analysis by the slice classifier does"

OF_LOCALIZATION = frozenset(
    {"corona_score_cm3", "localization_volume_ml", "localization_percent", "readings_difference_ml", "readings_dice"}
)
"""Measures that rest on the localization."""


def measure_segments(
    scan: Scan, segments: Mapping[Label, NDArray[np.bool_]], options: Options
) -> tuple[Measurement, ...]:
    """Measure every region of a CT from given segments.

    Parameters
    ----------
    scan
        The CT.
    segments
        bool, shape ``scan.geometry.shape_zyx``, by label. Right or left lung is needed. Where segments lie over one
        another, effusion takes from the lungs, and consolidation from ground glass, as in an analysis.
    options
        ``high_opacity_hu`` and ``aeration_bands`` count.

    Returns
    -------
    tuple of Measurement
        As `CovidCTLib.measures.measure_regions`; what rests on the localization is None, with `NO_LOCALIZATION_REASON`.
        Opacity counts inside the lungs only.

    Raises
    ------
    InputError
        If neither lung is among the segments, or one has another shape.
    """
    shape = scan.geometry.shape_zyx
    for label, mask in segments.items():
        if mask.shape != shape:
            raise InputError(
                f"Segments on the CT's grid of {shape} voxels (z, y, x) were expected, but {label.name!r} has "
                f"{mask.shape}. Give the segmentation of this CT."
            )
    if not {RIGHT_LUNG, LEFT_LUNG} & set(segments):
        raise InputError(
            "A segment of the right or the left lung was expected, with its standard code, but there is none. Add the "
            "lungs to the segmentation."
        )
    lungs, opacities = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for array, label, value in (
        (lungs, RIGHT_LUNG, RIGHT),
        (lungs, LEFT_LUNG, LEFT),
        (opacities, GGO, OPACITY_GGO),
        (opacities, CONSOLIDATION, OPACITY_CONSOLIDATION),
        (opacities, PLEURAL_EFFUSION, OPACITY_EFFUSION),
    ):
        if label in segments:
            array[segments[label]] = value
    lungs[opacities == OPACITY_EFFUSION] = 0
    grid = CanonicalGrid(scan.geometry)
    axial = AxialArrays(
        grid.take(scan.hu, LOWEST_HU),
        grid.take(lungs, 0, labels=True),
        grid.take(opacities, 0, labels=True),
        np.zeros(grid.geometry.shape_zyx, np.float32),
        grid.geometry,
        scan.facts.spacing_known,
        PLEURAL_EFFUSION in segments,
    )
    return tuple(
        replace(entry, value=None, reason=entry.reason if entry.value is None else NO_LOCALIZATION_REASON)
        if entry.name in OF_LOCALIZATION
        else entry
        for entry in measure_regions(axial, options)
    )
