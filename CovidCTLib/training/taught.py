"""What each case of a training taught: for the model card, as cases label only some of the classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.labelled_data.layout import says_other_disease, says_other_pneumonia
from CovidCTLib.models.card import ModelName
from CovidCTLib.training.slices import INFECTION, UNKNOWN, SliceSet


def what_cases_taught(name: ModelName, slices: SliceSet) -> Mapping[str, list[str]]:
    """Sort the cases of a training by what they taught.

    Parameters
    ----------
    name
        The network.
    slices
        What it was trained on.

    Returns
    -------
    Mapping of str to list of str
        Sorted names of cases by what they taught, in words; a case may stand under several. What no case taught is left
        out.
    """
    cases = slices.case.astype(str)
    cases_of = {
        what: sorted(set(cases[members].tolist())) for what, members in _members(name, slices).items() if members.any()
    }
    return {what: names for what, names in cases_of.items() if names}


def _members(name: ModelName, slices: SliceSet) -> dict[str, NDArray[np.bool_]]:
    """Say of each slice what it taught."""
    if name == "lungs":
        fluid = _shows(slices.effusion, 1)
        with_fluid = np.isin(slices.case, slices.case[fluid])
        return {
            "lungs": (slices.lungs != UNKNOWN).any(axis=(1, 2)),
            "pleural effusion": fluid,
            "that there is no pleural effusion": (slices.effusion != UNKNOWN).any(axis=(1, 2)) & ~with_fluid,
        }
    other = np.asarray([says_other_disease(str(c)) or says_other_pneumonia(str(c)) for c in slices.case], bool)
    if name == "slices":
        return {
            "slices like COVID-19": slices.abnormal == 1,
            "slices without disease": (slices.abnormal == 0) & ~other,
            "slices of other diseases": (slices.abnormal == 0) & other,
        }
    classes_known = _shows(slices.opacities, 1) | _shows(slices.opacities, 2)
    untold = _shows(slices.opacities, INFECTION)
    clear = (slices.opacities != UNKNOWN).any(axis=(1, 2)) & ~classes_known & ~untold
    return {
        "ground glass and consolidation": classes_known,
        "opacity of untold kind": untold,
        "slices without opacity": clear & ~other,
        "that other diseases are no opacity like that of COVID-19": clear & other,
    }


def _shows(labels: NDArray[np.uint8], value: int) -> NDArray[np.bool_]:
    """Whether each slice of labels ``(n, y, x)`` holds a value."""
    return np.asarray((labels == value).any(axis=(1, 2)))
