from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from skimage.measure import find_contours

from CovidCTLib.errors import OptionsError
from CovidCTLib.labels import LEFT, RIGHT
from CovidCTLib.measures.vessels import CONTOUR_DISTANCE_PX, CONTOUR_LEVEL, contour_pixels, vessel_mask


@pytest.fixture
def a_round_lung():
    y, x = np.ogrid[:40, :50]
    return np.where((y - 20) ** 2 + (x - 22) ** 2 <= 15**2, RIGHT, 0).astype(np.uint8)


def test_vessels_lie_inside_the_lungs_at_or_above_the_limit(a_round_lung):
    hu = np.full(a_round_lung.shape, -800, dtype=np.int16)
    hu[20, 10:15] = (-501, -500, -499, 0, 2000)
    hu[0, 0] = 40
    found = vessel_mask(hu, a_round_lung, -500)
    assert np.argwhere(found).tolist() == [[20, 11], [20, 12], [20, 13], [20, 14]]


def test_the_limit_may_lie_between_whole_hu(a_round_lung):
    hu = np.full(a_round_lung.shape, -500, dtype=np.int16)
    assert vessel_mask(hu, a_round_lung, -500.5).sum() == (a_round_lung > 0).sum()
    assert not vessel_mask(hu, a_round_lung, -499.5).any()


def test_a_limit_that_is_no_number_is_refused(a_round_lung):
    hu = np.zeros(a_round_lung.shape, dtype=np.int16)
    with pytest.raises(OptionsError, match="must be a number, not NaN"):
        vessel_mask(hu, a_round_lung, float("nan"))


def test_the_contour_is_the_outermost_ring_of_pixels(a_round_lung):
    mask = a_round_lung > 0
    assert np.array_equal(contour_pixels(a_round_lung), mask & ~binary_erosion(mask))


def test_contour_pixels_are_those_near_a_traced_point(a_round_lung):
    points = np.concatenate(find_contours((a_round_lung > 0).astype(float), CONTOUR_LEVEL))
    grid = np.argwhere(np.ones(a_round_lung.shape))
    near = np.hypot(*(grid[:, None] - points[None]).transpose(2, 0, 1)).min(axis=1) <= CONTOUR_DISTANCE_PX
    assert np.array_equal(contour_pixels(a_round_lung), near.reshape(a_round_lung.shape))


def test_without_contour_a_wall_at_the_rim_is_no_vessel(a_round_lung):
    hu = np.where(binary_erosion(a_round_lung > 0), -800, -100).astype(np.int16)
    hu[20, 20:24] = 50
    assert vessel_mask(hu, a_round_lung, -500).sum() > 4
    assert np.argwhere(vessel_mask(hu, a_round_lung, -500, without_contour=True)).tolist() == [
        [20, 20], [20, 21], [20, 22], [20, 23],
    ]  # fmt: skip


def test_lungs_that_touch_each_other_or_the_image_border_have_a_contour_there():
    lungs = np.full((6, 10), RIGHT, dtype=np.uint8)
    lungs[:, 5:] = LEFT
    found = contour_pixels(lungs)
    assert not found[1:-1, 1:4].any()
    assert not found[1:-1, 6:9].any()
    assert found.sum() == 60 - 2 * 4 * 3


def test_a_slice_without_lung_has_neither_contour_nor_vessels():
    nothing = np.zeros((5, 5), dtype=np.uint8)
    assert not contour_pixels(nothing).any()
    assert not vessel_mask(np.zeros((5, 5), dtype=np.int16), nothing, -500, without_contour=True).any()
