"""Patient-wise splits: all slices and scans of a patient are on one side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.models.card import count_of
from CovidCTLib.training.slices import SliceSet


def validation_mask(slices: SliceSet, fold: int, folds: int) -> NDArray[np.bool_]:
    """Choose the slices of one fold's validation patients.

    Parameters
    ----------
    slices
        All slices.
    fold, folds
        Number of the fold, from 0, and how many folds there are.

    Returns
    -------
    ndarray
        bool, shape ``(n,)``: true for validation. Within each source, patients in the order of their names are dealt
        to the folds in turn; one of several sources is dealt once.

    Raises
    ------
    TrainingDataError
        If the fold's number is off, or a side has no slices.
    """
    if not 0 <= fold < folds:
        raise TrainingDataError(f"The fold must lie within 0 and {folds - 1}, not {fold}. Correct it.")
    chosen: set[str] = set()
    dealt: set[str] = set()
    for source in np.unique(slices.source):
        patients = [str(p) for p in np.unique(slices.patient[slices.source == source]) if str(p) not in dealt]
        chosen.update(patients[fold::folds])
        dealt.update(patients)
    mask = np.isin(slices.patient, sorted(chosen))
    if mask.all() or not mask.any():
        left, owners = count_of(int((~mask).sum()), "slices"), count_of(len(np.unique(slices.patient)), "patients")
        raise TrainingDataError(
            f"Both sides of a split need patients, but fold {fold} of {folds} leaves {left} to train on and "
            f"{int(mask.sum())} to validate on ({owners}). "
            "Add patients, choose another --fold, lower --folds, or train on all with --fold none."
        )
    return mask
