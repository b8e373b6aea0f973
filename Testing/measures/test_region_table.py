"""Volumes, opacities, aeration and HU of regions on phantoms with closed forms, and values that are absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from measure_phantoms import (
    LEFT_BOX,
    LEFT_VOXELS,
    LUNG_HU,
    RIGHT_BOX,
    RIGHT_VOXELS,
    SHAPE,
    VOXEL_ML,
    find,
    make_axial,
    make_box_lungs,
    make_random_axial,
    value_of,
)

from CovidCTLib.hu import AERATION_BANDS, AerationBand
from CovidCTLib.labels import LEFT, OPACITY_EFFUSION, OPACITY_GGO, RIGHT
from CovidCTLib.measures import measure_regions
from CovidCTLib.measures.definitions import DEFINITIONS
from CovidCTLib.measures.region_table import (
    CONSTANT_HU_REASON,
    EFFUSION_REASON,
    MISSING_ZONE_REASON,
    NO_LUNG_REASON,
)
from CovidCTLib.measures.regions import ZONES
from CovidCTLib.options import Options


def test_box_volumes_are_exact(healthy_boxes):
    measures = measure_regions(healthy_boxes, Options())
    assert value_of(measures, "right_lung", "volume_ml") == pytest.approx(RIGHT_VOXELS * VOXEL_ML)
    assert value_of(measures, "left_lung", "volume_ml") == pytest.approx(LEFT_VOXELS * VOXEL_ML)
    assert value_of(measures, "both_lungs", "volume_ml") == pytest.approx((RIGHT_VOXELS + LEFT_VOXELS) * VOXEL_ML)
    for zone in ZONES:
        voxels = (RIGHT_VOXELS if zone.startswith("right") else LEFT_VOXELS) / 3
        assert value_of(measures, zone, "volume_ml") == pytest.approx(voxels * VOXEL_ML)


def test_an_ellipsoid_has_its_volume_and_thirds():
    """A cut through a ball at a third of its height leaves a cap of 7/27 of the volume."""
    radius, centre = 27.0, 30.5  # between two slices, so that thirds are cut at a third of the height exactly
    z, y, x = np.ogrid[:62, :62, :62]
    ball = (z - centre) ** 2 + (y - centre) ** 2 + (x - centre) ** 2 <= radius**2
    measures = measure_regions(make_axial(-800, ball * np.uint8(RIGHT)), Options())
    whole_ml = 4 / 3 * np.pi * radius**3 * VOXEL_ML
    assert value_of(measures, "right_lung", "volume_ml") == pytest.approx(whole_ml, rel=0.01)
    for third, share in (("upper", 7 / 27), ("middle", 13 / 27), ("lower", 7 / 27)):
        assert value_of(measures, f"right_{third}", "volume_ml") == pytest.approx(whole_ml * share, rel=0.02)


def test_thirds_follow_each_lungs_own_extent(healthy_boxes):
    opacities = healthy_boxes.opacities.copy()
    opacities[4:7] = OPACITY_GGO
    measures = measure_regions(replace(healthy_boxes, opacities=opacities), Options())
    assert value_of(measures, "right_middle", "opacity_percent") == 100
    assert value_of(measures, "left_lower", "opacity_percent") == 100
    assert value_of(measures, "right_lower", "opacity_percent") == 0
    assert value_of(measures, "left_middle", "opacity_percent") == 0


def test_upper_means_towards_the_head(diseased_boxes):
    measures = measure_regions(diseased_boxes, Options())
    assert value_of(measures, "left_upper", "consolidation_volume_ml") == pytest.approx(LEFT_VOXELS / 3 * VOXEL_ML)
    assert value_of(measures, "lower", "consolidation_volume_ml") == 0
    assert value_of(measures, "lower", "ggo_volume_ml") == pytest.approx(RIGHT_VOXELS / 12 * VOXEL_ML)


def test_opacity_counts_ground_glass_and_consolidation(diseased_boxes):
    measures = measure_regions(diseased_boxes, Options())
    opacity = RIGHT_VOXELS / 12 + LEFT_VOXELS / 3
    assert value_of(measures, "both_lungs", "opacity_volume_ml") == pytest.approx(opacity * VOXEL_ML)
    percent = 100 * opacity / (RIGHT_VOXELS + LEFT_VOXELS)
    assert value_of(measures, "both_lungs", "opacity_percent") == pytest.approx(percent)


def test_high_opacity_starts_at_its_limit_and_needs_an_opacity(diseased_boxes):
    diseased_boxes.hu[5, 3, 3] = 60  # dense, but no opacity
    percent = 100 * (LEFT_VOXELS / 3 - 8) / LEFT_VOXELS
    measures = measure_regions(diseased_boxes, Options())
    assert value_of(measures, "left_lung", "high_opacity_percent") == pytest.approx(percent)
    assert value_of(measures, "right_lung", "high_opacity_percent") == 0
    higher = measure_regions(diseased_boxes, Options(high_opacity_hu=-199.5))
    assert value_of(higher, "left_lung", "high_opacity_percent") == 0
    lower = measure_regions(diseased_boxes, Options(high_opacity_hu=-600))
    assert value_of(lower, "right_lung", "high_opacity_percent") == pytest.approx(100 / 12)


def test_opacity_outside_the_lungs_does_not_count(healthy_boxes):
    opacities = np.where(healthy_boxes.lungs > 0, 0, OPACITY_GGO).astype(np.uint8)
    measures = measure_regions(replace(healthy_boxes, opacities=opacities), Options())
    assert value_of(measures, "both_lungs", "opacity_volume_ml") == 0


def test_pleural_effusion_is_measured_wherever_it_lies(healthy_boxes):
    opacities = np.zeros(SHAPE, dtype=np.uint8)
    opacities[1, 6:8, 1:7] = OPACITY_EFFUSION
    opacities[1, 5, 1:7] = OPACITY_EFFUSION  # inside the lung: effusion, but no opacity
    measures = measure_regions(replace(healthy_boxes, opacities=opacities), Options())
    assert value_of(measures, "both_lungs", "pleural_effusion_volume_ml") == pytest.approx(18 * VOXEL_ML)
    assert value_of(measures, "both_lungs", "opacity_volume_ml") == 0


def test_unpredicted_effusion_is_absent_with_its_reason(healthy_boxes):
    entry = find(measure_regions(healthy_boxes, Options()), "both_lungs", "pleural_effusion_volume_ml")
    assert (entry.value, entry.reason, entry.unit) == (None, EFFUSION_REASON, "ml")


def test_band_limits_are_inclusive_below_and_exclusive_above():
    lungs = np.ones((1, 1, 10), dtype=np.uint8)
    hu = np.array([-2000, -951, -950, -751, -750, -401, -400, -1, 0, 3000]).reshape(1, 1, 10)
    measures = measure_regions(make_axial(hu, lungs), Options())
    for band in AERATION_BANDS:
        assert value_of(measures, "right_lung", f"aeration_{band.name}_ml") == pytest.approx(2 * VOXEL_ML)
        assert value_of(measures, "right_lung", f"aeration_{band.name}_percent") == pytest.approx(20)


def test_bands_of_the_options_replace_the_default_ones(diseased_boxes):
    bands = (AerationBand("light", -900, -599.5), AerationBand("void", 500, 600), AerationBand("low", -1000, -900))
    measures = measure_regions(diseased_boxes, Options(aeration_bands=bands))
    assert value_of(measures, "right_lung", "aeration_light_percent") == 100
    assert value_of(measures, "right_lung", "aeration_void_ml") == 0
    assert value_of(measures, "right_lung", "aeration_low_ml") == 0
    assert not [entry for entry in measures if "emphysema" in entry.name]


def test_mass_of_a_constant_lung_is_density_times_volume(healthy_boxes):
    measures = measure_regions(healthy_boxes, Options())
    assert value_of(measures, "left_lung", "mass_g") == pytest.approx(0.15 * LEFT_VOXELS * VOXEL_ML)


def test_a_constant_lung_has_no_skewness_and_no_kurtosis(healthy_boxes):
    measures = measure_regions(healthy_boxes, Options())
    assert value_of(measures, "both_lungs", "hu_mean") == LUNG_HU
    assert value_of(measures, "both_lungs", "hu_sd") == 0
    for name in ("hu_skewness", "hu_kurtosis"):
        entry = find(measures, "both_lungs", name)
        assert (entry.value, entry.reason) == (None, CONSTANT_HU_REASON)


def test_hu_statistics_agree_with_numpy_and_scipy():
    axial = make_random_axial(11, (12, 20, 20))
    measures = measure_regions(axial, Options())
    for region, inside in (
        ("both_lungs", axial.lungs > 0),
        ("right_lung", axial.lungs == RIGHT),
        ("left_lung", axial.lungs == LEFT),
    ):
        hu = axial.hu[inside].astype(float)
        assert value_of(measures, region, "hu_mean") == pytest.approx(hu.mean(), rel=1e-12)
        assert value_of(measures, region, "hu_sd") == pytest.approx(hu.std(), rel=1e-12)
        assert value_of(measures, region, "hu_skewness") == pytest.approx(scipy.stats.skew(hu), rel=1e-9)
        assert value_of(measures, region, "hu_kurtosis") == pytest.approx(scipy.stats.kurtosis(hu), rel=1e-9)
        assert value_of(measures, region, "hu_percentile_15") == pytest.approx(np.percentile(hu, 15), abs=1e-9)
        assert value_of(measures, region, "mass_g") == pytest.approx(((hu + 1000) / 1000).sum() * VOXEL_ML)


def test_without_lungs_every_measure_is_absent_with_a_reason():
    measures = measure_regions(make_axial(40, np.zeros((3, 4, 5))), Options())
    assert {entry.name for entry in measures} == set(DEFINITIONS)
    for entry in measures:
        assert entry.value is None
        expected = EFFUSION_REASON if entry.name == "pleural_effusion_volume_ml" else NO_LUNG_REASON
        assert entry.reason == expected


def test_with_one_lung_the_other_is_absent_and_both_are_the_one(diseased_boxes):
    lungs = np.where(diseased_boxes.lungs == RIGHT, RIGHT, 0).astype(np.uint8)
    measures = measure_regions(replace(diseased_boxes, lungs=lungs), Options())
    for name in ("volume_ml", "opacity_percent", "hu_mean", "corona_score_cm3"):
        assert find(measures, "left_lung", name).reason == NO_LUNG_REASON
        assert find(measures, "left_upper", name).value is None
        assert value_of(measures, "both_lungs", name) == value_of(measures, "right_lung", name)
    assert find(measures, "both_lungs", "severity_0_24").reason == MISSING_ZONE_REASON
    assert find(measures, "left_upper", "severity").reason == NO_LUNG_REASON


def test_a_lung_of_two_slices_has_no_middle_third():
    lungs = np.full((2, 3, 4), RIGHT, dtype=np.uint8)
    measures = measure_regions(make_axial(-700, lungs), Options())
    assert find(measures, "right_middle", "volume_ml").reason == NO_LUNG_REASON
    assert value_of(measures, "upper", "volume_ml") == value_of(measures, "right_lower", "volume_ml")


def test_a_value_is_given_exactly_where_there_is_no_reason():
    for seed in range(3):
        for entry in measure_regions(make_random_axial(seed), Options()):
            assert (entry.value is None) == (entry.reason is not None)


def test_extreme_hu_are_counted_too():
    hu = np.array([-32768, 32767, -1024, 3071]).reshape(1, 1, 4)
    measures = measure_regions(make_axial(hu, np.ones((1, 1, 4))), Options())
    assert value_of(measures, "both_lungs", "hu_mean") == hu.mean()
    assert value_of(measures, "both_lungs", "aeration_emphysema_percent") == 50


def test_boxes_are_where_the_tests_think():
    lungs = make_box_lungs()
    assert np.all(lungs[RIGHT_BOX] == RIGHT)
    assert np.all(lungs[LEFT_BOX] == LEFT)
