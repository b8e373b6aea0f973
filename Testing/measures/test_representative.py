import numpy as np
import pytest

from CovidCTLib.measures.representative import openness_of, representative_slice


def test_the_representative_slice_has_the_largest_lung_area():
    assert representative_slice(np.array([0, 3, 9, 4])) == 2


def test_of_several_alike_the_lowest_is_taken():
    assert representative_slice(np.array([0, 9, 9, 4])) == 1


@pytest.mark.parametrize("areas", [[], [0, 0, 0]])
def test_without_lung_no_slice_is_representative(areas):
    assert representative_slice(np.array(areas, dtype=np.int64)) is None


@pytest.mark.parametrize(
    ("lung", "aerated", "expected"),
    [(1000, 900, "open"), (500, 100, "open"), (500, 99, "closed"), (1000, 0, "closed"), (0, 0, "no lung")],
)
def test_a_slice_is_open_from_a_tenth_of_the_representative_area_on(lung, aerated, expected):
    assert openness_of(lung, aerated, 1000) == expected
