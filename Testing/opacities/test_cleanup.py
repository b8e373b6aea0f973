"""Lesions of logits with a known answer go through each step of the clean-up."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.errors import OptionsError
from CovidCTLib.opacities.cleanup import (
    OpacityCleanup,
    clean_logits,
    grow_in_slices,
    keep_lesions,
    smooth_through_slices,
)

NOTHING = OpacityCleanup(core_logit=None, min_volume_mm3=0)
SPACING = (5.0, 2.0, 2.0)
ALL = np.arange(8)


@pytest.fixture
def logits() -> np.ndarray:
    """A lesion of three slices, one of a single slice, and a faint one; background -6."""
    values = np.full((8, 40, 40), -6, np.float16)
    values[2:5, 4:14, 4:14] = 4
    values[5, 4:14, 24:34] = 3
    values[1:3, 28:30, 8:10] = 0.5
    return values


INSIDE = np.ones((8, 40, 40), bool)


def cleaned(logits: np.ndarray, **steps: float | bool | None) -> np.ndarray:
    cleanup = OpacityCleanup(**{**NOTHING.__dict__, **steps})
    return clean_logits(logits, INSIDE, ALL, SPACING, cleanup) > 0


def test_without_any_step_the_sign_decides(logits: np.ndarray) -> None:
    np.testing.assert_array_equal(cleaned(logits), logits > 0)


def test_the_input_is_not_changed(logits: np.ndarray) -> None:
    before = logits.copy()
    clean_logits(logits, INSIDE, ALL, SPACING, OpacityCleanup(smoothing_mm=3, logit_offset=0.5))
    np.testing.assert_array_equal(logits, before)


def test_a_lesion_without_core_goes_and_one_at_the_limit_stays(logits: np.ndarray) -> None:
    found = cleaned(logits, core_logit=3)
    np.testing.assert_array_equal(found, logits >= 3)
    assert not cleaned(logits, core_logit=4.5).any()


def test_the_smallest_volume_is_inclusive(logits: np.ndarray) -> None:
    # The faint lesion has 2 x 2 x 2 voxels of 20 mm3.
    assert cleaned(logits, min_volume_mm3=160)[1:3, 28:30, 8:10].all()
    assert not cleaned(logits, min_volume_mm3=161)[1:3, 28:30, 8:10].any()


def test_parts_that_touch_at_a_corner_are_one_lesion() -> None:
    values = np.full((2, 4, 4), -6, np.float32)
    values[0, 0, 0], values[1, 1, 1] = 3, 0.5
    kept = keep_lesions(values, values > 0, np.arange(2), 1.0, 2.0, 0.0)
    assert kept[1, 1, 1]
    apart = keep_lesions(values, values > 0, np.array([0, 2]), 1.0, 2.0, 0.0)
    assert apart[0, 0, 0]
    assert not apart[1, 1, 1]


def test_an_offset_lifts_the_limit_and_leaves_the_core_where_it_is(logits: np.ndarray) -> None:
    np.testing.assert_array_equal(cleaned(logits, logit_offset=1.0), logits > 1)
    np.testing.assert_array_equal(cleaned(logits, logit_offset=1.0, core_logit=4), logits >= 4)


def test_opacity_outside_the_lungs_connects_nothing(logits: np.ndarray) -> None:
    inside = INSIDE.copy()
    inside[:, :, :10] = False
    cleanup = OpacityCleanup(**{**NOTHING.__dict__, "min_volume_mm3": 2500})
    found = clean_logits(logits, inside, ALL, SPACING, cleanup) > 0
    # 3 x 10 x 4 voxels of 20 mm3 are left of the large lesion inside the lungs.
    assert not (found & inside)[:5].any()


def test_what_is_dropped_does_not_come_back_by_interpolation(logits: np.ndarray) -> None:
    values = clean_logits(logits, INSIDE, ALL, SPACING, OpacityCleanup(min_volume_mm3=1e6))
    assert values.max() <= 0


def test_smoothing_keeps_a_constant_and_weighs_by_distance() -> None:
    values = np.full((5, 2, 2), 3, np.float32)
    np.testing.assert_allclose(smooth_through_slices(values, np.arange(5) * 2.0, 3.0), values, rtol=1e-6)
    values[:] = 0
    values[2] = 1
    positions = np.array([0.0, 1.0, 2.0, 3.0, 7.0])
    weights = np.exp(-0.5 * (positions[3] - positions) ** 2)
    weights[[0, 4]] = 0  # at and beyond three standard deviations
    smoothed = smooth_through_slices(values, positions, 1.0)
    np.testing.assert_allclose(smoothed[3], weights[2] / weights.sum(), rtol=1e-5)
    assert not smoothed[4].any()


def test_smoothing_in_blocks_is_the_same_as_at_once() -> None:
    values = np.random.default_rng(0).normal(size=(70, 2, 3)).astype(np.float32)
    places = np.arange(70.0)
    distance = np.abs(places[:, None] - places)
    weights = np.exp(-0.5 * (distance / 2) ** 2) * (distance < 6)
    whole = np.einsum("ij,jyx->iyx", weights / weights.sum(axis=1, keepdims=True), values)
    np.testing.assert_allclose(smooth_through_slices(values, places, 2.0), whole, atol=1e-5)


def test_empty_logits_stay_empty() -> None:
    empty = np.full((3, 4, 4), -1, np.float16)
    assert not (clean_logits(empty, INSIDE[:3, :4, :4], np.arange(3), SPACING, OpacityCleanup()) > 0).any()


@pytest.mark.parametrize("name", ["smoothing_mm", "beyond_lungs_mm", "min_volume_mm3"])
def test_a_negative_step_is_refused(name: str) -> None:
    with pytest.raises(OptionsError, match=f"{name} of the opacities must be at least 0 and finite, not -1"):
        OpacityCleanup(**{name: -1.0})


@pytest.mark.parametrize("name", ["logit_offset", "core_logit"])
def test_a_limit_that_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(OptionsError, match=f"{name} of the opacities must be a finite number, not nan"):
        OpacityCleanup(**{name: float("nan")})


def test_a_mask_grows_within_its_slice_by_whole_pixels() -> None:
    mask = np.zeros((3, 20, 20), bool)
    mask[1, 10, 10] = True
    grown = grow_in_slices(mask, (2.0, 3.0), 6.0)
    assert not grown[[0, 2]].any()
    rows, columns = np.nonzero(grown[1])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7, 13, 8, 12)
    np.testing.assert_array_equal(grow_in_slices(mask, (2.0, 3.0), 0.0), mask)
    assert grow_in_slices(mask, (2.0, 3.0), None).all()
