from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
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

from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import AERATION_BANDS, AerationBand
from CovidCTLib.labels import LEFT, OPACITY_CONSOLIDATION, OPACITY_EFFUSION, OPACITY_GGO, RIGHT
from CovidCTLib.measures import measure_regions
from CovidCTLib.measures.definitions import DEFINITIONS
from CovidCTLib.measures.region_table import (
    CONSTANT_HU_REASON,
    EFFUSION_REASON,
    MISSING_ZONE_REASON,
    NO_LUNG_REASON,
    NOTHING_FOUND_REASON,
)
from CovidCTLib.measures.regions import REGIONS, THIRDS, ZONES
from CovidCTLib.options import Options

seeds = st.integers(0, 10**6)
quick = settings(deadline=None, max_examples=25)


@pytest.fixture
def healthy_boxes():
    return make_axial(LUNG_HU, make_box_lungs())


@pytest.fixture
def diseased_boxes():
    """In the right lung's lowest third one of four columns is GGO, in the left lung's highest all is consolidation."""
    lungs = make_box_lungs()
    opacities = np.zeros(SHAPE, dtype=np.uint8)
    opacities[1:4, 2:3, 1:7] = OPACITY_GGO
    opacities[10:13, 2:6, 10:18] = OPACITY_CONSOLIDATION
    hu = np.full(SHAPE, LUNG_HU)
    hu[opacities == OPACITY_GGO] = -600
    hu[opacities == OPACITY_CONSOLIDATION] = -200
    hu[10, 2, 10:18] = -201
    return make_axial(hu, lungs, opacities)


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


def test_the_slab_size_does_not_matter(monkeypatch):
    axial = make_random_axial(5, (23, 6, 10))
    expected = measure_regions(axial, Options())
    monkeypatch.setattr("CovidCTLib.measures.counts.SLAB_SLICES", 1)
    for one, other in zip(measure_regions(axial, Options()), expected, strict=True):
        assert one.value == (pytest.approx(other.value, rel=1e-12) if other.value is not None else None)


def test_extreme_hu_are_counted_too():
    hu = np.array([-32768, 32767, -1024, 3071]).reshape(1, 1, 4)
    measures = measure_regions(make_axial(hu, np.ones((1, 1, 4))), Options())
    assert value_of(measures, "both_lungs", "hu_mean") == hu.mean()
    assert value_of(measures, "both_lungs", "aeration_emphysema_percent") == 50


def test_strides_of_flipped_and_permuted_arrays_do_not_matter(diseased_boxes):
    views = replace(
        diseased_boxes,
        **{
            name: np.asfortranarray(getattr(diseased_boxes, name)[::-1].copy())[::-1]
            for name in ("hu", "lungs", "opacities", "localization")
        },
    )
    assert measure_regions(views, Options()) == measure_regions(diseased_boxes, Options())


def test_the_arrays_are_not_changed(diseased_boxes):
    kept = [getattr(diseased_boxes, name).copy() for name in ("hu", "lungs", "opacities", "localization")]
    measure_regions(diseased_boxes, Options())
    for name, before in zip(("hu", "lungs", "opacities", "localization"), kept, strict=True):
        assert np.array_equal(getattr(diseased_boxes, name), before)


@quick
@given(seeds)
def test_right_and_left_and_the_thirds_add_up(seed):
    axial = make_random_axial(seed)
    measures = measure_regions(axial, Options())
    additive = [name for name in DEFINITIONS if name.endswith(("_ml", "_g", "_cm3")) and "effusion" not in name]

    def amount(region, name):
        return find(measures, region, name).value or 0.0

    for name in additive:
        both = pytest.approx(amount("both_lungs", name), rel=1e-9, abs=1e-12)
        assert amount("right_lung", name) + amount("left_lung", name) == both
        assert sum(amount(third, name) for third in THIRDS) == both
        for side in ("right", "left"):
            lung = pytest.approx(amount(f"{side}_lung", name), rel=1e-9, abs=1e-12)
            assert sum(amount(f"{side}_{third}", name) for third in THIRDS) == lung


@quick
@given(seeds)
def test_bands_add_up_to_the_volume_and_percentages_stay_within_0_and_100(seed):
    measures = measure_regions(make_random_axial(seed), Options())
    for region in REGIONS:
        if find(measures, region, "volume_ml").value is None:
            continue
        bands_ml = [value_of(measures, region, f"aeration_{band.name}_ml") for band in AERATION_BANDS]
        assert sum(bands_ml) == pytest.approx(value_of(measures, region, "volume_ml"))
        shares = [entry.value for entry in measures if entry.region == region and entry.name.endswith("_percent")]
        assert all(share is not None and 0 <= share <= 100 for share in shares)
        high = value_of(measures, region, "high_opacity_percent")
        assert high <= value_of(measures, region, "opacity_percent")


@quick
@given(seeds)
def test_mirroring_swaps_right_and_left(seed):
    axial = make_random_axial(seed)
    swapped = np.array([0, LEFT, RIGHT], dtype=np.uint8)[axial.lungs[:, :, ::-1]]
    mirrored = replace(
        axial,
        hu=axial.hu[:, :, ::-1],
        lungs=swapped,
        opacities=axial.opacities[:, :, ::-1],
        localization=axial.localization[:, :, ::-1],
    )
    found = {(entry.region, entry.name): entry.value for entry in measure_regions(mirrored, Options())}
    for entry in measure_regions(axial, Options()):
        other = entry.region
        if entry.region.startswith("right"):
            other = entry.region.replace("right", "left")
        elif entry.region.startswith("left"):
            other = entry.region.replace("left", "right")
        value = found[other, entry.name]
        assert value == (pytest.approx(entry.value, rel=1e-9, abs=1e-9) if entry.value is not None else None)


@quick
@given(seeds)
def test_turning_upside_down_swaps_upper_and_lower(seed):
    axial = make_random_axial(seed)
    turned = replace(
        axial,
        hu=axial.hu[::-1],
        lungs=axial.lungs[::-1],
        opacities=axial.opacities[::-1],
        localization=axial.localization[::-1],
    )
    before, after = measure_regions(axial, Options()), measure_regions(turned, Options())
    for name in ("volume_ml", "opacity_percent", "hu_mean", "severity"):
        for side in ("right", "left"):
            assert find(before, f"{side}_upper", name).value == find(after, f"{side}_lower", name).value
            assert find(before, f"{side}_middle", name).value == find(after, f"{side}_middle", name).value


@quick
@given(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.2, 10))
def test_volumes_scale_with_the_voxel_and_ratios_do_not(x_mm, y_mm, z_mm):
    lungs = make_box_lungs()
    hu = np.where(np.arange(SHAPE[2]) % 2, -900, -700)
    axial = make_axial(hu, lungs, geometry=Geometry(SHAPE, (x_mm, y_mm, z_mm)))
    measures = measure_regions(axial, Options())
    voxel_ml = x_mm * y_mm * z_mm / 1000
    assert value_of(measures, "right_lung", "volume_ml") == pytest.approx(RIGHT_VOXELS * voxel_ml)
    assert value_of(measures, "right_lung", "mass_g") == pytest.approx(RIGHT_VOXELS * voxel_ml * 0.2)
    assert value_of(measures, "right_lung", "hu_mean") == -800


def test_boxes_are_where_the_tests_think():
    lungs = make_box_lungs()
    assert np.all(lungs[RIGHT_BOX] == RIGHT)
    assert np.all(lungs[LEFT_BOX] == LEFT)
