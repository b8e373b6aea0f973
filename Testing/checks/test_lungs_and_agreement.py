"""Quality checks on phantoms that break one thing each."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.analysis import CaseDecision
from CovidCTLib.checks import MIN_LUNG_VOLUME_ML, check_agreement, check_lungs, check_scan
from CovidCTLib.errors import QualityError
from CovidCTLib.geometry import CanonicalGrid, Geometry


def _lungs() -> np.ndarray:
    lungs = np.zeros((20, 60, 60), np.uint8)
    lungs[2:18, 10:50, 5:25] = 1
    lungs[2:18, 10:50, 35:55] = 2
    return lungs


def test_good_lungs_give_no_notice() -> None:
    assert check_lungs(_lungs(), (5.0, 4.0, 4.0)) == ()


def test_oblique_axes_are_told() -> None:
    c, s = float(np.cos(0.4)), float(np.sin(0.4))
    grid = CanonicalGrid(
        Geometry((4, 60, 80), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0))
    )
    hu = np.tile(np.array([-900, 40, -90, 300], np.int16), (4, 60, 20))
    (notice,) = (notice for notice in check_scan(hu, grid) if notice.code == "oblique")
    assert notice.value == pytest.approx(np.degrees(0.4))
    assert (notice.limit, notice.unit) == (10.0, "degrees")


def test_lungs_at_the_side_of_the_picture_are_told() -> None:
    (notice,) = check_lungs(_lungs()[:, :, 15:], (5.0, 4.0, 4.0))
    assert notice.code == "lungs-cut-at-side"
    assert notice.value is not None
    assert notice.value > 1


def test_no_lungs_in_view_is_refused() -> None:
    lungs = np.zeros((4, 20, 20), np.uint8)
    with pytest.raises(QualityError, match=f"at least {MIN_LUNG_VOLUME_ML:.0f} ml of lung was expected, but 0 ml"):
        check_lungs(lungs, (1.0, 1.0, 1.0))
    lungs[1:3, 5:10, 5:10] = 1
    with pytest.raises(QualityError, match="No lungs in view"):
        check_lungs(lungs, (5.0, 2.0, 2.0))


def test_a_missing_side_is_told() -> None:
    lungs = _lungs()
    lungs[lungs == 2] = 0
    (notice,) = check_lungs(lungs, (5.0, 4.0, 4.0))
    assert notice.code == "no-left-lung"


@pytest.mark.parametrize(
    ("cut", "code"), [(slice(5, None), "lungs-cut-at-base"), (slice(None, 12), "lungs-cut-at-apex")]
)
def test_lungs_that_are_cut_off_are_told(cut: slice, code: str) -> None:
    (notice,) = check_lungs(_lungs()[cut], (5.0, 4.0, 4.0))
    assert notice.code == code
    assert notice.value == 100.0


@pytest.mark.parametrize(
    ("positive", "percent", "disagrees"),
    [
        (True, 5.0, False),
        (False, 0.2, False),
        (True, 0.2, True),
        (False, 4.5, True),
        (None, 4.5, False),
        (True, None, False),
    ],
)
def test_readings_that_disagree_are_told(positive: bool | None, percent: float | None, disagrees: bool) -> None:
    case = CaseDecision(positive, 0.5, 1, 2, 0.5, 0.1)
    codes = [notice.code for notice in check_agreement(case, percent)]
    assert codes == (["readings-disagree"] if disagrees else [])
