"""Gas in the bowel that is joined to the lungs: what goes, and that free air in the chest stays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from CovidCTLib.lungs.bowel_gas import MAX_BESIDE_SHARE, MIN_GAS_ML, drop_joined_gas
from CovidCTLib.pure_air import FREE_AIR_HU

SPACING = (3.0, 3.0, 3.0)
LUNG_HU = -850


def chest() -> tuple[NDArray[np.bool_], NDArray[np.int16]]:
    """Two lungs in slices 20 to 59, and soft tissue around them."""
    mask = np.zeros((60, 50, 80), bool)
    mask[20:, 10:40, 10:30] = mask[20:, 10:40, 50:70] = True
    return mask, np.where(mask, LUNG_HU, 40).astype(np.int16)


def add_gas(mask: NDArray[np.bool_], hu: NDArray[np.int16], slices: slice, value: float = -1000) -> None:
    """Put a box of gas of 30 x 45 mm into the body; the network takes it for lung."""
    mask[slices, 15:25, 52:67] = True
    hu[slices, 15:25, 52:67] = value


def test_gas_below_the_lungs_that_is_joined_to_one_goes_and_the_lungs_stay() -> None:
    mask, hu = chest()
    lungs = mask.copy()
    add_gas(mask, hu, slice(6, 20))
    drop_joined_gas(mask, hu, SPACING)
    assert not mask[:18].any()
    # The rim of two blocks is lost where the gas touches the lung, and nothing else.
    assert np.array_equal(mask[22:], lungs[22:])
    assert (lungs & ~mask).sum() <= 2 * 14 * 19


@pytest.mark.parametrize(("begins", "goes"), [(10, True), (12, False), (30, False)])
def test_free_air_beside_lung_stays(begins: int, goes: bool) -> None:
    mask, hu = chest()
    # Sixteen slices: with ten below the lungs six, with eight below eight lie beside.
    assert MAX_BESIDE_SHARE == 0.5
    add_gas(mask, hu, slice(begins, begins + 16))
    before = mask.copy()
    drop_joined_gas(mask, hu, SPACING)
    assert np.array_equal(mask, before) is not goes


@pytest.mark.parametrize(("value", "goes"), [(FREE_AIR_HU, True), (FREE_AIR_HU + 1, False)])
def test_what_is_denser_than_gas_stays(value: float, goes: bool) -> None:
    mask, hu = chest()
    add_gas(mask, hu, slice(6, 20), value)
    drop_joined_gas(mask, hu, SPACING)
    assert bool(mask[8:18].any()) is not goes


@pytest.mark.parametrize(("thin", "goes"), [(4, False), (5, True)])
def test_gas_is_looked_for_where_a_quarter_of_its_least_volume_is_thin(thin: int, goes: bool) -> None:
    # Blocks of 2 x 2 x 2 voxels, 0.027 ml; four are under a quarter of 0.5 ml, and five are above it.
    assert 4 * 0.027 < MIN_GAS_ML / 4 < 5 * 0.027
    mask, hu = chest()
    add_gas(mask, hu, slice(6, 20))
    # One voxel stands for its block; all but a few of these are denser than gas, and the means of the blocks are not.
    gas = np.argwhere(hu[1::2, 1::2, 1::2] == -1000)
    for z, y, x in 2 * gas[thin:] + 1:
        hu[z, y, x] = -960
    before = mask.copy()
    drop_joined_gas(mask, hu, (1.5, 1.5, 1.5))
    assert np.array_equal(mask, before) is not goes


def test_a_thin_airway_below_the_lungs_stays() -> None:
    mask, hu = chest()
    mask[6:20, 20:22, 60:62] = True
    hu[6:20, 20:22, 60:62] = -1000
    before = mask.copy()
    drop_joined_gas(mask, hu, SPACING)
    assert np.array_equal(mask, before)


def test_without_lungs_nothing_happens() -> None:
    mask, hu = chest()
    mask[:] = False
    drop_joined_gas(mask, hu, SPACING)
    assert not mask.any()
