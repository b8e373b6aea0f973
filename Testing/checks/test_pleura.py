"""Free air beside a lung, a lung without air, and a lung that is not there are told, with side and measured value."""

from __future__ import annotations

import re

import numpy as np
import pytest
from check_phantoms import Chest
from sick_chests import FLUID_HU, SHAPES, TISSUE_HU, codes, filled, partly_removed, rim, tension

from CovidCTLib.checks import check_lungs
from CovidCTLib.checks.pleura import (
    MIN_FREE_AIR_ML,
    MIN_FREE_AIR_PERCENT,
    MIN_SIDES_PERCENT,
    OUT_OF_VIEW,
    check_pleura,
    what_fills,
)
from CovidCTLib.phantom import make_chest_phantom

SIDES = {1: "right", 2: "left"}


@pytest.fixture(scope="module", params=[((84, 150, 150), (3.5, 2.2, 2.2)), ((270, 64, 64), (1.0, 5.0, 5.0))])
def chest(request: pytest.FixtureRequest) -> Chest:
    shape, spacing = request.param
    phantom = make_chest_phantom(shape, spacing)
    return phantom.scan.hu, phantom.lungs, spacing


@pytest.fixture(scope="module")
def plain() -> Chest:
    phantom = make_chest_phantom((84, 150, 150), (3.5, 2.2, 2.2))
    return phantom.scan.hu, phantom.lungs, (3.5, 2.2, 2.2)


def test_of_a_whole_chest_nothing_is_said(chest: Chest) -> None:
    assert codes(chest) == []


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("shape", SHAPES)
def test_free_air_is_told_with_its_side_and_volume(plain: Chest, shape: str, side: int) -> None:
    sick, free_ml = SHAPES[shape](plain, side)
    notice = next(notice for notice in check_pleura(*sick) if notice.code == "free-air")
    assert (notice.severity, notice.limit, notice.unit) == ("warn", MIN_FREE_AIR_ML, "ml")
    # What is thinner than 10 mm, at edges and corners, is left out.
    assert notice.value is not None
    assert 0.6 * free_ml < notice.value < 1.1 * free_ml
    assert notice.text.startswith(f"On the {SIDES[side]} side there is {notice.value:.0f} ml of air without lung in it")
    assert "pneumothorax" in notice.text


@pytest.mark.parametrize("side", SIDES)
def test_free_air_is_told_on_a_coarse_grid_too(chest: Chest, side: int) -> None:
    sick, free_ml = tension(chest, side)
    notice = next(notice for notice in check_pleura(*sick) if notice.code == "free-air")
    assert notice.value == pytest.approx(free_ml, rel=0.25)


def test_free_air_on_both_sides_is_told_of_both(plain: Chest) -> None:
    one, _ = rim(plain, 1, 15)
    both, _ = rim(one, 2, 15)
    texts = [notice.text for notice in check_pleura(*both) if notice.code == "free-air"]
    assert [re.match(r"On the (\w+) side", text).group(1) for text in texts] == ["right", "left"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("thickness", "above"), [(6.0, 0.0), (12.0, 0.97)])
def test_free_air_that_is_thin_or_small_is_not_told(plain: Chest, thickness: float, above: float) -> None:
    # The limit that the page states: 10 mm, and 20 ml.
    sick, free_ml = rim(plain, 1, thickness, above)
    assert free_ml > 0
    assert "free-air" not in codes(sick)


def test_destroyed_lung_with_its_vessels_is_not_free_air(plain: Chest) -> None:
    hu, lungs, spacing = plain
    parenchyma = (lungs == 1) & (hu < -700)
    destroyed = np.where(parenchyma, np.int16(-955), hu)
    assert codes((destroyed, lungs, spacing)) == []


def test_without_spacing_free_air_is_told_as_a_share_of_the_lungs(plain: Chest) -> None:
    (hu, lungs, _), free_ml = tension(plain, 1)
    (notice,) = (n for n in check_pleura(hu, lungs, (3.0, 2.0, 2.0), False) if n.code == "free-air")
    lungs_ml = np.count_nonzero(lungs) * np.prod(plain[2]) / 1000
    assert notice.value == pytest.approx(100 * free_ml / lungs_ml, rel=0.2)
    assert (notice.limit, notice.unit) == (MIN_FREE_AIR_PERCENT, "%")
    assert " ml" not in notice.text


@pytest.mark.parametrize("side", SIDES)
def test_a_lung_that_shrank_beside_free_air_is_told_too(plain: Chest, side: int) -> None:
    sick, _ = tension(plain, side)
    notice = next(notice for notice in check_pleura(*sick) if notice.code == "lung-with-little-air")
    assert notice.text.startswith(f"The {SIDES[side]} lung holds {notice.value:.0f} % of the aerated lung")


@pytest.mark.parametrize("side", SIDES)
def test_a_collapsed_lung_that_was_found_is_told_with_its_share_of_air(plain: Chest, side: int) -> None:
    (notice,) = check_pleura(*filled(plain, side, TISSUE_HU, still_found=True))
    assert (notice.code, notice.severity, notice.value) == ("lung-with-little-air", "warn", 0.0)
    assert notice.limit == MIN_SIDES_PERCENT
    assert notice.text.startswith(f"The {SIDES[side]} lung holds 0 %")
    assert "100 % of what was found of it holds no air" in notice.text


@pytest.mark.parametrize(("kept", "told"), [(0.5, False), (0.2, True)])
def test_a_lung_of_which_little_is_left_is_told(plain: Chest, kept: float, told: bool) -> None:
    assert codes(partly_removed(plain, 2, kept)) == (["lung-with-little-air"] if told else [])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("value_hu", [FLUID_HU, TISSUE_HU])
