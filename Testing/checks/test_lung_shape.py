"""Lungs that nobody has are refused, unlikely ones are told, children stay possible; a mirrored chest is told."""

from __future__ import annotations

import numpy as np
import pytest
from check_phantoms import Chest, hu_of

from CovidCTLib.checks import check_lungs, check_scan
from CovidCTLib.checks.lung_shape import (
    LARGEST_LUNGS_ML,
    MIN_LEFTWARD_MM,
    POSSIBLE_HEIGHT_MM,
    USUAL_HEIGHT_MM,
    USUAL_HEIGHT_PER_WIDTH,
    check_heart_side,
    check_lung_shape,
    leftward_mm,
)
from CovidCTLib.checks.turned import turn_degrees, turned_back
from CovidCTLib.errors import QualityError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.phantom import make_chest_phantom

SPACING = (3.5, 2.2, 2.2)


@pytest.fixture(scope="module")
def chest() -> Chest:
    phantom = make_chest_phantom((84, 150, 150), SPACING)
    return phantom.scan.hu, phantom.lungs, SPACING


def box_lungs(slices: int) -> np.ndarray:
    """Two lungs of 100 x 60 mm, 160 mm wide together, on a grid of 5 x 4 x 4 mm, so many slices high."""
    lungs = np.zeros((slices + 4, 40, 50), np.uint8)
    lungs[2:-2, 5:30, 5:20] = 1
    lungs[2:-2, 5:30, 30:45] = 2
    return lungs


def height_notices(height_mm: float, *, whole: bool = True) -> list[tuple[str, float | None, float | None]]:
    lungs = box_lungs(20)
    found = check_lung_shape(lungs, (height_mm / 20, 4.0, 4.0), 1000.0, whole=whole)
    return [(notice.code, notice.value, notice.limit) for notice in found]


@pytest.mark.parametrize(
    ("height", "expected"),
    [
        (100, []),
        (99, [("lung-height-doubtful", 99, USUAL_HEIGHT_MM[0])]),
        (64, [("lung-height-doubtful", 64, USUAL_HEIGHT_MM[0])]),
        (63, [("lung-height-doubtful", 0.39, USUAL_HEIGHT_PER_WIDTH[0])]),
        (320, []),
        (324, [("lung-height-doubtful", 2.02, USUAL_HEIGHT_PER_WIDTH[1])]),
    ],
)
def test_the_height_of_lungs_is_told_beyond_its_limits_and_not_at_them(height, expected) -> None:
    assert height_notices(height) == expected
    # What the scan does not show whole has no height.
    assert height_notices(height, whole=False) == []


@pytest.mark.parametrize(("height", "limit"), [(39, POSSIBLE_HEIGHT_MM[0]), (551, POSSIBLE_HEIGHT_MM[1])])
def test_a_height_that_nobody_has_is_refused_with_it(height, limit) -> None:
    with pytest.raises(
        QualityError, match=rf"Lungs 40 to 550 mm high were expected, but .* these are {height} mm high"
    ) as caught:
        height_notices(height)
    assert caught.value.notice is not None
    assert (caught.value.notice.code, caught.value.notice.value, caught.value.notice.limit) == (
        "impossible-lungs",
        height,
        limit,
    )


def test_a_volume_that_nobody_has_is_refused_with_it() -> None:
    assert check_lung_shape(box_lungs(20), (8.0, 4.0, 4.0), LARGEST_LUNGS_ML, whole=True) == ()
    with pytest.raises(QualityError, match=r"At most 20000 ml of lung were expected, but .* these are 20001 ml"):
        check_lung_shape(box_lungs(20), (8.0, 4.0, 4.0), LARGEST_LUNGS_ML + 1, whole=True)


@pytest.mark.parametrize(("share", "code"), [(0.3, "lung-height-doubtful"), (1.9, "lung-height-doubtful")])
def test_a_wrong_distance_of_slices_is_told(chest: Chest, share: float, code: str) -> None:
    hu, lungs, (z, y, x) = chest
    codes = {notice.code for notice in check_lungs(lungs, (z * share, y, x), hu=hu)}
    assert code in codes


def all_codes(chest: Chest) -> set[str]:
    hu, lungs, spacing = chest
    grid = CanonicalGrid(Geometry(hu.shape, spacing[::-1]))
    return {notice.code for notice in (*check_scan(hu, grid), *check_lungs(lungs, spacing, hu=hu))}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # A newborn of 115 mm width, a child of 5 years, a small and a very large adult: lungs of the same shape.
        (0.33, {"small-lungs", "body-size-doubtful", "lung-height-doubtful"}),
        (0.6, {"small-lungs"}),
        (0.85, set()),
        (1.35, set()),
    ],
)
def test_children_and_small_and_large_adults_are_not_refused(chest: Chest, size: float, expected: set[str]) -> None:
    hu, lungs, spacing = chest
    own = tuple(length * size for length in spacing)
    codes = all_codes((hu, lungs, own))  # type: ignore[arg-type]
    assert expected <= codes
    # The phantom's pixels are enlarged with it.
    assert codes <= expected | {"body-size-doubtful", "lung-height-doubtful", "coarse-pixels"}


