import pytest

from CovidCTLib.measures.severity import zone_severity


@pytest.mark.parametrize(
    ("opacity", "grade"),
    [(0, 0), (1, 1), (99, 1), (100, 2), (199, 2), (200, 3), (299, 3), (300, 4), (399, 4), (400, 4)],
)
def test_quarters_of_a_zone_are_graded_with_limits_in_the_higher_grade(opacity, grade):
    assert zone_severity(opacity, 400) == grade


def test_one_voxel_in_millions_is_not_nothing():
    assert zone_severity(1, 10**8) == 1
