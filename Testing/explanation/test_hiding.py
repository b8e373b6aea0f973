"""The deletion test: what counts as healthy, what is named, what is random, and what follows."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.explanation.hiding import (
    FAINT,
    HEALTHY_LUNG_HU,
    LARGEST_TESTED_SHARE,
    MIN_FALL,
    NAMED_LEVEL,
    RANDOM_REGIONS,
    healthy_value,
    hide_and_see,
    judge,
    named_region,
    probability_of,
    random_regions,
)
from CovidCTLib.hu import scale_for_network


@pytest.fixture
def lungs() -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[10:50, 5:35] = mask[10:50, 45:75] = True
    return mask


def test_healthy_is_the_median_of_lung_without_opacity(lungs: np.ndarray) -> None:
    image = np.where(lungs, 0.2, 0.9).astype(np.float32)
    opacities = np.zeros_like(lungs)
    opacities[10:40, 5:35] = True
    image[opacities] = 0.7
    assert healthy_value(image, lungs, opacities) == pytest.approx(0.2)


def test_a_slice_without_healthy_lung_takes_inflated_lung(lungs: np.ndarray) -> None:
    image = np.full(lungs.shape, 0.8, np.float32)
    expected = scale_for_network(np.array([HEALTHY_LUNG_HU], np.int16))[0]
    assert healthy_value(image, lungs, lungs) == pytest.approx(expected)


def test_a_map_names_the_lung_above_half_of_its_maximum_there(lungs: np.ndarray) -> None:
    heat = np.zeros(lungs.shape, np.float32)
    heat[0, 0] = 1.0
    heat[20:24, 10:14] = 0.6
    heat[30:34, 10:14] = 0.6 * NAMED_LEVEL
    heat[40:44, 10:14] = 0.6 * NAMED_LEVEL - 0.01
    named = named_region(heat, lungs)
    assert named.sum() == 32
    assert not named[~lungs].any()
    assert not named_region(np.where(lungs, np.float32(FAINT - 0.01), 1), lungs).any()


def test_random_regions_have_the_area_and_stay_in_the_lungs(lungs: np.ndarray) -> None:
    regions = random_regions(lungs, 333, 5, np.random.default_rng(1))
    assert regions.sum(axis=(1, 2)).tolist() == [333] * 5
    assert not regions[:, ~lungs].any()
    assert len({region.tobytes() for region in regions}) == 5
    again = random_regions(lungs, 333, 5, np.random.default_rng(1))
    assert np.array_equal(regions, again)


def verdict_of(positive: bool, before: float, after: float, random: list[float], share: float = 0.1) -> str:
    """The verdict, for a classifier that calls a slice like COVID-19 from a probability of one half."""
    return judge(positive, before, after, np.array(random), threshold=0.5, share=share)


@pytest.mark.parametrize(
    ("positive", "before", "after", "lowest", "verdict"),
    [
        (True, 3.0, -3.0, 2.0, "explains"),
        (True, 9.0, 6.0, 8.0, "partly"),
        # Still called like COVID-19: the threshold's log odds are 0.
        (True, 3.0, 1e-6, 2.0, "partly"),
        (True, 3.0, -1e-6, 2.0, "explains"),
        (True, 3.0, 2.5, 2.0, "nothing"),
        (True, 3.0, -1.0, -1.0, "nothing"),
        (True, 3.0, 3.5, 4.0, "nothing"),
        (False, -3.0, -6.0, -3.0, "not abnormal"),
    ],
)
def test_verdicts_follow_their_rule(positive, before, after, lowest, verdict) -> None:
    assert verdict_of(positive, before, after, [lowest, lowest + 0.1]) == verdict


def test_a_fall_that_one_random_region_reaches_too_is_unclear() -> None:
    assert verdict_of(True, 4.0, 0.0, [3.0] * 18 + [-0.1]) == "unclear"
    assert verdict_of(True, 4.0, 0.0, [0.2] * 18 + [-0.1]) == "nothing"


def test_hiding_that_raises_the_probability_explains_nothing_even_where_any_other_raises_it_more() -> None:
    assert verdict_of(True, 0.4, 0.6, [3.0] * 18 + [0.5]) == "nothing"


def test_a_region_of_most_of_the_lung_cannot_be_tested_unless_it_beats_every_other() -> None:
    above = LARGEST_TESTED_SHARE + 0.01
    # All of a white slice is hidden, by the named region as by any random one.
    assert verdict_of(True, 5.0, -4.0, [-4.0] * 19, share=1.0) == "too large"
    assert verdict_of(True, 5.0, -4.0, [-4.0] * 19, share=above) == "too large"
    assert verdict_of(True, 5.0, -4.0, [-4.0] * 19, share=LARGEST_TESTED_SHARE) == "nothing"
    assert verdict_of(True, 5.0, -4.0, [-3.0] * 19, share=above) == "explains"
    # Nothing falls whatever is hidden: it is not the lung that the verdict rests on.
    assert verdict_of(True, 5.0, 4.9, [4.9] * 19, share=1.0) == "nothing"


def test_the_fall_that_counts_is_the_named_one() -> None:
    before = 0.0
    at_limit = float(np.log((0.5 - MIN_FALL) / (0.5 + MIN_FALL)))
    assert probability_of(at_limit) == pytest.approx(0.5 - MIN_FALL)
    assert verdict_of(True, before, at_limit - 1e-6, [0.0]) == "explains"
    assert verdict_of(True, before, at_limit + 1e-6, [0.0]) == "partly"


def test_hiding_what_the_classifier_looks_at_is_told_from_hiding_anything(lungs: np.ndarray) -> None:
    image = np.where(lungs, 0.15, 0.0).astype(np.float32)
    opacity, other, nothing = (np.zeros_like(lungs) for _ in range(3))
    opacity[20:26, 10:16] = True
    other[20:26, 60:66] = True
    image[opacity] = 0.75

    def log_odds(images: np.ndarray) -> np.ndarray:
        return 10 * (images[:, opacity].mean(axis=1).astype(float) - 0.45)

    regions = {"grad_cam_14": opacity, "grad_cam_28": other, "lime": nothing}
    tests = {test.method: test for test in hide_and_see(image, lungs, regions, 0.15, True, log_odds, 0, threshold=0.5)}
    found = tests["grad_cam_14"]
    assert found.verdict == "explains"
    assert (found.before, found.after) == (pytest.approx(probability_of(3)), pytest.approx(probability_of(-3)))
    assert found.share_percent == pytest.approx(100 * 36 / 2400)
    assert found.random_lowest is not None
    assert found.after < found.random_lowest <= found.random_mean <= found.before
    assert tests["grad_cam_28"].verdict == "nothing"
    assert tests["grad_cam_28"].after == pytest.approx(found.before)
    assert tests["lime"].verdict == "no region"
    assert tests["lime"].after is None


def test_nineteen_random_regions_make_one_in_twenty() -> None:
    assert pytest.approx(0.05) == 1 / (RANDOM_REGIONS + 1)
