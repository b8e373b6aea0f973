"""A whole phantom gives no warning; each way of spoiling it gives the one that names it."""

from __future__ import annotations

import numpy as np
import pytest
from check_phantoms import SPOILED, Chest, found_in, on_values

from CovidCTLib.checks import check_lungs, check_scan
from CovidCTLib.errors import QualityError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.phantom import make_chest_phantom


@pytest.fixture(scope="module")
def chest() -> Chest:
    phantom = make_chest_phantom((90, 168, 168), (3.0, 2.0, 2.0))
    return phantom.scan.hu, phantom.lungs, (3.0, 2.0, 2.0)


def test_a_whole_phantom_gives_no_notice(chest: Chest) -> None:
    assert found_in(chest) == {}


@pytest.mark.parametrize("name", SPOILED)
def test_what_was_spoiled_is_told_with_value_and_limit(chest: Chest, name: str) -> None:
    change, code = SPOILED[name]
    found = found_in(change(*chest))
    assert code in found
    notice = found[code]
    assert notice.value is not None
    assert notice.limit is not None
    assert notice.unit
    assert notice.text.endswith(".")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("offset lost", r"tissue lies near \d+, as if the offset of 1024 had been lost. Export the CT again"),
        ("times 16", r"at most 20 % of the tissue at or above 500\), but \d+ % are, so the values have another scale"),
        ("offset taken twice", r"at least 5 % of the voxels from -200 to 200, but \d\.\d % are"),
        ("by 16", r"at least 0.5 % of the voxels from -1000 to -500, but 0.00 % are: there is no lung"),
        (
            "shuffled",
            r"at least 70 % between their likes\), but \d+ % are: they are mixed up, two scans lie between each other",
        ),
    ],
)
def test_a_refusal_says_what_was_expected_found_and_to_do(chest: Chest, name: str, message: str) -> None:
    hu, _, spacing = SPOILED[name][0](*chest)
    with pytest.raises(QualityError, match=message) as caught:
        check_scan(hu, CanonicalGrid(Geometry(hu.shape, spacing[::-1])))
    assert caught.value.notice is not None
    assert caught.value.notice.severity == "refuse"
    assert caught.value.notice.text == str(caught.value)


def test_the_volume_of_metal_is_measured(chest: Chest) -> None:
    value = found_in(SPOILED["metal"][0](*chest))["metal"].value
    assert value == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=0.25)


def test_the_jump_is_placed_where_slices_were_dropped(chest: Chest) -> None:
    text = found_in(SPOILED["8 slices dropped"][0](*chest))["slice-jump"].text
    assert "Between slices 44 and 45" in text


def test_empty_slices_inside_the_scan_are_counted(chest: Chest) -> None:
    hu, lungs, spacing = chest[0].copy(), *chest[1:]
    hu[[0, 1, 60, 61, 89]] = -1024
    assert found_in((hu, lungs, spacing))["empty-slices"].value == 2


@pytest.mark.parametrize(("top", "severity"), [(100, "warn"), (150, "note"), (400, "note")])
def test_clipped_hu_are_noted_and_warned_of_where_the_networks_would_have_seen_more(
    chest: Chest, top: int, severity: str
) -> None:
    notice = found_in(on_values(lambda hu: np.minimum(hu, top))(*chest))["clipped-hu"]
    assert (notice.value, notice.severity) == (top, severity)
    assert f"No voxel is above {top} HU" in notice.text


def test_coarse_steps_are_noted(chest: Chest) -> None:
    notice = found_in(on_values(lambda hu: np.round(hu / 8) * 8)(*chest))["coarse-hu"]
    assert notice.value == pytest.approx(8, abs=0.1)


def test_a_small_shift_down_is_told_where_fat_is_the_most_frequent_tissue(chest: Chest) -> None:
    hu = np.where((chest[0] > 0) & (chest[0] < 100), np.int16(-100), chest[0])
    notice = found_in(on_values(lambda values: values - 100)(hu, *chest[1:]))["hu-shifted"]
    assert (notice.value, notice.limit) == (pytest.approx(-200, abs=10), -150)


def test_contrast_is_not_taken_for_a_spine_in_front(chest: Chest) -> None:
    assert set(found_in(SPOILED["contrast"][0](*chest))) == {"contrast-enhanced"}


def test_values_that_are_too_high_are_not_taken_for_contrast(chest: Chest) -> None:
    assert "contrast-enhanced" not in found_in(SPOILED["100 HU too high"][0](*chest))


@pytest.mark.parametrize(
    ("spacing", "thickness", "code", "value"),
    [
        ((8.0, 2.0, 2.0), None, "thick-slices", 8.0),
        ((3.0, 2.0, 2.0), 7.0, "thick-slices", 7.0),
        ((5.0, 2.0, 2.0), 1.0, "gaps-between-slices", 4.0),
        ((3.0, 3.0, 3.0), None, "coarse-pixels", 3.0),
    ],
)
def test_coarse_grids_and_gaps_are_told(
    chest: Chest, spacing: tuple[float, float, float], thickness: float | None, code: str, value: float
) -> None:
    assert found_in((chest[0], chest[1], spacing), thickness)[code].value == value


@pytest.mark.parametrize(("scale", "code"), [(0.5, "small-lungs"), (1.6, "large-lungs")])
def test_lungs_of_no_adult_are_told(chest: Chest, scale: float, code: str) -> None:
    spacing = (3.0 * scale, 2.0 * scale, 2.0 * scale)
    assert code in {notice.code for notice in check_lungs(chest[1], spacing)}


def test_without_spacing_nothing_in_mm_or_ml_is_told(chest: Chest) -> None:
    hu, lungs, _ = SPOILED["metal"][0](*chest)
    grid = CanonicalGrid(Geometry(hu.shape, (9.0, 9.0, 9.0)))
    assert check_scan(hu, grid, spacing_known=False) == ()
    assert check_lungs(lungs, (9.0, 9.0, 9.0), spacing_known=False) == ()


def test_pictures_without_lungs_are_refused(chest: Chest) -> None:
    lungs = np.zeros_like(chest[1])
    with pytest.raises(QualityError, match=r"lungs on at least 4% of a slice were expected, but the most is 0\.0%"):
        check_lungs(lungs, (1.0, 1.0, 1.0), spacing_known=False)


def test_lungs_at_the_rim_of_the_scan_circle_are_told(chest: Chest) -> None:
    hu, lungs, spacing = (np.array(part) for part in chest)
    side = 136
    low = (hu.shape[1] - side) // 2
    hu, lungs = hu[:, low : low + side, low : low + side], lungs[:, low : low + side, low : low + side]
    y, x = np.ogrid[:side, :side]
    outside = np.hypot(y - (side - 1) / 2, x - (side - 1) / 2) > side / 2
    hu[:, outside], lungs[:, outside] = -1024, 0
    shares = [
        next(
            notice.value
            for notice in check_lungs(lungs, tuple(spacing), hu=given)
            if notice.code == "lungs-cut-at-side"
        )
        for given in (None, hu)
    ]
    # The circle has more of the lungs at its rim than the square has at its sides, which it only touches.
    assert shares[1] > shares[0]
