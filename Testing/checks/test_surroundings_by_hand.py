"""What is measured around the lungs, by arrays whose answers are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.checks import surroundings
from CovidCTLib.checks.surroundings import (
    MAX_EDGE_MM,
    MAX_EDGE_PX,
    _airway_cm2,
    _blur,
    _edge_widths,
    _extent_of,
    _front_and_back,
    _has_true_air,
    _head_and_feet,
    _LungExtent,
    blood_hu,
    check_surroundings,
)


def two_lungs(shape=(20, 30, 40), z=(4, 16), y=(6, 22), right=(5, 15), left=(22, 34)):
    """Boxes as lungs; ends are exclusive."""
    lungs = np.zeros(shape, np.uint8)
    lungs[slice(*z), slice(*y), slice(*right)] = 1
    lungs[slice(*z), slice(*y), slice(*left)] = 2
    return lungs


def test_the_extent_has_the_ends_of_both_lungs_and_the_columns_that_halve_each():
    assert _extent_of(two_lungs(), (1, 1)) == _LungExtent((4, 15), (6, 21), 9.0, 27.0, 13.0)
    # Every second slice and third pixel: columns 6, 9, 12 and 24, 27, 30, 33, rows 6 to 21.
    assert _extent_of(two_lungs(), (2, 3)) == _LungExtent((4, 14), (6, 21), 9.0, 27.0, 12.0)
    assert _LungExtent((4, 15), (6, 21), 9.0, 27.0, 13.0).middle_x == 18.0
    for label in (1, 2):
        one = two_lungs()
        one[one == label] = 0
        assert _extent_of(one, (1, 1)) is None


@pytest.mark.parametrize("left", [(5, 15), (2, 12)])
def test_lungs_on_exchanged_sides_or_over_one_another_are_not_looked_at(left):
    # Left lung below the right one, so that its middle lies at the same column, or further right.
    lungs = two_lungs()
    lungs[lungs == 2] = 0
    lungs[4:16, 24:28, slice(*left)] = 2
    hu = np.where(lungs > 0, -850, 40).astype(np.int16)
    hu[:, 10:12, 17:20] = 4000
    assert check_surroundings(hu, lungs, (2.0, 2.0, 2.0)) == ()


@pytest.mark.parametrize(("tissue", "air", "count"), [(99, -501, 0), (100, -501, 96), (101, -500, 0)])
def test_edges_are_steps_of_more_than_600_hu_down_to_air(tissue, air, count):
    lungs = two_lungs((10, 24, 60), z=(0, 10), y=(6, 18), right=(12, 24), left=(36, 48))
    hu = np.where(lungs > 0, air, tissue).astype(np.int16)
    extent = _LungExtent((0, 9), (6, 17), 18, 42, 12)
    # Six slices, rows 6, 9, 12 and 15, and four edges in each.
    widths = _edge_widths(hu, lungs, 2.0, extent)
    assert len(widths) == count
    assert (widths == 1).all()


def test_a_step_over_several_pixels_is_divided_by_its_steepest_part():
    lungs = two_lungs((10, 24, 80), z=(0, 10), y=(6, 18), right=(20, 30), left=(50, 60))
    row = np.full(80, 40, np.int16)
    # Down by 100, 300, 500 HU, and 0 from there: a step of 900 HU, of which 500 lie in one pixel.
    row[20:] = [-60, -360, *[-860] * 58]
    hu = np.broadcast_to(row, (10, 24, 80)).astype(np.int16)
    widths = _edge_widths(hu, lungs, 2.0, _LungExtent((0, 9), (6, 17), 25, 55, 12))
    assert len(widths) == 24
    np.testing.assert_allclose(widths, 900 / 500)


def test_edges_nearer_to_the_side_than_ten_mm_are_left_out():
    # 10 mm are 5 pixels of 2 mm: profiles reach from 4 before the last pixel before the edge to 5 after it.
    for first, count, turned_count in ((4, 0, 0), (5, 24, 0), (6, 24, 24)):
        lungs = two_lungs((10, 24, 60), z=(0, 10), y=(6, 18), right=(first, 60), left=(59, 60))
        hu = np.where(lungs > 0, -850, 40).astype(np.int16)
        assert len(_edge_widths(hu, lungs, 2.0, _LungExtent((0, 9), (6, 17), 20, 59, 12))) == count
        # At the other side one pixel more is asked for.
        turned = np.ascontiguousarray(hu[:, :, ::-1]), np.ascontiguousarray(lungs[:, :, ::-1])
        assert len(_edge_widths(*turned, 2.0, _LungExtent((0, 9), (6, 17), 20, 59, 12))) == turned_count


def blurred(width_px, spacing_x_mm):
    """Lungs whose edges are ramps of 900 HU over so many pixels, and what is said of them."""
    lungs = two_lungs((10, 48, 120), z=(0, 10), y=(6, 42), right=(30, 50), left=(70, 90))
    row = np.full(120, 40, np.int16)
    for first, last in ((30, 50), (70, 90)):
        ramp = np.arange(1, width_px + 1) * (900 // width_px)
        row[first : first + width_px] = 40 - ramp
        row[first + width_px : last - width_px] = -860
        row[last - width_px : last] = 40 - ramp[::-1]
    hu = np.broadcast_to(row, lungs.shape).astype(np.int16)
    return [notice.value for notice in _blur(hu, lungs, (2.0, 2.0, spacing_x_mm), _extent_of(lungs, (1, 1)))]


def test_edges_are_blurred_beyond_a_width_in_pixels_and_one_in_mm():
    assert (MAX_EDGE_PX, MAX_EDGE_MM) == (2.8, 3.4)
    assert blurred(4, 3.4 / 4) == []
    assert blurred(4, 0.86) == [3.44]
    # However wide in mm, edges of two pixels are those of large pixels.
    assert blurred(3, 5.0) == [15.0]
    assert blurred(2, 5.0) == []


def test_blocks_are_five_mm_of_the_smaller_side_and_lung_in_one_leaves_it_out():
    # Pixels of 5 mm along y and 2.5 mm along x: blocks of 2 x 2 pixels.
    lungs = two_lungs((24, 60, 41), z=(2, 23), y=(10, 51), right=(5, 16), left=(25, 36))
    extent = _extent_of(lungs, (1, 1))
    hu = np.full(lungs.shape, 60, np.int16)
    assert blood_hu(hu, lungs, (2.0, 5.0, 2.5), extent) == 60
    # Right lung ends in the middle of a block (columns 14 and 15 | 16); one more pixel of lung takes a whole block.
    hu[9:17, 16:34, 16] = 500
    assert blood_hu(hu, lungs, (2.0, 5.0, 2.5), extent) == 280
    lungs[9:17, 16:34:2, 17] = 1
    assert blood_hu(hu, lungs, (2.0, 5.0, 2.5), extent) == 60


def test_lungs_that_leave_no_block_between_them_give_no_blood():
    hu = np.full((24, 60, 41), 60, np.int16)
    lungs = two_lungs((24, 60, 41), z=(2, 23), y=(10, 51), right=(5, 16), left=(25, 36))
    flat = _LungExtent((2, 22), (10, 11), 10.0, 30.0, 10.0)
    narrow = _LungExtent((2, 22), (10, 50), 20.0, 20.0, 30.0)
    for extent in (flat, narrow):
        assert blood_hu(hu, np.zeros_like(lungs), (2.0, 5.0, 5.0), extent) is None


def test_blood_is_the_median_of_the_brightest_quarter_between_the_lungs():
    # Pixels of 5 mm are blocks by themselves. Heights 9 to 16, rows 16 to 33, columns 16 to 24 between the lungs.
    lungs = two_lungs((24, 60, 41), z=(2, 23), y=(10, 51), right=(5, 16), left=(25, 36))
    extent = _extent_of(lungs, (1, 1))
    assert extent == _LungExtent((2, 22), (10, 50), 10.0, 30.0, 30.0)
    hu = np.full(lungs.shape, 650, np.int16)
    hu[9:17, 16:34] = (100 + 10 * np.arange(18))[None, :, None]
    # The brightest quarter are the last 4.5 of 18 rows, from 130 + 100 on; its middle lies in row 15.
    assert blood_hu(hu, lungs, (2.0, 5.0, 5.0), extent) == 250
    # Limits are exclusive.
    hu[9:17, 16:34] = 700
    assert blood_hu(hu, lungs, (2.0, 5.0, 5.0), extent) is None
    hu[9:17, 16:34] = -30
    assert blood_hu(hu, lungs, (2.0, 5.0, 5.0), extent) is None


@pytest.mark.parametrize(("pixels", "measured"), [(5, True), (4, False)])
def test_forty_blocks_of_blood_are_enough(pixels, measured):
    lungs = two_lungs((24, 60, 41), z=(2, 23), y=(10, 51), right=(5, 16), left=(25, 36))
    hu = np.full(lungs.shape, 1000, np.int16)
    # Nine looks at eight slices: the first is looked at twice.
    hu[:, 20, 16 : 16 + pixels] = 60
    found = blood_hu(hu, lungs, (2.0, 5.0, 5.0), _extent_of(lungs, (1, 1)))
    assert found == (60 if measured else None)


def front_and_back(front, back, low_slices=0):
    """The densest place in front and behind of the middle, in a strip of 5 columns, and denser ones beside it."""
    hu = np.full((15, 20, 21), 0, np.int16)
    hu[2:13, 5, 10] = front
    hu[2 : 2 + low_slices, 5, 10] = 0
    hu[2:13, 15, 10] = back
    # Beside the strip (columns 8 to 12) and outside the lungs' slices (2 to 12).
    hu[:, 3, 7] = hu[:, 3, 13] = hu[:2, 3, 10] = hu[13:, 3, 10] = 400
    extent = _LungExtent((2, 12), (2, 18), 4.0, 16.0, 10.0)
    return [notice.value for notice in _front_and_back(hu, (2.0, 8.0, 12.5), extent, (1, 1))]


@pytest.mark.parametrize(
    ("front", "back", "low_slices", "found"),
    [
        (80, 50, 0, []),
        (81, 50, 0, [31]),
        (50, 81, 0, []),
        # Bone counts as 600 HU at most.
        (900, 159, 0, [441]),
        # From 160 HU on there may be a spine behind, and the difference must be over 120 HU.
        (279, 159, 0, [120]),
        (280, 160, 0, []),
        (281, 160, 0, [121]),
        # One of eleven slices without it counts as half of one of twenty.
        (200, 50, 1, [50]),
        (200, 50, 2, []),
    ],
)
def test_the_spine_lies_where_nearly_all_slices_have_it(front, back, low_slices, found):
    assert front_and_back(front, back, low_slices) == found


def test_the_middle_row_counts_as_behind_and_lungs_at_the_side_of_the_picture_say_nothing():
    hu = np.zeros((15, 20, 21), np.int16)
    hu[:, 10, 10] = 300
    for middle_y, found in ((10.0, []), (11.0, [300])):
        extent = _LungExtent((2, 12), (2, 18), 4.0, 16.0, middle_y)
        assert [n.value for n in _front_and_back(hu, (2.0, 8.0, 12.5), extent, (1, 1))] == found
    for middle_y in (0.0, 20.0):
        extent = _LungExtent((2, 12), (2, 18), 4.0, 16.0, middle_y)
        assert _front_and_back(hu, (2.0, 8.0, 12.5), extent, (1, 1)) == []


def windpipe(above_px, below_px, every=(1, 1)):
    """Lungs with so many pixels of windpipe of 0.1 cm2 in the upper and the lower quarter; HU and lungs."""
    lungs = two_lungs((42, 30, 41), z=(1, 41), y=(4, 26), right=(4, 15), left=(26, 37))
    hu = np.where(lungs > 0, -850, 40).astype(np.int16)
    hu[31:41, 10].reshape(10, -1)[:, 16 : 16 + above_px] = -1000
    hu[1:11, 10].reshape(10, -1)[:, 16 : 16 + below_px] = -1000
    return hu, lungs


@pytest.mark.parametrize(
    ("above", "below", "value"),
    [
        (0, 4, None),
        (0, 5, 0.5),
        (1, 5, None),
        (1, 9, None),
        (2, 10, 1.0),
        (3, 10, None),
        (10, 0, None),
    ],
)
def test_head_and_feet_are_doubted_by_the_areas_of_the_windpipe(above, below, value):
    hu, lungs = windpipe(above, below)
    found = _head_and_feet(hu, lungs, (2.0, 2.0, 5.0), _extent_of(lungs, (1, 1)), (1, 1))
    assert [notice.value for notice in found] == ([] if value is None else [value])


def test_the_windpipe_is_thin_air_inside_the_body_that_is_no_lung():
    hu, lungs = windpipe(0, 6)
    extent = _extent_of(lungs, (1, 1))
    area = {"hu": hu, "lungs": lungs, "spacing": (2.0, 2.0, 5.0), "extent": extent, "every": 1, "slices": range(1, 11)}
    assert _airway_cm2(**area) == pytest.approx(0.6)
    # Air at -930 HU is not thin enough, and lung is not windpipe.
    thicker = hu.copy()
    thicker[1:11, 10, 16] = -930
    assert _airway_cm2(**{**area, "hu": thicker}) == pytest.approx(0.5)
    more_lung = lungs.copy()
    more_lung[1:11, 10, 16:18] = 1
    assert _airway_cm2(**{**area, "lungs": more_lung}) == pytest.approx(0.4)
    # Columns up to 5 beside the middle, column 20, and rows of the lungs alone.
    wide = np.where(lungs > 0, -850, 40).astype(np.int16)
    wide[1:11, 10, 14:27] = -1000
    wide[1:11, 26:28, 20] = -1000
    assert extent.middle_x == 20.0
    assert _airway_cm2(**{**area, "hu": wide}) == pytest.approx(1.1)
    # Nothing in front of it means that it lies outside the body.
    open_front = hu.copy()
    open_front[1:11, :10, 16:18] = -200
    assert _airway_cm2(**{**area, "hu": open_front}) == pytest.approx(0.4)
    # The median over slices that show lung.
    some = hu.copy()
    some[1:7, 10, 16:22] = 40
    assert _airway_cm2(**{**area, "hu": some}) == 0
    without = lungs.copy()
    without[1:7] = 0
    assert _airway_cm2(**{**area, "hu": some, "lungs": without}) == pytest.approx(0.6)
    assert np.isnan(_airway_cm2(**{**area, "lungs": np.zeros_like(lungs)}))


def test_the_area_of_every_second_pixel_counts_four_times():
    hu, lungs = windpipe(0, 0)
    hu[1:11, 8:16, 16:24] = -1000
    area = _airway_cm2(hu, lungs, (2.0, 2.0, 5.0), _extent_of(lungs, (1, 1)), 2, range(1, 11))
    assert area == pytest.approx(64 * 0.1)


@pytest.mark.parametrize(("thin", "value", "found"), [(1, -950, True), (0, -950, False), (1, -949, False)])
def test_one_voxel_of_a_thousand_is_as_thin_as_air(thin, value, found):
    hu = np.full((10, 10, 11), 40, np.int16)
    hu[:, :, 0] = -1024
    hu.reshape(-1)[1 : 1 + thin] = value
    assert _has_true_air(hu) == found


@pytest.mark.parametrize(("every", "columns"), [(1, 11), (2, 5)])
def test_the_windpipe_is_looked_for_within_25_mm_of_the_middle(every, columns):
    lungs = two_lungs((12, 30, 61), z=(1, 11), y=(4, 26), right=(2, 7), left=(54, 59))
    hu = np.where(lungs > 0, -850, 40).astype(np.int16)
    # A band of air from lung to lung; columns of 5 mm: 5 on each side of the middle, or 2 of 10 mm.
    hu[:, 10:20, 7:54] = -1000
    extent = _extent_of(lungs, (1, 1))
    assert extent.middle_x == 30.0
    area = _airway_cm2(hu, lungs, (2.0, 2.0, 5.0), extent, every, range(1, 11))
    assert area == pytest.approx(10 / every * columns * 0.1 * every**2)


def test_the_lowest_row_of_the_lungs_and_a_quarter_of_their_height_are_looked_at():
    hu, lungs = windpipe(0, 0)
    extent = _extent_of(lungs, (1, 1))
    assert extent.y == (4, 25)
    hu[1:11, 25, 16:22] = -1000
    area = _airway_cm2(hu, lungs, (2.0, 2.0, 5.0), extent, 1, range(1, 11))
    assert area == pytest.approx(0.6)
    # Of 40 slices the lowest ten but the first, every one: air in six of ten makes the median, in five a half of it.
    for first, found in ((6, [1.0]), (7, [0.5]), (8, [])):
        hu, lungs = windpipe(0, 0)
        hu[first:13, 10, 16:26] = -1000
        assert [n.value for n in _head_and_feet(hu, lungs, (2.0, 2.0, 5.0), extent, (1, 1))] == found


@pytest.mark.parametrize(
    ("slices", "spacing", "every"),
    [
        (79, (2.0, 1.0, 2.0), (1, 3)),
        (159, (2.0, 2.0, 1.0), (1, 3)),
        (160, (1.0, 0.7, 0.7), (2, 4)),
        (9, (5, 8, 8), (1, 1)),
    ],
)
def test_about_eighty_slices_and_pixels_of_about_three_mm_show_where_the_lungs_are(monkeypatch, slices, spacing, every):
    asked = []
    monkeypatch.setattr(surroundings, "_extent_of", lambda lungs, steps: asked.append(steps))
    nothing = np.zeros((slices, 4, 4), np.uint8)
    assert check_surroundings(nothing.astype(np.int16), nothing, spacing) == ()
    assert asked == [every]


def test_a_quarter_of_an_odd_height_is_rounded_down_and_one_slice_is_enough():
    # Slices 1 to 39 are lung: 9 of them are a quarter, and 2 to 10 are looked at, of which five show the windpipe.
    hu, lungs = windpipe(0, 0)
    lungs[40] = 0
    hu[6:11, 10, 16:26] = -1000
    extent = _extent_of(lungs, (1, 1))
    assert extent.z == (1, 39)
    assert [n.value for n in _head_and_feet(hu, lungs, (2.0, 2.0, 5.0), extent, (1, 1))] == [1.0]
    # Of six slices one is a quarter: the second one.
    lungs[7:] = 0
    hu, _ = windpipe(0, 0)
    hu[2, 10, 16:26] = -1000
    extent = _extent_of(lungs, (1, 1))
    assert extent.z == (1, 6)
    assert [n.value for n in _head_and_feet(hu, lungs, (2.0, 2.0, 5.0), extent, (1, 1))] == [1.0]
    # Of three slices none is.
    lungs[4:] = 0
    assert _head_and_feet(hu, lungs, (2.0, 2.0, 5.0), _extent_of(lungs, (1, 1)), (1, 1)) == []
