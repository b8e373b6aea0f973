"""Measures and checks of a scan whose spacing is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure_phantoms import find, make_axial, make_box_lungs

from CovidCTLib.checks import check_lungs, check_scan
from CovidCTLib.errors import QualityError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.measures import measure_regions
from CovidCTLib.measures.definitions import SIZE_UNITS, SLICE_DEFINITIONS, SPACING_REASON, absent_columns
from CovidCTLib.options import Options


@pytest.fixture
def known():
    """Box lungs with opacity and localization, in mm."""
    lungs = make_box_lungs()
    return make_axial(-850, lungs, (lungs == 1).astype(np.uint8), 0.5 * (lungs > 0))


def test_sizes_are_absent_with_the_reason_and_shares_stay(known):
    with_size = measure_regions(known, Options())
    without = measure_regions(replace(known, spacing_known=False), Options())
    assert [(entry.region, entry.name) for entry in without] == [(entry.region, entry.name) for entry in with_size]
    for before, after in zip(with_size, without, strict=True):
        if before.unit in SIZE_UNITS and before.value is not None:
            assert (after.value, after.reason) == (None, SPACING_REASON)
        else:
            assert after == before
    assert find(without, "both_lungs", "corona_score_cm3").reason == SPACING_REASON
    assert find(without, "both_lungs", "opacity_percent").value is not None


def test_a_region_without_lung_keeps_its_own_reason(known):
    right_only = np.where(known.lungs == 1, known.lungs, np.uint8(0))
    measures = measure_regions(replace(known, lungs=right_only, spacing_known=False), Options())
    assert "no lung" in find(measures, "left_lung", "volume_ml").reason


def test_lengths_and_areas_of_slices_are_absent():
    absent = absent_columns(False)
    assert absent_columns(True) == frozenset()
    assert absent >= {"position_mm", "lung_area_mm2", "localization_area_mm2"}
    assert not absent & {"index", "opacity_percent", "probability"}
    assert absent <= set(SLICE_DEFINITIONS)


def test_lungs_are_in_view_by_their_share_of_a_slice():
    lungs = np.zeros((2, 100, 100), np.uint8)
    lungs[:, 40:60, 40:50], lungs[:, 40:60, 60:70] = 1, 2
    tiny = (0.01, 0.01, 0.01)
    assert check_lungs(lungs, tiny, spacing_known=False)
    with pytest.raises(QualityError, match="300 ml"):
        check_lungs(lungs, tiny)
    lungs[:, 45:] = 0
    message = "pictures of a chest CT with lungs on at least 4% of a slice were expected, but the most is 1.0%"
    with pytest.raises(QualityError, match=message):
        check_lungs(lungs, (5, 1, 1), spacing_known=False)


def test_a_nominal_slice_distance_is_not_called_thick():
    grid = CanonicalGrid(Geometry((2, 16, 16), (10, 10, 9)))
    hu = np.full((2, 16, 16), 40, np.int16)
    hu[:, :8], hu[:, 8], hu[:, 12:] = -1000, -90, 400
    assert "thick-slices" in {notice.code for notice in check_scan(hu, grid)}
    assert "thick-slices" not in {notice.code for notice in check_scan(hu, grid, spacing_known=False)}
