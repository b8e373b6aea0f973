from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_phantoms import (
    LUNG_HU,
    PIXEL_MM2,
    SPACING_XYZ_MM,
    make_axial,
    make_box_lungs,
    make_random_axial,
    unread,
)

from CovidCTLib.analysis import SliceFinding
from CovidCTLib.geometry import Geometry
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_EFFUSION, OPACITY_GGO
from CovidCTLib.measures import measure_regions, measure_slices
from CovidCTLib.options import Options

RIGHT_PIXELS, LEFT_PIXELS = 4 * 6, 4 * 8


@pytest.fixture
def boxes():
    return make_axial(LUNG_HU, make_box_lungs())


def test_there_is_one_row_a_slice_from_the_feet_to_the_head(boxes):
    rows = measure_slices(boxes, unread(boxes), Options())
    assert [row.index for row in rows] == list(range(14))
    assert [row.position_mm for row in rows] == pytest.approx([4.0 * k for k in range(14)])


def test_the_position_is_that_of_the_slice_centre_in_a_tilted_grid():
    angle = np.radians(8)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    direction = (1.0, 0.0, 0.0, 0.0, cosine, -sine, 0.0, sine, cosine)
    geometry = Geometry((3, 11, 5), (1.0, 2.0, 4.0), (7.0, -30.0, 100.0), direction)
    axial = make_axial(-800, np.ones((3, 11, 5)), geometry=geometry)
    rows = measure_slices(axial, unread(axial), Options())
    assert [row.position_mm for row in rows] == pytest.approx([100 + 10 * sine + 4 * cosine * k for k in range(3)])


def test_the_position_is_that_of_the_slice_centre_where_columns_rise_too():
    angle = np.radians(8)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    direction = (cosine, 0.0, -sine, 0.0, 1.0, 0.0, sine, 0.0, cosine)
    geometry = Geometry((3, 11, 5), (1.0, 2.0, 4.0), (7.0, -30.0, 100.0), direction)
    axial = make_axial(-800, np.ones((3, 11, 5)), geometry=geometry)
    rows = measure_slices(axial, unread(axial), Options())
    # Two columns of 1 mm from the corner to the middle.
    assert [row.position_mm for row in rows] == pytest.approx([100 + 2 * sine + 4 * cosine * k for k in range(3)])


def test_lung_areas_are_exact(boxes):
    rows = measure_slices(boxes, unread(boxes), Options())
    expected = [0] + [RIGHT_PIXELS] * 3 + [RIGHT_PIXELS + LEFT_PIXELS] * 6 + [LEFT_PIXELS] * 3 + [0]
    assert [row.lung_area_mm2 for row in rows] == pytest.approx([pixels * PIXEL_MM2 for pixels in expected])
    assert [row.index for row in rows if row.representative] == [4]


@pytest.mark.parametrize(
    ("spacing_xyz", "pixel_mm2"), [((0.5, 3.0, 4.0), 1.5), ((3.0, 0.5, 7.0), 1.5), ((0.5, 0.5, 4.0), 0.25)]
)
def test_every_area_counts_both_spacings_of_the_slice_and_no_other(spacing_xyz, pixel_mm2):
    lungs = np.zeros((2, 6, 10), np.uint8)
    lungs[0, :5, :8] = 1
    opacities, localization = np.zeros(lungs.shape), np.zeros(lungs.shape)
    opacities[0, 0, :6], opacities[0, 1, :4] = OPACITY_GGO, OPACITY_CONSOLIDATION
    localization[0, 2, :3] = 0.9
    hu = np.full(lungs.shape, LUNG_HU)
    hu[0, 3, :2] = 40
    axial = make_axial(hu, lungs, opacities, localization, Geometry(lungs.shape, spacing_xyz))
    row = measure_slices(axial, unread(axial), Options())[0]
    areas = (
        row.lung_area_mm2, row.ggo_area_mm2, row.consolidation_area_mm2, row.localization_area_mm2, row.vessel_area_mm2,
    )  # fmt: skip
    assert areas == pytest.approx([pixels * pixel_mm2 for pixels in (40, 6, 4, 3, 2)])
    assert (row.opacity_percent, row.vessel_ratio_percent) == pytest.approx((25.0, 5.0))


def test_vessels_are_lung_pixels_at_or_above_the_limit(boxes):
    boxes.hu[5, 3, 2:5] = (-501, -500, 40)
    boxes.hu[5, 0, :] = 40  # outside
    row = measure_slices(boxes, unread(boxes), Options())[5]
    assert row.vessel_area_mm2 == pytest.approx(2 * PIXEL_MM2)
    assert row.vessel_ratio_percent == pytest.approx(100 * 2 / 56)
    higher = measure_slices(boxes, unread(boxes), Options(vessel_hu=-499))[5]
    assert higher.vessel_area_mm2 == pytest.approx(PIXEL_MM2)


