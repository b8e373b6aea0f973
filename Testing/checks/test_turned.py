"""Patients who lie turned, and pictures that are turned by a quarter."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.checks import check_lungs
from CovidCTLib.checks.turned import (
    QUARTER_TURN_DEGREES,
    check_quarter_turn,
    turn_degrees,
    turn_of_air_degrees,
    turned_back,
)
from CovidCTLib.phantom import make_chest_phantom

SPACING = (6.0, 2.0, 3.0)


def two_lungs(right_at, left_at, labels=(1, 2), size=10):
    """Two boxes, each at a row and a column in pixels."""
    lungs = np.zeros((12, 80, 80), np.uint8)
    for (row, column), label in zip((right_at, left_at), labels, strict=True):
        lungs[2:10, row : row + size, column : column + size] = label
    return lungs


@pytest.mark.parametrize(
    ("right_at", "left_at", "degrees"),
    [
        ((30, 10), (30, 50), 0.0),
        ((30, 10), (45, 30), np.degrees(np.arctan2(15 * 2.0, 20 * 3.0))),
        ((45, 10), (30, 30), -np.degrees(np.arctan2(15 * 2.0, 20 * 3.0))),
        # The names of the sides do not matter, only where the lungs lie.
        ((45, 30), (30, 10), np.degrees(np.arctan2(15 * 2.0, 20 * 3.0))),
    ],
)
def test_the_turn_is_the_angle_between_the_lungs_in_mm(right_at, left_at, degrees):
    assert turn_degrees(two_lungs(right_at, left_at), SPACING) == pytest.approx(degrees)
    # Both lungs of one name count as two by their pieces.
    assert turn_degrees(two_lungs(right_at, left_at, (1, 1)), SPACING) == pytest.approx(degrees)


def test_one_lung_or_none_has_no_turn():
    lungs = two_lungs((10, 30), (50, 30), (1, 0))
    assert turn_degrees(lungs, SPACING) == 0
    assert turn_degrees(np.zeros_like(lungs), SPACING) == 0
    # A second piece that is too small to be a lung counts for none.
    lungs[3, 70, 30] = 1
    assert turn_degrees(lungs, SPACING) == 0


@pytest.mark.parametrize(("row", "told"), [(30, False), (29, False), (31, True)])
def test_a_quarter_turn_is_told_above_its_limit(row, told):
    found = check_quarter_turn(two_lungs((0, 10), (row, 30)), (6.0, 2.0, 3.0))
    assert [notice.code for notice in found] == (["quarter-turn"] if told else [])
    if told:
        assert found[0].limit == QUARTER_TURN_DEGREES
        assert found[0].value == 46


@pytest.fixture(scope="module")
def phantom():
    return make_chest_phantom((40, 128, 128), (7.0, 2.9, 2.9))


@pytest.mark.parametrize("turns", [1, 3])
def test_a_chest_turned_by_a_quarter_is_told_and_nothing_else_of_its_sides(phantom, turns):
    hu, lungs = (np.ascontiguousarray(np.rot90(array, turns, (1, 2))) for array in (phantom.scan.hu, phantom.lungs))
    # Both lungs lie at the midline, so that splitting by it gives one of them both.
    found = check_lungs(np.minimum(lungs, 1), (7.0, 2.9, 2.9), True, hu)
    codes = [notice.code for notice in found]
    assert codes[:2] == ["quarter-turn", "no-left-lung"]
    assert not {"front-back-doubtful", "head-feet-doubtful", "heart-on-the-right"} & set(codes)
    assert "not in view" not in found[1].text


@pytest.mark.parametrize("turns", [1, 3])
def test_a_quarter_turn_is_seen_by_the_air_where_a_network_found_something_else(phantom, turns):
    hu = np.ascontiguousarray(np.rot90(phantom.scan.hu, turns, (1, 2)))
    anything = two_lungs((20, 10), (20, 50))
    wrong = np.zeros(hu.shape, np.uint8)
    wrong[: len(anything), : anything.shape[1], : anything.shape[2]] = anything
    assert check_quarter_turn(wrong, (7.0, 2.9, 2.9)) == ()
    (notice,) = check_quarter_turn(wrong, (7.0, 2.9, 2.9), hu)
    assert notice.code == "quarter-turn"
    assert "rely on no number" in notice.text


def test_a_chest_as_it_lies_is_no_quarter_turn(phantom):
    assert check_quarter_turn(phantom.lungs, (7.0, 2.9, 2.9), phantom.scan.hu) == ()
    assert abs(turn_of_air_degrees(phantom.scan.hu, (7.0, 2.9, 2.9))) < 10
    # Without air there is nothing to look at.
    assert turn_of_air_degrees(np.full((10, 60, 60), 40, np.int16), (7.0, 2.9, 2.9)) == 0


@pytest.mark.parametrize("degrees", [-25.0, 10.0, 40.0])
def test_a_chest_is_turned_by_the_angle_that_is_asked_for_and_back(phantom, degrees):
    first = turn_degrees(phantom.lungs, (7.0, 2.9, 2.9))
    hu, lungs, spacing = turned_back(phantom.scan.hu, phantom.lungs, (7.0, 2.9, 2.9), -degrees)
    assert turn_degrees(lungs, spacing) == pytest.approx(first + degrees, abs=1.5)
    again, lungs_again, _ = turned_back(hu, lungs, spacing, degrees)
    same = (lungs_again > 0) & (phantom.lungs > 0)
    assert same.sum() > 0.95 * (phantom.lungs > 0).sum()
    assert np.corrcoef(again[same], phantom.scan.hu[same])[0, 1] > 0.7
    assert hu[:, 0, 0].max() == -1024 or degrees == 0


def test_a_grid_whose_pixels_are_not_square_is_turned_in_mm():
    lungs = two_lungs((20, 20), (35, 45))
    hu = np.where(lungs > 0, -800, 40).astype(np.int16)
    angle = turn_degrees(lungs, SPACING)
    _, turned, spacing = turned_back(hu, lungs, SPACING, angle)
    assert spacing == SPACING
    assert turn_degrees(turned, spacing) == pytest.approx(0, abs=1)


def test_hu_of_a_turned_chest_are_mixed_from_their_neighbours_and_never_exceed_them():
    lungs = two_lungs((20, 20), (35, 45))
    hu = np.where(lungs > 0, -800, 40).astype(np.int16)
    turned, _, _ = turned_back(hu, lungs, SPACING, 30.0)
    assert (turned.min(), turned.max()) == (-1024, 40)


@pytest.mark.parametrize(("columns", "degrees"), [(0, 90), (2, 90), (3, 0)])
def test_airways_of_less_than_three_pixels_do_not_join_two_lungs(columns, degrees):
    # Two lungs, one in front of the other, with air of so many pixels of 4 mm between them.
    hu = np.full((6, 80, 60), -1000, np.int16)
    hu[:, 5:75, 5:55] = 40
    hu[:, 15:35, 20:40] = hu[:, 45:65, 20:40] = -850
    hu[:, 35:45, 29 : 29 + columns] = -850
    assert abs(turn_of_air_degrees(hu, (5.0, 4.0, 4.0))) == degrees