def test_a_lung_that_is_not_there_is_told_with_what_lies_in_its_place(plain: Chest, side: int, value_hu: float) -> None:
    hu, lungs, spacing = filled(plain, side, value_hu)
    found = {notice.code: notice for notice in check_lungs(lungs, spacing, hu=hu)}
    notice = found[f"no-{SIDES[side]}-lung"]
    said = re.search(r"Tissue or fluid of about (-?\d+) HU lies where it should be: the lung was removed", notice.text)
    assert said is not None
    assert float(said.group(1)) == pytest.approx(value_hu, abs=25)
    assert f"No {SIDES[side]} lung was found" in notice.text


def test_a_side_that_is_out_of_view_is_not_called_a_removed_lung(plain: Chest) -> None:
    hu, lungs, spacing = plain
    right = np.flatnonzero((lungs == 1).any(axis=(0, 1)))
    view = slice(0, int(right[-1]) + 4)
    found = check_lungs(np.ascontiguousarray(lungs[:, :, view]), spacing, hu=np.ascontiguousarray(hu[:, :, view]))
    text = next(notice.text for notice in found if notice.code == "no-left-lung")
    assert text.endswith("That side of the chest is not in view, or it was missed there.")


@pytest.mark.parametrize(("taken_off", "codes_then"), [(80, []), (200, ["no-lung-tissue"])])
def test_two_lungs_of_pure_air_are_wrong_hu_and_no_disease(plain: Chest, taken_off: int, codes_then: list[str]) -> None:
    hu, lungs, spacing = plain
    # As a slope that was applied twice leaves them.
    spoiled = np.where(lungs > 0, np.maximum(hu - taken_off, -1024), hu).astype(np.int16)
    found = check_pleura(spoiled, lungs, spacing)
    assert [notice.code for notice in found] == codes_then
    for notice in found:
        assert notice.value is not None
        assert notice.value > 50
        assert "the HU are wrong" in notice.text


def test_much_free_air_on_one_side_alone_is_free_air(plain: Chest) -> None:
    (hu, lungs, spacing), _ = tension(plain, 1)
    assert next(notice.code for notice in check_pleura(hu, lungs, spacing)) == "free-air"


def two_box_lungs() -> tuple[np.ndarray, np.ndarray]:
    """HU and lungs of 27,000 voxels a side, for counts by hand."""
    lungs = np.ones((30, 30, 60), np.uint8)
    lungs[:, :, 30:] = 2
    return np.full(lungs.shape, -800, np.int16), lungs


@pytest.mark.parametrize(("slices", "told"), [(9, []), (10, [22])])
def test_free_air_is_told_from_twenty_ml_on(slices: int, told: list[int]) -> None:
    # A block is a voxel of 0.027 ml, and balls leave the 8 corners of a box out: 721 blocks are 19.5 ml, 802 are 21.7.
    hu, lungs = two_box_lungs()
    hu[5 : 5 + slices, 5:14, 5:14] = -1000
    assert [notice.value for notice in check_pleura(hu, lungs, (3.0, 3.0, 3.0))] == told


def test_of_a_lung_with_little_air_both_shares_are_told() -> None:
    hu, lungs = two_box_lungs()
    # A fifth of the left lung holds air: 5,400 voxels of 32,400 that do.
    hu[:24, :, 30:] = 40
    (notice,) = check_pleura(hu, lungs, (3.0, 3.0, 3.0))
    assert notice.value == 16.7
    assert notice.text.startswith("The left lung holds 17 % of the aerated lung")
    assert "80 % of what was found of it holds no air" in notice.text


@pytest.mark.parametrize(
    ("columns", "median"),
    [
        # Pixels of 5 mm: the middle of the chest is five columns beside the lung's inner edge, at 24 and at 35.
        (slice(10, 20), 335),
        (slice(40, 50), 255),
    ],
)
def test_the_place_of_a_missing_lung_is_that_of_the_other_one_mirrored(columns: slice, median: int) -> None:
    # The HU are ten times the column: 29 to 38, and 21 to 30.
    hu = np.broadcast_to(10 * np.arange(60, dtype=np.int16), (4, 8, 60))
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[:, :, columns] = 1 if columns.start == 10 else 2
    assert f"about {median} HU" in what_fills(hu, lungs, (3.0, 3.0, 5.0))


@pytest.mark.parametrize(("axis", "median"), [(0, 70), (1, 435)])
def test_the_place_of_a_missing_lung_keeps_its_slices_and_rows(axis: int, median: int) -> None:
    # Every second slice, third row and second column is looked at: slices 4 to 10, and rows 30 to 57.
    shape = (16, 80, 100)
    hu = np.broadcast_to(np.expand_dims(10 * np.arange(shape[axis], dtype=np.int16), (1, 2) if axis == 0 else 1), shape)
    lungs = np.zeros(shape, np.uint8)
    lungs[4:12, 30:60, 10:30] = 1
    assert f"about {median} HU" in what_fills(hu, lungs, (1.5, 1.0, 1.5))


@pytest.mark.parametrize(("columns", "in_view"), [(2, True), (3, False)])
def test_half_of_the_place_of_a_missing_lung_must_be_in_view(columns: int, in_view: bool) -> None:
    # The middle is at column 5, so that column 10 has its mirror image in column 0, and others have none.
    lungs = np.zeros((4, 8, 40), np.uint8)
    lungs[:, :, 10 : 10 + columns] = 2
    said = what_fills(np.full(lungs.shape, 12, np.int16), lungs, (3.0, 3.0, 5.0))
    assert (said != OUT_OF_VIEW) is in_view
    assert ("about 12 HU" in said) is in_view