def test_pixels_on_the_contour_can_be_left_out_of_the_vessels(boxes):
    boxes.hu[:] = 40
    row = measure_slices(boxes, unread(boxes), Options(), without_contour=True)[5]
    assert row.vessel_area_mm2 == pytest.approx((2 * 4 + 2 * 6) * PIXEL_MM2)
    assert measure_slices(boxes, unread(boxes), Options())[5].vessel_ratio_percent == 100


def test_opacities_count_inside_the_lungs(boxes):
    boxes.opacities[6, :, :4] = OPACITY_GGO
    boxes.opacities[6, 2, 10:18] = OPACITY_CONSOLIDATION
    boxes.opacities[6, 5, 10:18] = OPACITY_EFFUSION
    row = measure_slices(boxes, unread(boxes), Options())[6]
    assert row.ggo_area_mm2 == pytest.approx(4 * 3 * PIXEL_MM2)
    assert row.consolidation_area_mm2 == pytest.approx(8 * PIXEL_MM2)
    assert row.opacity_percent == pytest.approx(100 * 20 / 56)


def test_the_localization_area_starts_at_the_threshold(boxes):
    boxes.localization[6, 2, 1:7] = (0.1, 0.2, 0.3, 0.0, 1.0, 0.19)
    boxes.localization[6, 0, :] = 1  # outside
    assert measure_slices(boxes, unread(boxes), Options())[6].localization_area_mm2 == pytest.approx(3 * PIXEL_MM2)
    everything = measure_slices(boxes, unread(boxes), Options(localization_threshold=0))[6]
    assert everything.localization_area_mm2 == pytest.approx(5 * PIXEL_MM2)


def test_findings_are_passed_through_to_their_slice(boxes):
    findings = [SliceFinding(k / 20, k > 7) for k in range(14)]
    rows = measure_slices(boxes, findings, Options())
    assert [row.probability for row in rows] == [finding.probability for finding in findings]
    assert [row.positive for row in rows] == [finding.positive for finding in findings]


def test_a_slice_without_lung_has_areas_of_0_and_no_ratios(boxes):
    row = measure_slices(boxes, unread(boxes), Options())[0]
    assert (row.lung_area_mm2, row.vessel_area_mm2, row.ggo_area_mm2, row.localization_area_mm2) == (0, 0, 0, 0)
    assert (row.vessel_ratio_percent, row.opacity_percent, row.probability) == (None, None, None)
    assert (row.openness, row.representative) == ("no lung", False)


def test_open_slices_show_aerated_lung_and_closed_ones_hardly_any(boxes):
    boxes.hu[4] = -500  # not aerated: the limit is exclusive
    boxes.hu[5] = -500
    boxes.hu[5, 2, 1:7] = -501  # 6 of 56 pixels, just over a tenth
    boxes.hu[6] = -100
    boxes.hu[6, 2, 1:6] = -900  # 5 of 56 pixels, just under
    rows = measure_slices(boxes, unread(boxes), Options())
    assert [rows[k].openness for k in (0, 1, 4, 5, 6, 7)] == ["no lung", "open", "closed", "open", "closed", "open"]


def test_in_lungs_without_air_no_slice_is_open(boxes):
    boxes.hu[:] = -50
    rows = measure_slices(boxes, unread(boxes), Options())
    assert {row.openness for row in rows} == {"closed", "no lung"}


def test_without_lungs_no_slice_is_representative():
    axial = make_axial(40, np.zeros((3, 4, 5)))
    rows = measure_slices(axial, unread(axial), Options())
    assert not any(row.representative for row in rows)
    assert {row.openness for row in rows} == {"no lung"}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_areas_times_slice_distance_are_the_volumes_of_both_lungs(seed):
    axial = make_random_axial(seed)
    rows = measure_slices(axial, unread(axial), Options())
    volumes = {entry.name: entry.value for entry in measure_regions(axial, Options()) if entry.region == "both_lungs"}
    slice_mm = SPACING_XYZ_MM[2]
    for column, name in (
        ("lung_area_mm2", "volume_ml"),
        ("ggo_area_mm2", "ggo_volume_ml"),
        ("consolidation_area_mm2", "consolidation_volume_ml"),
    ):
        total_ml = sum(getattr(row, column) for row in rows) * slice_mm / 1000
        assert total_ml == pytest.approx(volumes[name] or 0.0)
    assert sum(row.representative for row in rows) <= 1
    for row in rows:
        for ratio in (row.vessel_ratio_percent, row.opacity_percent):
            assert ratio is None or 0 <= ratio <= 100


def test_strides_of_flipped_arrays_do_not_matter(boxes):
    boxes.hu[5, 3, 2:5] = 40
    views = replace(boxes, hu=np.asfortranarray(boxes.hu), lungs=boxes.lungs[:, ::-1].copy()[:, ::-1])
    assert measure_slices(views, unread(boxes), Options()) == measure_slices(boxes, unread(boxes), Options())
