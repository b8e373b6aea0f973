"""Checks of the lungs at their limits, by boxes of known size."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.checks import (
    check_lungs,
)
from CovidCTLib.errors import QualityError


def box_lungs(slices=10, rows=20, columns=20):
    """Two lungs of 10 x 5 pixels in the inner slices."""
    lungs = np.zeros((slices, rows, columns), np.uint8)
    lungs[1:-1, 5:15, 2:7] = 1
    lungs[1:-1, 5:15, 12:17] = 2
    return lungs


@pytest.mark.parametrize(
    ("voxel_ml", "code"),
    [
        (300 / 800, None),
        (999 / 800, "small-lungs"),
        (1000 / 800, None),
        (10000 / 800, None),
        (10001 / 800, "large-lungs"),
    ],
)
def test_lung_volumes_at_their_limits(voxel_ml, code):
    # 800 voxels of lung; spacing (z, y, x) with three different numbers.
    spacing = (voxel_ml * 1000 / 6, 3.0, 2.0)
    found = [notice.code for notice in check_lungs(box_lungs(), spacing)]
    expected = ["small-lungs"] if voxel_ml == 300 / 800 else ([] if code is None else [code])
    assert found == expected


def test_lungs_of_less_than_300_ml_are_refused_with_their_volume():
    with pytest.raises(QualityError, match="at least 300 ml of lung was expected, but 299 ml were found") as caught:
        check_lungs(box_lungs(), (299 / 800 * 1000 / 6, 3.0, 2.0))
    assert caught.value.notice is not None
    assert (caught.value.notice.value, caught.value.notice.limit) == (299.0, 300.0)


@pytest.mark.parametrize(("columns", "smallest"), [(25, 11.1), (50, 88.9), (75, 300.0), (100, 300.0)])
def test_a_narrow_body_needs_less_lung_by_the_cube_of_its_width(columns, smallest):
    # Pixels of 4 mm: bodies 100, 200, 300 and 400 mm wide; from 300 mm on 300 ml are needed.
    hu = np.full((4, 40, 120), -1000, np.int16)
    hu[:, 10:30, 15 : 15 + columns] = 40
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[1, 15, 20] = 1
    with pytest.raises(QualityError, match=f"at least {smallest:.0f} ml of lung was expected") as caught:
        check_lungs(lungs, (4.0, 4.0, 4.0), hu=hu)
    assert caught.value.notice is not None
    assert (caught.value.notice.value, caught.value.notice.limit) == (0.1, smallest)


@pytest.mark.parametrize(("pixels", "refused"), [(16, False), (15, True)])
def test_without_spacing_four_percent_of_a_slice_are_lungs_in_view(pixels, refused):
    lungs = np.zeros((5, 20, 20), np.uint8)
    lungs[2].flat[20 : 20 + pixels] = 1
    lungs[1, 5, 5:9] = 2
    if refused:
        with pytest.raises(
            QualityError, match=r"at least 4% of a slice were expected, but the most is 3\.8%"
        ) as caught:
            check_lungs(lungs, (1.0, 1.0, 1.0), False)
        assert caught.value.notice is not None
        assert (caught.value.notice.value, caught.value.notice.limit) == (3.75, 4.0)
    else:
        check_lungs(lungs, (1.0, 1.0, 1.0), False)


@pytest.mark.parametrize(("label", "code"), [(1, "no-right-lung"), (2, "no-left-lung")])
def test_the_side_that_is_missing_is_named(label, code):
    lungs = box_lungs()
    lungs[lungs == label] = 0
    assert [notice.code for notice in check_lungs(lungs, (500.0, 3.0, 2.0))] == [code]


@pytest.mark.parametrize(("pixels", "told"), [(10, False), (11, True)])
@pytest.mark.parametrize(("end", "code"), [(0, "lungs-cut-at-base"), (-1, "lungs-cut-at-apex")])
def test_lungs_at_an_end_are_told_above_ten_percent(pixels, told, end, code):
    lungs = box_lungs()
    lungs[end, 5].flat[2 : 2 + pixels] = 1
    found = [(notice.code, notice.value) for notice in check_lungs(lungs, (300.0, 3.0, 2.0))]
    assert found == ([(code, 11.0)] if told else [])


@pytest.mark.parametrize("side", [(slice(None), 0), (slice(None), -1), (0, slice(None)), (-1, slice(None))])
@pytest.mark.parametrize(("voxels", "told"), [(2, False), (3, True)])
def test_lungs_at_each_side_of_the_picture_are_told_above_a_thousandth(side, voxels, told):
    lungs = np.zeros((22, 20, 20), np.uint8)
    lungs[1:-1, 5:15, 2:7] = 1
    lungs[1:-1, 5:15, 12:17] = 2
    lungs[3:-3, 8, 8] = 0
    rim = lungs[10][side]
    rim[8 : 8 + voxels] = 1
    lungs[10][side] = rim
    # 2000 voxels inside, and those at the side.
    found = [(notice.code, notice.value) for notice in check_lungs(lungs, (150.0, 3.0, 2.0))]
    assert found == ([("lungs-cut-at-side", round(100 * 3 / 2003, 2))] if told else [])


def test_a_corner_of_the_picture_is_counted_once():
    lungs = np.zeros((3, 20, 20), np.uint8)
    lungs[1, 0, 0] = lungs[1, 10, 10] = 1
    lungs[1, 10, 11] = 2
    (notice,) = [entry for entry in check_lungs(lungs, (1e6, 3.0, 2.0)) if entry.code == "lungs-cut-at-side"]
    assert notice.value == pytest.approx(33.33)


def circle_of_lungs(corner_hu=-1024, beyond_hu=-1024):
    """Lungs whose columns begin at the rim of a scan circle of 512 pixels, and what lies at corners and beyond."""
    side = 128
    y, x = np.ogrid[:side, :side]
    radius = np.hypot(y - 63.5, x - 63.5)
    hu = np.full((3, side, side), 40, np.int16)
    hu[:, radius > 65] = beyond_hu
    hu[:, [0, 0, -1, -1], [0, -1, 0, -1]] = corner_hu
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[1, 54:74, 20:60] = 1
    lungs[1, 54:74, 70:110] = 2
    # A pixel of 512 is less than one here, so that the ring is one pixel wide: radius 62 to 63.
    ring = np.argwhere((radius <= 63) & (radius > 62) & (x < 20))
    for row, column in ring[:10]:
        lungs[1, row, column] = 1
    return hu, lungs


def rim_share(hu, lungs):
    found = [entry for entry in check_lungs(lungs, (500.0, 3.0, 2.0), hu=hu) if entry.code == "lungs-cut-at-side"]
    return [notice.value for notice in found]


def test_lungs_at_the_rim_of_the_scan_circle_are_a_third_of_the_ring_that_is_counted():
    hu, lungs = circle_of_lungs()
    # Ten of 1610 voxels on a ring that stands for three pixels of 512.
    assert rim_share(hu, lungs) == [round(100 * 10 / 1610 / 3, 2)]
    # No circle is seen where a corner or anything beyond it holds more than padding.
    for corner in range(4):
        filled = hu.copy()
        filled[1, [0, 0, -1, -1][corner], [0, -1, 0, -1][corner]] = -1000
        assert rim_share(filled, lungs) == []
    assert rim_share(*circle_of_lungs(beyond_hu=-1000)) == []
    # Nor where the picture is no square.
    assert rim_share(hu[:, 1:], lungs[:, 1:]) == []


@pytest.mark.parametrize("corner", range(4))
def test_a_corner_is_looked_at_in_every_slice(corner):
    # Sixteen slices; what lies beyond the circle is looked at in every second one, and corners in all.
    hu, lungs = (array[[*[0] * 7, 1, *[2] * 8]] for array in circle_of_lungs())
    assert rim_share(hu, lungs) == [round(100 * 10 / 1610 / 3, 2)]
    hu[3, [0, 0, -1, -1][corner], [0, -1, 0, -1][corner]] = -1000
    assert rim_share(hu, lungs) == []


def test_in_a_picture_that_is_no_square_no_circle_is_looked_for():
    hu, lungs = circle_of_lungs()
    beside = ((0, 0), (0, 0), (8, 8))
    assert rim_share(np.pad(hu, beside, constant_values=-1024), np.pad(lungs, beside)) == []
