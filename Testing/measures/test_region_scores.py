"""Corona Score, the comparison of the two readings and the severity of regions, on boxes of counted voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure_phantoms import RIGHT_VOXELS, SHAPE, VOXEL_ML, find, value_of

from CovidCTLib.labels import OPACITY_CONSOLIDATION
from CovidCTLib.measures import measure_regions
from CovidCTLib.measures.region_table import NOTHING_FOUND_REASON
from CovidCTLib.measures.regions import ZONES
from CovidCTLib.options import Options


def test_the_corona_score_is_the_sum_of_the_localization_inside_the_lungs(healthy_boxes):
    localization = np.zeros(SHAPE, dtype=np.float32)
    localization[4:7, 2:6, 1:7] = 0.25
    localization[4:7, 2:6, 10:18] = 0.75
    localization[:, :, 19] = 1  # outside
    measures = measure_regions(replace(healthy_boxes, localization=localization), Options())
    right_cm3, left_cm3 = 0.25 * 72 * VOXEL_ML, 0.75 * 96 * VOXEL_ML
    assert value_of(measures, "right_middle", "corona_score_cm3") == pytest.approx(right_cm3)
    assert value_of(measures, "left_lower", "corona_score_cm3") == pytest.approx(left_cm3)
    assert value_of(measures, "both_lungs", "corona_score_cm3") == pytest.approx(right_cm3 + left_cm3)
    assert value_of(measures, "upper", "corona_score_cm3") == 0


def test_the_corona_score_and_the_opacity_volume_are_separate_readings(diseased_boxes):
    measures = measure_regions(diseased_boxes, Options())
    assert value_of(measures, "both_lungs", "opacity_volume_ml") > 0
    assert value_of(measures, "both_lungs", "corona_score_cm3") == 0


def test_the_two_readings_are_compared_voxel_by_voxel(diseased_boxes):
    localization = np.zeros(SHAPE, dtype=np.float32)
    # Of the 18 opaque voxels of the right lung 12 are localized, with 12 others and some that are too faint.
    localization[2:4, 2:4, 1:7] = 0.2
    localization[5:7, 2:6, 1:7] = 0.19
    measures = measure_regions(replace(diseased_boxes, localization=localization), Options())
    assert value_of(measures, "right_lung", "localization_volume_ml") == pytest.approx(24 * VOXEL_ML)
    assert value_of(measures, "right_lung", "localization_percent") == pytest.approx(100 * 24 / RIGHT_VOXELS)
    assert value_of(measures, "right_lung", "readings_difference_ml") == pytest.approx((18 - 24) * VOXEL_ML)
    assert value_of(measures, "right_lung", "readings_dice") == pytest.approx(2 * 12 / (18 + 24))
    assert value_of(measures, "left_upper", "readings_dice") == 0
    assert find(measures, "left_lower", "readings_dice").reason == NOTHING_FOUND_REASON
    whole = value_of(measures, "both_lungs", "localization_volume_ml")
    assert whole == pytest.approx(sum(value_of(measures, zone, "localization_volume_ml") for zone in ZONES))


def test_the_localization_threshold_is_an_option(diseased_boxes):
    localization = np.full(SHAPE, 0.3, dtype=np.float32)
    axial = replace(diseased_boxes, localization=localization)
    assert value_of(measure_regions(axial, Options()), "both_lungs", "localization_percent") == 100
    strict = measure_regions(axial, Options(localization_threshold=0.4))
    assert value_of(strict, "both_lungs", "localization_percent") == 0
    empty = measure_regions(diseased_boxes, Options(localization_threshold=0.0))
    assert value_of(empty, "both_lungs", "localization_percent") == 0


def test_severity_is_graded_by_zone_and_summed_up(diseased_boxes):
    measures = measure_regions(diseased_boxes, Options())
    assert value_of(measures, "right_lower", "severity") == 2  # a quarter exactly
    assert value_of(measures, "left_upper", "severity") == 4
    assert value_of(measures, "left_middle", "severity") == 0
    assert value_of(measures, "both_lungs", "severity_0_24") == 6
    assert {entry.region for entry in measures if entry.name == "severity"} == set(ZONES)
    assert {entry.region for entry in measures if entry.name == "severity_0_24"} == {"both_lungs"}


def test_lungs_full_of_opacity_have_the_highest_severity(healthy_boxes):
    full = replace(healthy_boxes, opacities=np.full(SHAPE, OPACITY_CONSOLIDATION, dtype=np.uint8))
    assert value_of(measure_regions(full, Options()), "both_lungs", "severity_0_24") == 24
