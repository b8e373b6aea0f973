"""Limits of the checks: the numbers of their page, what holds at a limit, and what is measured, by closed forms."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from CovidCTLib import pure_air
from CovidCTLib.checks import (
    agreement,
    chest,
    intensities,
    lung_shape,
    pleura,
    stack,
    surroundings,
    turned,
    whole_scan,
)
from CovidCTLib.checks.agreement import compare_readings
from CovidCTLib.checks.whole_scan import check_scan
from CovidCTLib.geometry import OBLIQUE_TOLERANCE_DEG, CanonicalGrid, Geometry
from CovidCTLib.hu import FATTY_HU, MIN_FAT_PERCENT, NETWORK_HIGH_HU

TABLE = Path(__file__).resolve().parents[2] / "docs" / "quality_checks.md"

LIMITS = {
    "hu-offset-lost": (intensities.TISSUE_FROM_HU, intensities.MAX_TISSUE_PEAK_HU),
    "hu-scale": (intensities.MAX_DENSE_PERCENT,),
    "no-soft-tissue": (intensities.MIN_SOFT_TISSUE_PERCENT,),
    "no-air": (intensities.MIN_AERATED_PERCENT,),
    "hu-shifted": intensities.TISSUE_PEAK_RANGE_HU,
    "no-true-air": (intensities.MAX_LOWEST_AIR_HU,),
    "clipped-hu": (NETWORK_HIGH_HU, 2 * NETWORK_HIGH_HU, intensities.SCANNER_TOP_HU, intensities.MAX_AT_TOP_PPM),
    "coarse-hu": (intensities.MAX_STEP_HU,),
    "metal": (intensities.MAX_METAL_ML,),
    "noisy": (intensities.MAX_NOISE_HU,),
    "slices-out-of-order": (stack.MIN_ORDERED_PERCENT,),
    "slice-jump": (stack.MAX_JUMP,),
    "thick-slices": (whole_scan.MAX_SLICE_SPACING_MM,),
    "gaps-between-slices": (whole_scan.MAX_GAP_MM,),
    "coarse-pixels": (whole_scan.MAX_PIXEL_MM,),
    "oblique": (OBLIQUE_TOLERANCE_DEG,),
    "heart-on-the-right": (lung_shape.MIN_LEFTWARD_MM,),
    "lung-height-doubtful": (*lung_shape.USUAL_HEIGHT_MM, *lung_shape.USUAL_HEIGHT_PER_WIDTH),
    "impossible-lungs": (lung_shape.LARGEST_LUNGS_ML, *lung_shape.POSSIBLE_HEIGHT_MM),
    "no-lungs": (chest.MIN_LUNG_VOLUME_ML, chest.ADULT_WIDTH_MM, 100 * chest.MIN_LUNG_SHARE),
    "small-lungs": (chest.SMALL_LUNGS_ML,),
    "large-lungs": (chest.LARGE_LUNGS_ML,),
    "lungs-cut-at-base": (100 * chest.CUT_LUNG_SHARE,),
    "lungs-cut-at-apex": (100 * chest.CUT_LUNG_SHARE,),
    "lungs-cut-at-side": (100 * chest.SIDE_LUNG_SHARE,),
    "no-fat": (MIN_FAT_PERCENT,),
    "no-lung-tissue": (pleura.MOST_FREE_AIR_PERCENT,),
    "quarter-turn": (turned.QUARTER_TURN_DEGREES,),
    "free-air": (pleura.MIN_FREE_AIR_ML, pleura.MIN_FREE_AIR_PERCENT),
    "lung-with-little-air": (pleura.MIN_SIDES_PERCENT,),
    "blurred": (surroundings.MAX_EDGE_MM, surroundings.MAX_EDGE_PX),
    "contrast-enhanced": (surroundings.MAX_PLAIN_BLOOD_HU,),
    "front-back-doubtful": (
        surroundings.MAX_FRONT_OVER_BACK_HU,
        surroundings.MAX_FRONT_OVER_BONE_HU,
        surroundings.MAX_BACK_HU,
    ),
    "head-feet-doubtful": (*(number for pair in surroundings.AIRWAY_LIMITS_CM2 for number in pair),),
    "readings-disagree": (agreement.DISAGREEMENT_PERCENT,),
    "readings-differ-in-thirds": (agreement.MIN_DICE,),
}
"""Code of each check with limits of its own, and the constants that the library compares with."""


def rows():
    """Cells of every row of the page, by code."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row for row in cells}


