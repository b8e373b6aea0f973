"""Limits of stacks and pixels at equality, and interpolation by closed forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from dicom_maker import chest_like, write_series

from CovidCTLib.errors import InputError
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.dicom_pixels import (
    _check_rescale,
    _ignored_padding,
    _put_slice,
    between_slices,
    fill_missing,
    stored_to_hu,
)
from CovidCTLib.reading.dicom_stack import _slots


@pytest.mark.parametrize(("off_px", "fits"), [(0.98, True), (1.05, False)])
def test_slices_of_a_tilted_stack_lie_within_one_pixel_of_a_straight_line(tmp_path, off_px, fits):
    # Sideways in turn by the same length, which no line through the slices follows.
    offsets = [off_px * 0.7 * (-1) ** (k // 2 + k) for k in range(12)]
    write_series(tmp_path, positions=[(x, -20.0, 2.5 * k) for k, x in enumerate(offsets)])
    if fits:
        assert [notice.code for notice in read_scan(tmp_path).notices] == ["gantry-tilt"]
        return
    with pytest.raises(InputError, match=r"shifted sideways by 1\.1 pixels"):
        read_scan(tmp_path)


def test_a_stack_that_lies_off_the_middle_is_no_tilted_one(tmp_path):
    # A drift of 0.4 px in one direction and of 0.3 px against it in the other: each is under half a pixel.
    positions = [(-10 - 0.4 * 0.7 * k / 11, -20 + 0.3 * 0.8 * k / 11, 2.5 * k) for k in range(12)]
    write_series(tmp_path, positions=positions)
    assert read_scan(tmp_path).notices == ()


@pytest.mark.parametrize(("product", "fits"), [(0.009, True), (0.011, False)])
def test_directions_are_perpendicular_within_a_hundredth(tmp_path, product, fits):
    orientation = (1.0, 0.0, 0.0, product, float(np.sqrt(1 - product**2)), 0.0)
    positions = [(-10.0, -20.0, 2.5 * k) for k in range(12)]
    write_series(tmp_path, positions=positions, orientation=orientation)
    if fits:
        np.testing.assert_allclose(read_scan(tmp_path).geometry.direction_matrix, np.eye(3), atol=1e-6)
        return
    with pytest.raises(InputError, match="perpendicular unit vectors"):
        read_scan(tmp_path)


def test_directions_that_are_a_little_short_or_long_become_unit_vectors(tmp_path):
    write_series(
        tmp_path, positions=[(-10.0, -20.0, 2.5 * k) for k in range(12)], orientation=(0.995, 0, 0, 0, 1.006, 0)
    )
    geometry = read_scan(tmp_path).geometry
    np.testing.assert_allclose(geometry.direction_matrix, np.eye(3), atol=1e-9)
    assert geometry.spacing_xyz_mm == (0.7, 0.8, 2.5)


def test_the_last_of_uneven_slices_lies_on_the_grid_exactly():
    # Seven steps, of 1 and at last of 1.3: in floating point the length is 6.999999999999999 times its seventh part.
    heights = np.array([0, 1, 2, 3, 4, 5, 6, 7.3])
    assert heights[-1] / (heights[-1] / 7) != 7
    slots, distance = _slots(heights)
    assert slots[0] == 0
    assert slots[-1] == 7
    assert slots[-1] * distance == pytest.approx(heights[-1], abs=1e-5)


@pytest.mark.parametrize(
    ("heights", "fits"), [([0, 1, 3], True), ([0, 1, 3, 4, 6, 7, 8, 9], True), ([0, 1, 3, 4, 6], False)]
)
def test_a_quarter_of_the_slices_may_be_missing(heights, fits):
    heights_mm = np.array(heights, float)
    if fits:
        slots, distance = _slots(heights_mm)
        assert (slots.tolist(), distance) == (heights, 1.0)
        return
    with pytest.raises(InputError, match="At most 25% of the slices may be missing, but 2 of 7"):
        _slots(heights_mm)


def test_missing_slices_are_filled_by_their_distance_from_both_neighbours():
    volume = np.zeros((6, 1, 2), np.int16)
    volume[2], volume[5] = 30, 60
    fill_missing(volume, [0, 2, 5])
    assert volume[:, 0, 0].tolist() == [0, 15, 30, 40, 50, 60]


def test_even_slices_lie_linearly_between_uneven_ones():
    slices = np.array([0, 30, 90, 100], np.int16)[:, None, None]
    # Even slices 0 to 4 between uneven ones at 0, 1.5, 2.5 and 4.
    even = between_slices(slices, [0.0, 1.5, 2.5, 4.0])
    assert even[:, 0, 0].tolist() == [0, 20, 60, 93, 100]


def test_a_slope_of_1_is_told_from_others():
    stored = np.array([[0, 100, 1001]], np.int16)
    assert stored_to_hu(stored, slope=1.25, intercept=-1000)[0].tolist() == [[-1000, -875, 251]]
    assert stored_to_hu(stored, slope=1.0, intercept=-1000.5)[0].tolist() == [[-1000, -900, 0]]


@pytest.mark.parametrize("low_bit", [0, 1, 2, 3])
def test_a_high_bit_is_believed_where_all_bits_under_the_significant_ones_are_0(low_bit):
    stored = np.array([[0x0200, 0x0400, 0x0600]], np.uint16)
    # Twelve bits from bit 4 on: the values are 16 times as high as they say.
    assert stored_to_hu(stored, bits_stored=12, high_bit=15)[0].tolist() == [[32, 64, 96]]
    stored[0, 0] |= 1 << low_bit
    assert stored_to_hu(stored, bits_stored=12, high_bit=15)[0].tolist() == [[512 + (1 << low_bit), 1024, 1536]]


def test_padding_that_was_left_is_named_by_the_header_or_by_the_scan_circle():
    plain, padded = SimpleNamespace(padding=None), SimpleNamespace(padding=(1024, 1034))
    assert "the padding value 1024 of the header" in _ignored_padding([plain, padded], 5)[0].text
    assert "the value -2000" in _ignored_padding([plain], 5)[0].text
    assert _ignored_padding([padded], 0) == ()


@pytest.mark.parametrize(("slope", "intercept"), [(None, -1024.0), (1.0, None), (None, None)])
def test_slices_that_lack_slope_or_intercept_are_counted(slope, intercept):
    whole = SimpleNamespace(slope=1.0, intercept=0.0)
    lacking = SimpleNamespace(slope=slope, intercept=intercept)
    (notice,) = _check_rescale([whole, lacking, lacking], (-1000, 1000), chest_like())
    assert (notice.code, notice.value) == ("no-rescale", 2)


@pytest.mark.parametrize(("part", "moves"), [(0.0009, False), (0.0011, True)])
def test_shifts_over_a_thousandth_of_a_pixel_are_interpolated(part, moves):
    hu = np.zeros((1, 4), np.int16)
    hu[0] = [-1024, 20000, -1024, -1024]
    plane = np.full((1, 5), -1024, np.int16)
    _put_slice(plane, hu, np.array([0.0, part]))
    # 21024 HU above air: a thousandth of a pixel carries 21 of them over.
    carried = round(21024 * part) if moves else 0
    assert plane[0].tolist() == [-1024, 20000 - carried, -1024 + carried, -1024, -1024]
