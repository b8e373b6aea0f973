"""Judging of decisions: which slices are abnormal, which cases are diseased. Volumes only.

Pictures do not take part: almost all of them show disease, and none says where in the body it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import ModelError
from CovidCTLib.evaluation.examples import Contours, Example
from CovidCTLib.evaluation.figures import (
    NO_LUNGS,
    Status,
    Value,
)
from CovidCTLib.evaluation.predict import predict_slices, probabilities
from CovidCTLib.labelled_data.labelled import UNKNOWN, LabelledImage
from CovidCTLib.labelled_data.layout import TrainingCase, says_other_disease, says_other_pneumonia
from CovidCTLib.models.card import ModelCard, count_of
from CovidCTLib.models.store import ModelStore
from CovidCTLib.slices.classifier import decide_case
from CovidCTLib.training.tasks import area_under_curve

ONE_CLASS_IN_CASE = "the case has slices of one kind only"


@dataclass(frozen=True)
class SliceCalls:
    """Slices of one volume that count.

    Parameters
    ----------
    index
        Their numbers from the feet.
    probability
        float64; 0 for abnormal slices in which too little lung was found.
    abnormal, called
        bool: what they are, and what they were called.
    """

    index: NDArray[np.intp]
    probability: NDArray[np.float64]
    abnormal: NDArray[np.bool_]
    called: NDArray[np.bool_]


@dataclass(frozen=True)
class Decided:
    """What was found in one volume.

    Parameters
    ----------
    values, undefined
        As in `CovidCTLib.evaluation.figures.Row`.
    calls
        Its slices.
    examples
        Slices worth looking at.
    status, reason
        Whether it counts, and why not.
    """

    values: dict[str, Value]
    undefined: dict[str, str]
    calls: SliceCalls
    examples: tuple[Example, ...]
    status: Status = "judged"
    reason: str | None = None


def check_thresholds(card: ModelCard) -> None:
    """Make sure that a classifier's card names its operating points.

    Raises
    ------
    ModelError
        If it does not.
    """
    missing = [name for name in ("slice", "case") if name not in card.thresholds]
    if missing:
        raise ModelError(
            f"The card of {card.name} must name the thresholds 'slice' and 'case', but lacks {' and '.join(missing)}. "
            "Use a card written by covidct train."
        )


def call_slices(image: LabelledImage, case: TrainingCase, store: ModelStore) -> Decided:
    """Judge the slices of a volume and compare with what is known of them.

    Raises
    ------
    CovidCTError
        If the volume cannot be predicted.
    """
    card = store.slices().card
    limit = float(card.thresholds["slice"])
    findings, _ = predict_slices(image, store, limit)
    probability = probabilities(findings)
    judgeable = ~np.isnan(probability)
    index = np.flatnonzero((image.abnormal == 1) | ((image.abnormal == 0) & judgeable))
    calls = SliceCalls(
        index,
        np.nan_to_num(probability[index], nan=0.0),
        image.abnormal[index] == 1,
        np.array([findings[k].positive for k in index], dtype=bool),
    )
    abnormal, called = calls.abnormal, calls.called
    auc = area_under_curve(calls.probability, abnormal) if abnormal.any() and not abnormal.all() else None
    values: dict[str, Value] = {
        "slices": len(index),
        "abnormal_slices": int(abnormal.sum()),
        "called_slices": int(called.sum()),
        "unjudged_abnormal_slices": int((~judgeable[index]).sum()),
        "auc": auc,
        "sensitivity": _share(called[abnormal]),
        "specificity": _share(~called[~abnormal]),
        "called_slices_percent": _percent(np.array([f.positive for f in findings])[judgeable]),
        "probability_threshold": limit,
    }
    why = {"auc": ONE_CLASS_IN_CASE, "sensitivity": "no abnormal slice", "specificity": "no normal slice"}
    undefined = {name: why.get(name, NO_LUNGS) for name, value in values.items() if value is None}
    examples = tuple(
        _slice_example(image, int(k), p, bool(is_abnormal), limit)
        for k, p, is_abnormal, is_called in zip(index, calls.probability, abnormal, called, strict=True)
        if is_called != is_abnormal
    )
    if len(index) == 0:
        return Decided(values, undefined, calls, (), "failed", "no slice with lung is known to be abnormal or normal")
    if says_other_pneumonia(case.name):
        # Its abnormal slices are abnormal, but should not be called like COVID-19: it fits neither class.
        return Decided(values, undefined, calls, (), "listed apart", "pneumonia that is not COVID-19")
    return Decided(values, undefined, calls, examples)


def call_case(image: LabelledImage, case: TrainingCase, store: ModelStore) -> Decided:
    """Decide on a volume, and compare with what is known of it.

    Raises
    ------
    CovidCTError
        If the volume cannot be predicted.
    """
    card = store.slices().card
    limit, case_limit = float(card.thresholds["slice"]), float(card.thresholds["case"])
    findings, _ = predict_slices(image, store, limit)
    decision = decide_case(findings, limit, case_limit)
    diseased = shows_covid(image, case)
    share = decision.positive_fraction
    values: dict[str, Value] = {
        "diseased": diseased,
        # A diseased case on which nothing is decided was not found.
        "called_positive": False if decision.positive is None and diseased else decision.positive,
        "called_slices_percent": None if share is None else 100 * share,
        "called_slices": decision.positive_slices,
        "lung_slices": decision.lung_slices,
        "probability_threshold": limit,
        "case_threshold": case_limit,
    }
    undefined = {name: NO_LUNGS if decision.reason else "not known" for name, value in values.items() if value is None}
    probability = np.nan_to_num(probabilities(findings), nan=0.0)
    calls = SliceCalls(np.arange(0), np.zeros(0), np.zeros(0, bool), np.zeros(0, bool))
    status, reason = _standing(case, diseased, decision.reason)
    wrong = 0.0 if share is None or diseased is None else (case_limit - share if diseased else share - case_limit)
    words = f"{count_of(decision.positive_slices, 'slices')} of {decision.lung_slices} called positive"
    truth = {True: "COVID-19", False: "no COVID-19", None: "not known"}[diseased]
    example = _example(image, int(probability.argmax()), wrong, f"{truth}; {words}; its most suspicious slice")
    return Decided(values, undefined, calls, (example,) if status == "judged" else (), status, reason)


def shows_covid(image: LabelledImage, case: TrainingCase) -> bool | None:
    """Whether a volume is known to show COVID-19: any opacity or abnormal slice; None if only parts are known.

    Patients with another disease, by the names of their CTs, do not, whatever is abnormal in them.
    """
    if says_other_disease(case.name) or says_other_pneumonia(case.name):
        return False
    if ((image.opacities > 0) & (image.opacities != UNKNOWN)).any() or (image.abnormal == 1).any():
        return True
    return False if (image.abnormal == 0).all() else None


def _standing(case: TrainingCase, diseased: bool | None, no_decision: str | None) -> tuple[Status, str | None]:
    """Whether a case counts, and why not."""
    if diseased is None:
        return "listed apart", "neither known to show COVID-19 nor to be without it"
    if no_decision is not None and not diseased:
        return "failed", no_decision
    return "judged", no_decision


def _share(called: NDArray[np.bool_]) -> float | None:
    return float(called.mean()) if len(called) else None


def _percent(called: NDArray[np.bool_]) -> float | None:
    share = _share(called)
    return None if share is None else 100 * share


def _slice_example(image: LabelledImage, k: int, probability: float, abnormal: bool, limit: float) -> Example:
    """A slice that was called wrongly; the worse, the further from the threshold."""
    truth, called = ("abnormal", "not called") if abnormal else ("normal", "called")
    caption = f"{truth}, {called}: probability {probability:.2f}, threshold {limit:.2f}"
    return _example(image, k, abs(probability - limit), caption)


def _example(image: LabelledImage, k: int, badness: float, caption: str) -> Example:
    """A slice with the true opacities, where they are known."""
    truth = (image.opacities[k] > 0) & (image.opacities[k] != UNKNOWN)
    labelled = bool((image.opacities[k] != UNKNOWN).any())
    return Example(
        badness,
        f"{image.name}, slice {k}",
        caption,
        np.array(image.hu[k]),
        Contours(truth if labelled else None),
        (image.spacing_zyx_mm[1], image.spacing_zyx_mm[2]),
    )
