"""The model card of a run, with the command that makes the weights again."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import CovidCTLib
from CovidCTLib.models.card import count_of

if TYPE_CHECKING:
    from CovidCTLib.models.card import ModelCard
    from CovidCTLib.training.slices import SliceSet
    from CovidCTLib.training.tasks import Task

_NOT_OF_THE_TRAINING = ("what", "data", "output", "run", "debug", "cancelled")
"""Parsed arguments that stand elsewhere in the command, or do not belong to it."""


def count(slices: SliceSet) -> str:
    """Count slices and patients in words."""
    return f"{count_of(len(slices), 'slices')} of {count_of(len(set(slices.patient.tolist())), 'patients')}"


def command_line(arguments: argparse.Namespace) -> str:
    """Write the command that makes these weights, without the folders of this machine.

    Parameters
    ----------
    arguments
        As the parser of ``covidct train`` gives them. Every option is written, also one that has its default now, since
        defaults may change; of a path the last part only.

    Returns
    -------
    str
        Words quoted for a shell, with ``DATA`` and ``RUN`` for the two folders.
    """
    words = [f"covidct train {arguments.what} DATA -o RUN"]
    for name, value in vars(arguments).items():
        if name in _NOT_OF_THE_TRAINING or (value is None and name != "fold") or value is False:
            continue
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [_word(option, v) for v in (value if type(value) is list else [value])]
    return " ".join(words)


def _word(option: str, value: Any) -> str:
    """Write an option with its value; one that looks like an option itself is joined to it."""
    text = "none" if value is None else value.name if isinstance(value, Path) else str(value)
    return shlex.quote(f"{option}={text}") if text.startswith("-") else f"{option} {shlex.quote(text)}"


def thresholds_of(
    task: Task, figures: Mapping[str, float], arguments: argparse.Namespace
) -> tuple[dict[str, float], str]:
    """Operating points of a card: those given, else the slice threshold is the specific one of the held-out slices.

    Returns
    -------
    thresholds, chosen
        The operating points, and how they were chosen, as a sentence; empty where there are none.
    """
    chosen = dict(task.thresholds)
    how = dict.fromkeys(chosen, "the default, not validated")
    if "slice" in chosen and "specific_threshold" in figures:
        chosen["slice"] = _rounded_up(figures["specific_threshold"])
        how["slice"] = "from the held-out slices"
    given = {"slice": arguments.slice_threshold, "case": arguments.case_threshold}
    for name, value in given.items():
        if value is not None:
            chosen[name], how[name] = value, "given"
    return chosen, "; ".join(f"{name}: {words}" for name, words in how.items())


def _rounded_up(threshold: float) -> float:
    """Round to three digits, never down, so that no more normal slices are called, and never to 0 or 1."""
    return min(max(math.ceil(threshold * 1000) / 1000, 0.001), 0.999)


def card_of(
    task: Task,
    training: SliceSet,
    validation: SliceSet | None,
    figures: Mapping[str, float],
    made: Mapping[str, Any],
    licence: str,
    thresholds: Mapping[str, float],
) -> ModelCard:
    """Write the model card of a run.

    Parameters
    ----------
    task
        What was trained.
    training, validation
        The two sides.
    figures
        What the validation patients gave.
    made
        How the weights were made, by names for the card; with ``steps`` and ``judge_every``.
    licence
        Licence of the weights.
    thresholds
        Operating points.
    """
    import torch

    from CovidCTLib.models.card import SLICE_CHECKSUMS, ModelCard
    from CovidCTLib.training.slice_checksums import known_checksums
    from CovidCTLib.training.taught import what_cases_taught

    return ModelCard(
        name=task.name,
        version=CovidCTLib.__version__,
        architecture=dict(task.architecture),
        size=task.size,
        framing=task.framing,
        expects=task.expects,
        gives=task.gives,
        sha256="",
        thresholds=dict(thresholds),
        training={
            "kinds_of_data": sorted({str(source) for source in training.source}),
            "cases": sorted({str(case) for case in training.case}),
            "patients": sorted({str(patient) for patient in training.patient}),
            "slices_and_patients": count(training),
            "taught_by": {what: list(names) for what, names in what_cases_taught(task.name, training).items()},
            SLICE_CHECKSUMS: sorted(known_checksums(training.checksum)),
            "torch": torch.__version__,
            **made,
        },
        validation=_validation(validation, figures, judged_once=made["judge_every"] >= made["steps"]),
        limits=task.limits,
        licence=licence,
    )


def _validation(validation: SliceSet | None, figures: Mapping[str, float], judged_once: bool) -> dict[str, Any]:
    """What a card says of the patients that were held out, who chose the best step where there was a choice."""
    if validation is None:
        return {}
    choice = {} if judged_once else {"chosen_by": "best score on these patients, so slightly optimistic"}
    return {
        "slices_and_patients": count(validation),
        "volumes": sorted({str(c) for c in validation.case[validation.source == "volume"]}),
        **choice,
        **figures,
    }
