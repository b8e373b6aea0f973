"""Whether slices show what a network is to learn, and what it is judged by: said before the first step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.models.card import ModelName, count_of
from CovidCTLib.training.slices import UNKNOWN, SliceSet

_TRUTH: Mapping[ModelName, str] = {
    "lungs": "lung masks (NAME_lungs.nii.gz), calibrated pictures or slice archives",
    "opacities": "opacity masks (NAME_opacities.nii.gz) or pictures with labels",
    "slices": "opacity masks (NAME_opacities.nii.gz), tables of slices (NAME_slices.csv), pictures with labels, or CTs "
    "whose name begins with 'normal'",
}
"""What a training folder must hold for each network."""


def check_usable(name: ModelName, slices: SliceSet) -> None:
    """Refuse a training folder that says nothing for a network.

    Parameters
    ----------
    name
        The network.
    slices
        Those of the folder that it can use.

    Raises
    ------
    TrainingDataError
        If there are none.
    """
    if not len(slices):
        raise TrainingDataError(
            f"covidct train {name} needs {_TRUTH[name]}, but no case of the folder has any. Add them; docs/training.md "
            "shows an example of each."
        )


def check_sides(name: ModelName, training: SliceSet, validation: SliceSet | None) -> None:
    """Refuse a split of which one side lacks what a network learns from, or is judged by.

    Parameters
    ----------
    name
        The network.
    training, validation
        The two sides; no validation where all patients are trained on.

    Raises
    ------
    TrainingDataError
        If no slice of a side shows opacities (opacities), or all are abnormal or all normal (slices): a score would
        be the same whatever the network answers, and the first weights would count as the best.
    """
    if lacking := _lacking(name, training):
        raise TrainingDataError(
            f"covidct train {name} needs {lacking} to learn from, but there is none among "
            f"{count_of(len(training), 'slices')} of {_patients(training)}. Add patients who have it."
        )
    if validation is not None and (lacking := _lacking(name, validation)):
        raise TrainingDataError(
            f"The held-out patients of covidct train {name} must show {lacking}, or they could not tell good weights "
            f"from bad, but there is none in the {count_of(len(validation), 'slices')} of {_patients(validation)}. "
            "Choose another --fold, lower --folds, or train on all patients with --fold none."
        )


def _lacking(name: ModelName, slices: SliceSet) -> str:
    """Say what slices lack for a network; empty where nothing is missing."""
    if name == "lungs":
        return "" if (slices.lungs == 1).any() else "a slice with lung"
    if name == "opacities":
        infected = (slices.opacities > 0) & (slices.opacities != UNKNOWN)
        return "" if infected.any() else "a slice with opacity"
    if not (slices.abnormal == 1).any():
        return "an abnormal slice"
    return "" if (slices.abnormal == 0).any() else "a normal slice"


def _patients(slices: SliceSet) -> str:
    """Count the patients of a side, and name the first."""
    names = np.unique(slices.patient)
    first = f", the first of them {names[0]}" if len(names) > 1 else f" ({names[0]})" if len(names) else ""
    return f"{count_of(len(names), 'patients')}{first}"
