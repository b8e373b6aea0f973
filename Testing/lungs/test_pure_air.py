"""Pure air in the lungs on blocks of voxels, and slices that show lung, by counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib import pure_air
from CovidCTLib.lungs.slices_with_lung import MIN_LUNG_AREA_SHARE, slices_with_lung
from CovidCTLib.pure_air import FREE_AIR_HU, find_pure_air


def test_blocks_hold_the_whole_box_of_the_lungs_with_the_means_of_their_voxels() -> None:
    lungs = np.zeros((6, 8, 10), np.uint8)
    lungs[1:5, 2:7, 3:9] = 2
    hu = np.arange(lungs.size, dtype=np.int16).reshape(lungs.shape)
    box = pure_air._box_of_blocks(lungs, (1, 1, 1))
    mean, side = pure_air._blocks(hu[box], lungs[box], (1, 1, 1))
    np.testing.assert_array_equal(mean, hu[1:5, 2:7, 3:9])
    assert (side == 2).all()
    box = pure_air._box_of_blocks(lungs, (2, 2, 2))
    mean, side = pure_air._blocks(hu[box], lungs[box], (2, 2, 2))
    # Five rows take three blocks, the last of which ends with the row behind the lungs.
    assert mean.shape == side.shape == (2, 3, 3)
    assert mean[0, 0, 0] == hu[1:3, 2:4, 3:5].mean()
    assert mean[-1, -1, -1] == hu[3:5, 6:8, 7:9].mean()


@pytest.mark.parametrize(("value", "found"), [(FREE_AIR_HU, True), (FREE_AIR_HU + 1, False)])
def test_air_is_at_or_under_its_limit_and_comes_back_on_its_voxels(value: float, found: bool) -> None:
    lungs = np.zeros((24, 40, 40), np.uint8)
    lungs[2:22, 4:36, 4:36] = 1
    hu = np.full(lungs.shape, -850, np.int16)
    hu[6:16, 10:22, 12:24] = value
    air = find_pure_air(hu, lungs, (1.5, 1.5, 1.5), 0.5)
    assert air.step == (2, 2, 2)
    assert air.block_ml == pytest.approx(0.027)
    assert air.count == int(found)
    if found:
        on_voxels = np.zeros(lungs.shape, bool)
        on_voxels[air.box] = air.on_voxels(air.pieces > 0)
        # A ball leaves the corners of a box out, and nothing beyond it.
        assert not on_voxels[hu != value].any()
        assert on_voxels.sum() > 0.6 * (hu == value).sum()


def test_less_air_than_matters_is_not_looked_for() -> None:
    lungs = np.ones((24, 40, 40), np.uint8)
    hu = np.full(lungs.shape, -850, np.int16)
    hu[6:16, 10:22, 12:24] = -1000
    assert find_pure_air(hu, lungs, (1.5, 1.5, 1.5), 4 * 4.8).count == 1
    assert find_pure_air(hu, lungs, (1.5, 1.5, 1.5), 4 * 4.9).count == 0


def test_a_slice_shows_lung_from_its_share_of_the_largest_area_on() -> None:
    lungs = np.zeros((5, 20, 20), bool)
    lungs[1] = True
    assert MIN_LUNG_AREA_SHARE * 400 == 20
    lungs[2, 0, :20] = True
    lungs[3, 0, :19] = True
    assert slices_with_lung(lungs).tolist() == [False, True, True, False, False]
    assert not slices_with_lung(np.zeros((5, 20, 20), bool)).any()
