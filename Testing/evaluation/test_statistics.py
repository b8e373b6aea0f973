"""Figures with intervals against closed forms and against a plain bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from CovidCTLib.evaluation.statistics import (
    ALIKE,
    BOOTSTRAP,
    EXACT,
    NOTHING,
    ONE_CLASS,
    ONE_OF_CLASS,
    ONE_PATIENT,
    bootstrap_auc,
    bootstrap_mean,
    bootstrap_ratio,
    calibrate,
    exact_interval,
    rate,
    roc_curve,
    threshold_curve,
)
from CovidCTLib.training.tasks import area_under_curve


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    estimate = bootstrap_mean(values, [str(k) for k in range(400)])
    assert estimate.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_patients_are_drawn_and_not_slices() -> None:
    values = np.repeat([0.2, 0.4, 0.6, 0.8], 100)
    wide = bootstrap_mean(values, np.repeat(list("abcd"), 100).tolist())
    narrow = bootstrap_mean(values, [str(k) for k in range(400)])
    widths = [float(np.diff([estimate.low, estimate.high])[0]) for estimate in (wide, narrow)]
    assert widths[0] > 5 * widths[1]


def test_the_same_seed_gives_the_same_interval() -> None:
    values, patients = [0.1, 0.5, 0.8], ["a", "b", "c"]
    assert bootstrap_mean(values, patients) == bootstrap_mean(values, patients)
    assert bootstrap_mean(values, patients, seed=1, draws=20) != bootstrap_mean(values, patients, seed=2, draws=20)


def test_undefined_figures_say_why() -> None:
    assert bootstrap_mean([], []).reason == NOTHING
    assert bootstrap_ratio([0, 0], [0, 0], ["a", "b"]).value is None
    lone = bootstrap_mean([0.3, 0.5], ["a", "a"])
    assert (lone.value, lone.low, lone.reason) == (pytest.approx(0.4), None, ONE_PATIENT)
    assert bootstrap_auc([0.1, 0.2], [True, True], ["a", "b"]).reason == ONE_CLASS
    assert bootstrap_auc([0.1, 0.2], [False, True], ["a", "a"]).reason == ONE_PATIENT


def test_the_auc_interval_is_that_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(5)
    patients = np.repeat([f"p{k}" for k in range(8)], 12)
    positive = rng.random(96) < 0.4
    scores = np.round(positive * 0.5 + rng.normal(0, 0.6, 96) + np.repeat(rng.normal(0, 0.3, 8), 12), 1)
    estimate = bootstrap_auc(scores, positive, patients.tolist(), draws=400, seed=7)
    assert estimate.value == area_under_curve(scores, positive)
    counts = np.random.default_rng(7).multinomial(8, np.full(8, 1 / 8), size=400)
    plain = []
    for draw in counts:
        chosen = np.concatenate([np.flatnonzero(patients == f"p{k}") for k in np.repeat(np.arange(8), draw)])
        plain.append(area_under_curve(scores[chosen], positive[chosen]))
    assert (estimate.low, estimate.high) == (
        pytest.approx(np.percentile(plain, 2.5)),
        pytest.approx(np.percentile(plain, 97.5)),
    )


def test_draws_without_both_classes_do_not_count() -> None:
    estimate = bootstrap_auc([0.9, 0.3, 0.4, 0.1], [True, True, False, False], ["a", "b", "c", "d"])
    assert (estimate.value, estimate.low, estimate.high) == (0.75, 0.0, 1.0)


def test_an_auc_with_one_patient_of_a_class_has_no_interval() -> None:
    for scores, positive in (([0.1, 0.5, 0.6], [False, True, True]), ([0.9, 0.5, 0.6], [True, False, False])):
        found = bootstrap_auc(scores, positive, ["n", "a", "b"])
        assert (found.value, found.low, found.high, found.method) == (1.0, None, None, None)
        assert found.reason == ONE_OF_CLASS


def test_patients_whose_denominator_is_zero_are_not_counted() -> None:
    assert bootstrap_ratio([1, 0, 0], [1, 0, 0], ["n", "a", "b"]) == bootstrap_ratio([1], [1], ["n"])
    assert bootstrap_ratio([1, 0, 0], [1, 0, 0], ["n", "a", "b"]).reason == ONE_PATIENT
    some = bootstrap_ratio([1, 0, 1, 0], [1, 2, 2, 0], ["a", "b", "c", "d"])
    assert some == bootstrap_ratio([1, 0, 1], [1, 2, 2], ["a", "b", "c"])
    assert some.method == BOOTSTRAP


def test_where_all_draws_are_alike_a_mean_has_no_interval() -> None:
    found = bootstrap_mean([0.3, 0.3, 0.3], ["a", "b", "c"])
    assert (found.value, found.low, found.high, found.reason) == (pytest.approx(0.3), None, None, ALIKE)
    perfect = bootstrap_auc([0.1, 0.2, 0.8, 0.9], [False, False, True, True], list("abcd"))
    assert (perfect.value, perfect.low, perfect.reason) == (1.0, None, ALIKE)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Closed forms at the ends: (0.025)^(1/n); the middle from tables of Clopper and Pearson.
    [
        (7, 7, 0.025 ** (1 / 7), 1.0),
        (0, 7, 0.0, 1 - 0.025 ** (1 / 7)),
        (1, 1, 0.025, 1.0),
        (5, 10, 0.1871, 0.8129),
        (9, 10, 0.5550, 0.9975),
    ],
)
def test_exact_intervals_are_those_of_clopper_and_pearson(successes: int, trials: int, low: float, high: float) -> None:
    assert exact_interval(successes, trials) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_rate_of_patients_with_one_case_each_is_exact() -> None:
    found = rate([True] * 9 + [False], [True] * 10, [str(k) for k in range(10)])
    assert (found.value, found.method) == (0.9, EXACT)
    assert (found.low, found.high) == exact_interval(9, 10)
    lone = rate([True, False, False], [True, False, False], ["n", "a", "b"])
    assert (lone.value, lone.low, lone.high, lone.method) == (1.0, pytest.approx(0.025), 1.0, EXACT)


def test_a_rate_that_all_patients_share_is_exact_over_patients() -> None:
    right = rate([True] * 7, [True] * 7, ["a", "a", "b", "c", "d", "e", "f"])
    assert (right.value, right.method) == (1.0, EXACT)
    assert (right.low, right.high) == exact_interval(6, 6)
    half = rate([True, False] * 4, [True] * 8, list("aabbccdd"))
    assert (half.value, half.method) == (0.5, EXACT)
    assert (half.low, half.high) == exact_interval(2, 4)


def test_other_rates_are_bootstrapped_over_the_patients_that_they_are_of() -> None:
    called, members = [True, False, True, True, True], [True, True, True, True, False]
    found = rate(called, members, list("aabbc"))
    assert found == bootstrap_ratio([1, 0, 1, 1], [1, 1, 1, 1], list("aabb"))
    assert (found.value, found.method) == (0.75, BOOTSTRAP)
    assert rate([True], [False], ["a"]).reason == NOTHING
    assert rate([True, False], [True, True], ["a", "a"]).reason == ONE_PATIENT


def test_the_roc_curve_has_the_area_of_the_auc() -> None:
    rng = np.random.default_rng(2)
    positive = rng.random(300) < 0.3
    scores = np.round(rng.random(300) + 0.4 * positive, 2)
    roc = roc_curve(scores, positive)
    assert roc is not None
    assert (roc.false_positive_rate[0], roc.sensitivity[0]) == (0, 0)
    assert (roc.false_positive_rate[-1], roc.sensitivity[-1]) == (1, 1)
    width = np.diff(roc.false_positive_rate)
    area = float((width * (roc.sensitivity[1:] + roc.sensitivity[:-1]) / 2).sum())
    assert area == pytest.approx(area_under_curve(scores, positive))
    assert roc_curve([0.1], [True]) is None


def test_calibration_of_known_probabilities() -> None:
    probability = np.repeat([0.05, 0.55, 1.0], [10, 10, 20])
    positive = np.concatenate([np.zeros(10), np.repeat([1, 0], 5), np.ones(20)]).astype(bool)
    calibration = calibrate(probability, positive)
    assert calibration is not None
    filled = [b for b in calibration.bins if b.count]
    assert [(round(b.low, 2), b.count, b.observed_share) for b in filled] == [
        (0.0, 10, 0.0),
        (0.5, 10, 0.5),
        (0.9, 20, 1),
    ]
    assert calibration.expected_error == pytest.approx((10 * 0.05 + 10 * 0.05) / 40)
    assert calibration.brier == pytest.approx((10 * 0.05**2 + 5 * 0.45**2 + 5 * 0.55**2) / 40)
    assert calibrate([], []) is None


def test_the_recommended_threshold_lies_in_the_middle_of_the_gap() -> None:
    curve = threshold_curve([0.02, 0.3, 0.5, 0.9], [False, True, True, True])
    assert curve is not None
    assert curve.recommended == pytest.approx(0.16)
    assert curve.threshold.tolist() == [0, 0.02, 0.3, 0.5, 0.9]
    np.testing.assert_allclose(curve.sensitivity, [1, 1, 2 / 3, 1 / 3, 0])
    assert curve.specificity.tolist() == [0, 1, 1, 1, 1]


def test_a_case_at_the_threshold_is_not_positive() -> None:
    curve = threshold_curve([0.0, 0.4, 0.4], [False, True, False])
    assert curve is not None
    assert curve.specificity[0] == 0.5
    assert curve.sensitivity[list(curve.threshold).index(0.4)] == 0
    assert threshold_curve([0.1, 0.2], [True, True]) is None