def test_little_lung_in_an_adult_is_refused_still(chest: Chest) -> None:
    hu, lungs, spacing = chest
    few = lungs.copy()
    few[:, :, np.arange(few.shape[2]) % 16 > 0] = 0
    with pytest.raises(QualityError, match="at least 300 ml of lung was expected"):
        check_lungs(few, spacing, hu=hu)


def mirrored(chest: Chest) -> Chest:
    """A chest with right and left exchanged: the lung that lies at small x is called the right one again."""
    hu, lungs, spacing = chest
    turned = np.array([0, 2, 1], np.uint8)[lungs[:, :, ::-1]]
    return np.ascontiguousarray(hu[:, :, ::-1]), turned, spacing


def test_a_mirrored_chest_is_told_with_how_far_the_heart_lies_to_the_right(chest: Chest) -> None:
    assert check_heart_side(*chest) == ()
    (notice,) = check_heart_side(*mirrored(chest))
    hu, lungs, spacing = chest
    own = leftward_mm(*turned_back(hu, lungs, spacing, turn_degrees(lungs, spacing)))
    assert own is not None
    assert own > 20
    assert notice.value == pytest.approx(-own, abs=6)
    assert (notice.code, notice.severity, notice.limit, notice.unit) == (
        "heart-on-the-right",
        "warn",
        MIN_LEFTWARD_MM,
        "mm",
    )
    assert "situs inversus" in notice.text
    assert "left and right are exchanged in the file" in notice.text
    assert "heart-on-the-right" in all_codes(mirrored(chest))


def test_a_heart_beside_a_small_right_lung_is_not_told(chest: Chest) -> None:
    hu, lungs, spacing = mirrored(chest)
    part = lungs.copy()
    slices = np.flatnonzero((lungs == 1).any(axis=(1, 2)))
    upper = slices[len(slices) // 2 :]
    part[upper] = np.where(lungs[upper] == 1, 0, lungs[upper])
    assert 0.1 < np.mean(part[part > 0] == 1) < 0.41
    assert check_heart_side(hu, part, spacing) == ()


def test_a_chest_that_is_turned_over_is_told_once(chest: Chest) -> None:
    hu, lungs, spacing = mirrored(chest)
    codes = all_codes((np.ascontiguousarray(hu[:, ::-1]), np.ascontiguousarray(lungs[:, ::-1]), spacing))
    assert "front-back-doubtful" in codes
    assert "heart-on-the-right" not in codes


def test_where_no_bone_is_seen_the_hearts_side_is_not_told(chest: Chest) -> None:
    hu, lungs, spacing = mirrored(chest)
    assert leftward_mm(hu_of(np.minimum(hu, 100)), lungs, spacing) is None
    assert check_heart_side(hu_of(np.minimum(hu, 100)), lungs, spacing) == ()


@pytest.mark.parametrize("side", [1, 2])
def test_with_one_lung_the_hearts_side_is_not_told(chest: Chest, side: int) -> None:
    hu, lungs, spacing = chest
    assert leftward_mm(hu, np.where(lungs == side, lungs, 0), spacing) is None


def test_contrast_medium_does_not_hide_that_front_and_back_are_exchanged(chest: Chest) -> None:
    hu, lungs, spacing = chest
    enhanced = hu.copy()
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    quarter = (columns[-1] - columns[0]) // 4
    # Heart and vessels of 250 HU in front of the spine, in the middle third of the slices.
    part = enhanced[
        int(0.3 * len(hu)) : int(0.6 * len(hu)), : int(hu.shape[1] * 0.53), columns[0] + quarter : columns[-1] - quarter
    ]
    part[(part > 0) & (part < 110)] = 250
    assert not {"front-back-doubtful"} & all_codes((enhanced, lungs, spacing))
    turned = np.ascontiguousarray(enhanced[:, ::-1]), np.ascontiguousarray(lungs[:, ::-1]), spacing
    assert "front-back-doubtful" in all_codes(turned)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (60.0, 2.0, 2.0)])
def test_lungs_that_were_given_in_part_are_doubted_and_not_refused(spacing: tuple[float, float, float]) -> None:
    lungs = np.zeros((16, 60, 60), np.uint8)
    lungs[3:13, 10:40, 5:25], lungs[3:13, 10:40, 35:55] = 1, 2
    with pytest.raises(QualityError, match="mm high"):
        check_lung_shape(lungs, spacing, 1000.0, whole=True)
    (notice,) = check_lung_shape(lungs, spacing, 1000.0, whole=True, given=True)
    assert (notice.code, notice.severity) == ("lung-height-doubtful", "warn")
    assert notice.text.endswith("Or only a part of the lungs was segmented.")


@pytest.mark.parametrize("degrees", [-20.0, 12.0])
def test_in_a_chest_that_lies_turned_the_heart_is_where_it_is(chest: Chest, degrees: float) -> None:
    hu, lungs, spacing = chest
    lying = turned_back(hu, lungs, spacing, degrees)
    assert check_heart_side(*lying) == ()
    (notice,) = check_heart_side(*mirrored(lying))
    straight = leftward_mm(*turned_back(hu, lungs, spacing, turn_degrees(lungs, spacing)))
    assert straight is not None
    assert notice.value == pytest.approx(-straight, abs=12)
