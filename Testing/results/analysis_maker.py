"""Small analyses with closed-form content, for the tests of results and terminal."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from CovidCTLib.analysis import (
    Analysis,
    AxialArrays,
    CaseDecision,
    Measurement,
    ModelUsed,
    SliceMeasures,
)
from CovidCTLib.errors import Notice
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.options import Options
from CovidCTLib.scan import Scan, ScanFacts

SHAPE_ZYX = (12, 20, 24)
SPACING_XYZ_MM = (0.75, 0.8, 2.5)

RIGHT_BOX = (slice(2, 10), slice(4, 16), slice(2, 10))
LEFT_BOX = (slice(2, 10), slice(4, 16), slice(14, 22))
GGO_BOX = (slice(3, 6), slice(5, 9), slice(3, 8))
CONSOLIDATION_BOX = (slice(6, 8), slice(10, 15), slice(15, 19))
"""Boxes in the canonical orientation; opacities lie inside the lungs."""


def volume_of(box: tuple[slice, ...]) -> int:
    """Number of voxels in a box."""
    return int(np.prod([axis.stop - axis.start for axis in box]))


def all_orientations() -> list[tuple[float, ...]]:
    """The 48 direction matrices of permuted and flipped axes, row by row."""
    return [
        tuple((np.eye(3)[:, order] * signs).ravel())
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]


def make_analysis(direction_lps: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)) -> Analysis:
    """An analysis of box lungs on a grid of any axis order; the axial arrays are the same for each."""
    grid = _grid(direction_lps)
    lungs = np.zeros(SHAPE_ZYX, np.uint8)
    lungs[RIGHT_BOX], lungs[LEFT_BOX] = 1, 2
    opacities = np.zeros(SHAPE_ZYX, np.uint8)
    opacities[GGO_BOX], opacities[CONSOLIDATION_BOX] = 1, 2
    hu = np.full(SHAPE_ZYX, 40, np.int16)
    hu[lungs > 0], hu[opacities == 1], hu[0] = -850, -600, -1000
    localization = np.zeros(SHAPE_ZYX, np.float32)
    localization[GGO_BOX] = np.linspace(0.1, 1, volume_of(GGO_BOX), dtype=np.float32).reshape(3, 4, 5)
    axial = AxialArrays(hu, lungs, opacities, localization, grid.geometry)
    facts = ScanFacts("NIfTI", SHAPE_ZYX[0], "B31f", 'Maker, "Ltd"', 2.5, 120.0)
    return Analysis(
        scan=Scan(grid.give_back(hu, labels=False), grid.scan_geometry, facts),
        lungs=grid.give_back(lungs, labels=True),
        opacities=grid.give_back(opacities, labels=True),
        localization=grid.give_back(localization, labels=False),
        axial=axial,
        measures=_measures(),
        slices=tuple(_slice(index) for index in range(SHAPE_ZYX[0])),
        case=CaseDecision(True, 0.375, 3, 8, 0.5, 0.2),
        notices=(
            Notice("thick-slices", "Slices are 2.5 mm thick; small opacities may be missed.", "warn", 2.5, 1.5, "mm"),
            Notice("no-effusion", "Pleural effusion is not predicted yet.", "note"),
        ),
        options=Options(),
        models=(ModelUsed("lungs", "1", "ab" * 32),),
        seconds={"lungs": 0.5, "opacities": np.float64(0.25)},
        versions={"covidct": "0.1.0"},
    )


def with_measures(analysis: Analysis, *measures: Measurement) -> Analysis:
    """The same analysis with other measures."""
    return replace(analysis, measures=measures)


def _grid(direction_lps: tuple[float, ...]) -> CanonicalGrid:
    """A grid of the given direction whose canonical orientation has `SHAPE_ZYX` and `SPACING_XYZ_MM`."""
    matrix = np.asarray(direction_lps, float).reshape(3, 3)
    patient_axis = [int(np.argmax(np.abs(matrix[:, index]))) for index in range(3)]
    shape_xyz = [SHAPE_ZYX[::-1][axis] for axis in patient_axis]
    spacing = tuple(SPACING_XYZ_MM[axis] for axis in patient_axis)
    return CanonicalGrid(Geometry(tuple(shape_xyz[::-1]), spacing, (-110.5, 12.25, -300.0), direction_lps))


def _measures() -> tuple[Measurement, ...]:
    voxel_ml = float(np.prod(SPACING_XYZ_MM)) / 1000
    right, left = volume_of(RIGHT_BOX) * voxel_ml, volume_of(LEFT_BOX) * voxel_ml
    ggo, consolidation = volume_of(GGO_BOX) * voxel_ml, volume_of(CONSOLIDATION_BOX) * voxel_ml
    return (
        Measurement("both_lungs", "volume_ml", right + left, "ml"),
        Measurement("right_lung", "volume_ml", right, "ml"),
        Measurement("left_lung", "volume_ml", left, "ml"),
        Measurement("both_lungs", "ggo_volume_ml", ggo, "ml"),
        Measurement("both_lungs", "consolidation_volume_ml", consolidation, "ml"),
        Measurement("both_lungs", "opacity_volume_ml", ggo + consolidation, "ml"),
        Measurement("both_lungs", "opacity_percent", 100 * (ggo + consolidation) / (right + left), "%"),
        Measurement("both_lungs", "high_opacity_percent", 0.5, "%"),
        Measurement("both_lungs", "corona_score_cm3", 1.5, "cm3"),
        Measurement("left_upper", "hu_mean", None, "HU", "The region holds no lung."),
    )


def _slice(index: int) -> SliceMeasures:
    lung = 2 <= index < 10
    return SliceMeasures(
        index=index,
        position_mm=-300 + 2.5 * index,
        lung_area_mm2=115.2 if lung else 0.0,
        openness="open" if lung else "no lung",
        representative=index == 5,
        vessel_area_mm2=0.0,
        vessel_ratio_percent=0.0 if lung else None,
        ggo_area_mm2=12.0 if 3 <= index < 6 else 0.0,
        consolidation_area_mm2=0.0,
        opacity_percent=12.0 / 1.152 if 3 <= index < 6 else (0.0 if lung else None),
        probability=np.float32(0.9) if 3 <= index < 6 else (0.1 if lung else None),
        positive=3 <= index < 6,
        localization_area_mm2=0.0,
    )


def change_record(folder: Path, **changes: object) -> None:
    """Put other fields into the record of a result folder."""
    path = folder / "analysis.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
