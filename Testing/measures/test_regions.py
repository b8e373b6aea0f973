from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.labels import LEFT, RIGHT
from CovidCTLib.measures.regions import NO_THIRD, REGIONS, THIRDS, ZONES, ZONES_OF_REGION, thirds_of_slices


def test_nine_slices_are_cut_into_three_times_three():
    shows_lung = np.zeros(13, dtype=bool)
    shows_lung[2:11] = True
    expected = [NO_THIRD] * 2 + [0] * 3 + [1] * 3 + [2] * 3 + [NO_THIRD] * 2
    assert thirds_of_slices(shows_lung).tolist() == expected


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 1, 2])])
def test_few_slices_go_where_their_centre_lies(count, expected):
    assert thirds_of_slices(np.ones(count, dtype=bool)).tolist() == expected


@pytest.mark.parametrize("count", range(1, 40))
def test_thirds_are_the_same_upside_down_and_differ_by_two_slices_at_most(count):
    thirds = thirds_of_slices(np.ones(count, dtype=bool))
    assert np.array_equal(2 - thirds[::-1], thirds)
    sizes = np.bincount(thirds, minlength=3)
    assert sizes.max() - sizes.min() <= 2
    assert np.all(np.diff(thirds) >= 0)


def test_a_gap_within_a_lung_still_belongs_to_a_third():
    assert thirds_of_slices(np.array([True, False, False, False, False, True])).tolist() == [0, 0, 1, 1, 2, 2]


def test_without_lung_no_slice_has_a_third():
    assert thirds_of_slices(np.zeros(4, dtype=bool)).tolist() == [NO_THIRD] * 4


def test_the_thirteen_regions_are_made_of_the_six_zones():
    assert list(REGIONS) == [
        "both_lungs", "right_lung", "left_lung",
        "right_upper", "right_middle", "right_lower", "left_upper", "left_middle", "left_lower",
        "upper", "middle", "lower",
    ]  # fmt: skip
    assert set(ZONES_OF_REGION["both_lungs"]) == set(ZONES)
    assert ZONES_OF_REGION["left_lung"] == ("left_upper", "left_middle", "left_lower")
    assert ZONES_OF_REGION["right_middle"] == ("right_middle",)
    assert ZONES_OF_REGION["lower"] == ("right_lower", "left_lower")


def test_zones_name_their_lung_and_third():
    assert ZONES["right_upper"] == (RIGHT, THIRDS.index("upper"))
    assert ZONES["left_lower"] == (LEFT, THIRDS.index("lower"))


def test_regions_read_like_words():
    assert REGIONS["right_upper"] == "right lung, upper third"
    assert REGIONS["lower"] == "both lungs, lower third"
