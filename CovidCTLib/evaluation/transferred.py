"""Thresholds that other patients give: what a threshold does to patients whose slices had no part in its choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.training.tasks import SPECIFICITY, specific_point

LEAST_NORMAL_SLICES = round(1 / (1 - SPECIFICITY))
LEAST_PATIENTS = 2
"""Fewer normal slices of the others, or such slices of fewer patients, give no threshold: of fewer slices not one may
be called, so that the highest alone would decide."""

TOO_FEW_OTHERS = (
    f"some patient lacks {LEAST_NORMAL_SLICES} normal slices of {LEAST_PATIENTS} others, or abnormal ones of any"
)


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
        `CovidCTLib.training.tasks.SPECIFICITY` of the others' normal slices uncalled. None where some patient lacks
        others with `LEAST_NORMAL_SLICES` normal slices of `LEAST_PATIENTS` patients and with abnormal slices.

    Notes
    -----
    In a cross-validation the slices of the others are scored by models that learned from this patient. The threshold is
    free of the patient's own slices, not of all that they taught.
    """
    whose = np.asarray(patients, dtype=str)
    called = np.zeros(len(probability), dtype=bool)
    for patient in np.unique(whose):
        of_patient = whose == patient
        normal = ~of_patient & ~abnormal
        enough = normal.sum() >= LEAST_NORMAL_SLICES and len(np.unique(whose[normal])) >= LEAST_PATIENTS
        if not enough or not abnormal[~of_patient].any():
            return None
        point = specific_point(probability[~of_patient], abnormal[~of_patient])
        called[of_patient] = probability[of_patient] >= point["specific_threshold"]
    return called if len(called) else None
