import pytest

from CovidCTLib.measures.severity import lobe_severity, zone_severity


@pytest.mark.parametrize(
    ("opacity", "grade"),
    [(0, 0), (1, 1), (99, 1), (100, 2), (199, 2), (200, 3), (299, 3), (300, 4), (399, 4), (400, 4)],
)
def test_quarters_of_a_zone_are_graded_with_limits_in_the_higher_grade(opacity, grade):
    assert zone_severity(opacity, 400) == grade


def test_one_voxel_in_millions_is_not_nothing():
    assert zone_severity(1, 10**8) == 1


@pytest.mark.parametrize(
    ("opacity", "points"),
    [(0, 0), (1, 1), (19, 1), (20, 2), (100, 2), (101, 3), (199, 3), (200, 4), (300, 4), (301, 5), (400, 5)],
)
def test_lobes_are_graded_at_5_25_50_and_75_percent(opacity, points):
    # 5 and 50 % have the higher grade, 25 and 75 % the lower one, as in the table of Pan et al.
    assert lobe_severity(opacity, 400) == points
