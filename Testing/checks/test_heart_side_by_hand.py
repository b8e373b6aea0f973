"""How far heart, aorta and gas lie to the left, by a chest of boxes whose distances are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.checks.lung_shape import leftward_mm
from CovidCTLib.checks.turned import turn_degrees

SPACING = (2.0, 2.0, 2.0)
SPINE = 40
"""Column of the only bone."""


def chest(left_from: int = 45, bone_hu: int = 130):
    """A body of boxes: the right lung ends 10 columns beside the spine, the left lung begins at a column."""
    hu = np.full((60, 60, 81), -1000, np.int16)
    hu[:, 4:56, 2:79] = 129
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[20:58, 10:50, 10 : SPINE - 9] = 1
    lungs[20:58, 10:50, left_from:71] = 2
    hu[lungs > 0] = -850
    hu[:, 45:48, SPINE] = bone_hu
    return hu, lungs


@pytest.mark.parametrize(("left_from", "columns"), [(45, -5), (50, 0), (54, 4)])
def test_the_left_lung_begins_farther_from_the_spine_by_counted_columns(left_from, columns):
    # Heart and aorta each count once.
    assert leftward_mm(*chest(left_from), SPACING) == pytest.approx(2 * columns * SPACING[2])


def test_what_is_less_dense_than_bone_is_no_spine():
    assert leftward_mm(*chest(bone_hu=129), SPACING) is None


@pytest.mark.parametrize(("columns", "gas_mm"), [((49, 69), 40.0), ((12, 32), -40.0), ((30, 51), 0.0)])
def test_gas_under_the_lungs_counts_by_its_side_of_the_spine(columns, gas_mm):
    hu, lungs = chest(50)
    hu[2:12, 20:40, slice(*columns)] = -900
    assert leftward_mm(hu, lungs, SPACING) == pytest.approx(gas_mm, abs=4)


@pytest.mark.parametrize(("lower_by", "degrees"), [(0, 0.0), (5, np.degrees(np.arctan2(5, 35)))])
def test_the_turn_is_the_angle_between_the_middles_of_both_lungs(lower_by, degrees):
    lungs = np.zeros((4, 60, 80), np.uint8)
    lungs[:, 10:40, 10:31] = 1
    lungs[:, 10 + lower_by : 40 + lower_by, 45:66] = 2
    assert turn_degrees(lungs, (5.0, 2.0, 2.0)) == pytest.approx(degrees)