@pytest.mark.parametrize("code", LIMITS)
def test_limits_of_the_page_are_those_of_the_code(code):
    found = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", rows()[code][3].replace("cm2", "cm"))]
    if code == "hu-offset-lost":
        # Its second limit stands behind that of air.
        found = found[:2]
    assert [float(limit) for limit in LIMITS[code]] == pytest.approx(found)


def test_limits_that_the_page_tells_among_what_is_measured():
    measured = {code: row[2] for code, row in rows().items()}
    assert f"at or above {intensities.DENSE_HU} HU" in measured["hu-scale"]
    low, high = intensities.SOFT_TISSUE_HU
    assert f"from {low} to {high} HU" in measured["no-soft-tissue"]
    assert f"from {intensities.AERATED_FROM_HU} to {intensities.TISSUE_FROM_HU} HU" in measured["no-air"]
    assert f"from {FATTY_HU[0]} to {FATTY_HU[1]} HU" in measured["no-fat"]
    assert f"at or above {intensities.METAL_HU} HU" in measured["metal"]
    assert f"air of {pure_air.FREE_AIR_HU:g} HU and less" in measured["free-air"]
    assert f"balls of {pure_air.FREE_AIR_RADIUS_MM:g} mm radius" in measured["free-air"]
    assert f"under {pleura.AERATED_HU} HU" in measured["lung-with-little-air"]
    assert f"where one finds {agreement.REGION_PERCENT:g} % or more" in measured["readings-differ-in-thirds"]


@pytest.mark.parametrize(
    ("spacing_zyx", "thickness", "expected"),
    [
        ((5.5, 2.5, 1.0), None, {}),
        ((5.6, 1.0, 1.0), None, {"thick-slices": 5.6}),
        ((5.6, 1.0, 1.0), 7.0, {"thick-slices": 5.6}),
        ((3.0, 1.0, 1.0), 5.5, {}),
        ((3.0, 1.0, 1.0), 5.6, {"thick-slices": 5.6}),
        ((3.0, 1.0, 1.0), 2.0, {}),
        ((3.0, 1.0, 1.0), 1.5, {"gaps-between-slices": 1.5}),
        ((3.0, 1.0, 1.0), 0.0, {}),
        ((3.0, 2.6, 1.0), None, {"coarse-pixels": 2.6}),
        ((3.0, 1.0, 2.6), None, {"coarse-pixels": 2.6}),
    ],
)
def test_the_grid_is_told_beyond_its_limits_and_not_at_them(spacing_zyx, thickness, expected):
    hu = np.tile(np.array([-1000, 40, -90, 400], np.int16), (4, 60, 30))
    grid = CanonicalGrid(Geometry(hu.shape, spacing_zyx[::-1]))
    told = {"thick-slices", "gaps-between-slices", "coarse-pixels"}
    found = {notice.code: notice.value for notice in check_scan(hu, grid, True, thickness) if notice.code in told}
    assert found == expected


@pytest.mark.parametrize(
    ("opacity", "localized", "dice", "verdict"),
    [
        (0.99, 0.99, 0.0, "neither finds disease"),
        (1.0, 0.0, 0.2, "agree"),
        (4.99, 0.5, 0.19, "too little to compare"),
        (5.0, 0.99, 0.19, "opacities only"),
        (0.99, 5.0, 0.19, "localization only"),
        (5.0, 1.0, 0.19, "different places"),
        (1.0, 5.0, None, "different places"),
        (None, 5.0, 0.5, "not measured"),
    ],
)
def test_verdicts_at_their_limits(opacity, localized, dice, verdict):
    from CovidCTLib.analysis import Measurement

    measures = [
        Measurement("right_lung", "opacity_percent", opacity, "%", None),
        Measurement("right_lung", "localization_percent", localized, "%", None),
        Measurement("right_lung", "readings_dice", dice, "", None),
    ]
    (row,) = compare_readings(measures)
    assert row.verdict == verdict
