"""Thresholds that the other patients give."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from CovidCTLib.evaluation.transferred import called_by_others

NORMAL, ABNORMAL = False, True


def test_each_patient_is_called_at_the_threshold_of_the_others() -> None:
    patients = ["a"] * 4 + ["b"] * 4
    probability = np.array([0.1, 0.4, 0.6, 0.9, 0.3, 0.5, 0.55, 0.8])
    abnormal = np.array([NORMAL, NORMAL, ABNORMAL, ABNORMAL] * 2)
    called = called_by_others(probability, abnormal, patients)
    assert called is not None
    # One in ten normal slices may be called; of two that is none: above 0.5 for a, above 0.4 for b.
    assert called.tolist() == [False, False, True, True, False, True, True, True]


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6), st.integers(0, 63))
def test_slices_of_a_patient_have_no_part_in_the_own_threshold(own: list[float], labels: int) -> None:
    others = np.array([0.2, 0.35, 0.7, 0.9])
    known = np.array([NORMAL, NORMAL, ABNORMAL, ABNORMAL])
    probability = np.concatenate([others, own])
    abnormal = np.concatenate([known, [bool(labels >> k & 1) for k in range(6)]])
    # A third patient, so that the others of the first have both kinds of slices whatever the labels.
    called = called_by_others(
        np.concatenate([probability, others]), np.concatenate([abnormal, known]), ["a"] * 4 + ["own"] * 6 + ["b"] * 4
    )
    assert called is not None
    assert called[4:10].tolist() == [p > 0.35 for p in own]


def test_a_patient_without_such_others_leaves_no_figure() -> None:
    probability = np.array([0.1, 0.9, 0.2, 0.3])
    assert called_by_others(probability, np.array([NORMAL, ABNORMAL, NORMAL, NORMAL]), list("aabb")) is None
    assert called_by_others(probability, np.array([NORMAL, ABNORMAL, NORMAL, ABNORMAL]), list("aaaa")) is None
    assert called_by_others(np.zeros(0), np.zeros(0, bool), []) is None
