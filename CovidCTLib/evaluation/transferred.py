"""Thresholds that other patients give: what a threshold does to patients who had no part in its choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.training.tasks import specific_point


def called_by_others(
    probability: NDArray[np.float64], abnormal: NDArray[np.bool_], patients: Sequence[str]
) -> NDArray[np.bool_] | None:
    """Call the slices of each patient at the threshold that the slices of all other patients give.

    Parameters
    ----------
    probability, abnormal
        Shape ``(n,)``: of slices by models that never saw their patients, and what the slices are.
    patients
        Whose each slice is, length n.

    Returns
    -------
    ndarray or None
        bool, shape ``(n,)``: whether the probability reaches the lowest threshold that leaves at least
        `CovidCTLib.training.tasks.SPECIFICITY` of the others' normal slices uncalled. None where some patient is left
        without others who have both normal and abnormal slices.
    """
    whose = np.asarray(patients, dtype=str)
    called = np.zeros(len(probability), dtype=bool)
    for patient in np.unique(whose):
        own = whose == patient
        if not abnormal[~own].any() or abnormal[~own].all():
            return None
        point = specific_point(probability[~own], abnormal[~own])
        called[own] = probability[own] >= point["specific_threshold"]
    return called if len(called) else None
