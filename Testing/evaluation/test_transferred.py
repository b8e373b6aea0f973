"""Thresholds that the other patients give."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from CovidCTLib.evaluation.transferred import LEAST_NORMAL_SLICES, called_by_others

NORMAL, ABNORMAL = False, True


def a_patient(name: str, highest: float) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    """Ten normal slices up to a probability, and an abnormal one."""
    probability = np.append(np.linspace(0.0, highest, 10), 0.99)
    return probability, np.array([NORMAL] * 10 + [ABNORMAL]), [name] * 11


def together(*patients: tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]) -> tuple[NDArray, NDArray, list[str]]:
    probability, abnormal, names = zip(*patients, strict=True)
    return np.concatenate(probability), np.concatenate(abnormal), [name for part in names for name in part]


def test_each_patient_is_called_at_the_threshold_of_the_others() -> None:
    called = called_by_others(*together(a_patient("a", 0.9), a_patient("b", 0.18), a_patient("c", 0.18)))
    assert called is not None
    # Of the 20 normal slices of b and c two may be called: the threshold is just above 0.16, the third highest.
    assert called[:11].tolist() == [False, False, *[True] * 9]
    # Of those of a and b, 0.9 and 0.8 may be called; 0.7 may not.
    assert called[11:].tolist() == 2 * [*[False] * 10, True]


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6), st.integers(0, 63))
def test_slices_of_a_patient_have_no_part_in_the_own_threshold(own: list[float], labels: int) -> None:
    mine = np.array(own), np.array([bool(labels >> k & 1) for k in range(6)]), ["own"] * 6
    called = called_by_others(*together(a_patient("a", 0.9), mine, a_patient("b", 0.9), a_patient("c", 0.9)))
    assert called is not None
    # Three of 30 may be called: those of 0.9.
    assert called[11:17].tolist() == [p > 0.8 for p in own]


def test_patients_without_enough_others_leave_no_figure() -> None:
    a, b = a_patient("a", 0.9), a_patient("b", 0.9)
    # The others of a are b alone.
    assert called_by_others(*together(a, b)) is None
    few = [(p[:2], abnormal[:2], names[:2]) for p, abnormal, names in (a, b, a_patient("c", 0.9), a_patient("d", 0.9))]
    assert LEAST_NORMAL_SLICES > 6
    assert called_by_others(*together(*few)) is None
    all_normal = [(p[:10], abnormal[:10], names[:10]) for p, abnormal, names in (a, b, a_patient("c", 0.9))]
    assert called_by_others(*together(*all_normal)) is None
    assert called_by_others(np.zeros(0), np.zeros(0, bool), []) is None
