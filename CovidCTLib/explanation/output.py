"""The output folder of an explanation: ``explanation.html``, ``explanation.json`` and a picture a slice."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from CovidCTLib.explanation import hiding, superpixels
from CovidCTLib.explanation.sentences import hiding_sentence, slice_sentence
from CovidCTLib.explanation.slice_explanation import METHODS, Explanation, SliceExplanation
from CovidCTLib.report.page import write_page
from CovidCTLib.writing.folder import new_output_folder
from CovidCTLib.writing.records import record_head, write_record_file

RECORD_FILE = "explanation.json"
PAGE_FILE = "explanation.html"

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""


def picture_file(index: int) -> str:
    """Name of the picture of a slice."""
    return f"slice_{index:04d}.png"


def write_explanation(
    explanation: Explanation, folder: str | os.PathLike[str], *, pdf: bool = False
) -> tuple[Path, ...]:
    """Write an explanation into a new folder; either all files are there afterwards, or none.

    Parameters
    ----------
    explanation
        What `CovidCTLib.explanation.explain_slices` found.
    folder
        A path that does not exist yet, or an empty folder.
    pdf
        Whether the page is laid out for paper, too, as ``explanation.pdf``.

    Returns
    -------
    tuple of Path
        The files, in the order of their names.

    Raises
    ------
    OutputError
        If the folder is not empty, is a file, cannot be written to, or the disk is full.
    CovidCTError
        If a PDF is asked for and cannot be made on this computer.
    """
    from CovidCTLib.explanation.page import explanation_page
    from CovidCTLib.explanation.picture import draw_row, make_panels

    with new_output_folder(folder) as temporary:
        panels = {explained.index: make_panels(explanation.analysis, explained) for explained in explanation.slices}
        for explained in explanation.slices:
            draw_row(panels[explained.index]).save(temporary / picture_file(explained.index), "PNG", optimize=True)
        write_page(explanation_page(explanation, panels), temporary / PAGE_FILE, pdf=pdf)
        write_record_file(temporary / RECORD_FILE, explanation_record(explanation))
        names = sorted(file.name for file in temporary.iterdir())
    return tuple(Path(folder) / name for name in names)


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """Put an explanation, without its maps, into plain dictionaries, lists, numbers and text.

    Returns
    -------
    dict
        Strict JSON; neither the input's path nor patient data is in it.
    """
    analysis = explanation.analysis
    return {
        "schema_version": SCHEMA_VERSION,
        **record_head(),
        "seed": explanation.seed,
        "lime_samples": explanation.samples,
        "slice_threshold": analysis.case.slice_threshold,
        "methods": dict(METHODS),
        "limits": {
            "named_level": hiding.NAMED_LEVEL,
            "faint": hiding.FAINT,
            "random_regions": hiding.RANDOM_REGIONS,
            "least_fall_of_probability": hiding.MIN_FALL,
            "largest_tested_share": hiding.LARGEST_TESTED_SHARE,
            "lime_named_share": superpixels.NAMED_SHARE,
        },
        "models": [asdict(model) for model in analysis.models],
        "slices": [_slice(explanation, explained) for explained in explanation.slices],
    }


def _slice(explanation: Explanation, explained: SliceExplanation) -> dict[str, Any]:
    """One slice."""
    spacing_known = explanation.analysis.scan.facts.spacing_known
    lime = explained.superpixels
    return {
        "index": explained.index,
        "position_mm": explanation.analysis.slices[explained.index].position_mm if spacing_known else None,
        "chosen_as": explained.reason,
        "probability": explained.probability,
        "positive": explained.positive,
        "sentence": slice_sentence(explained),
        "picture": picture_file(explained.index),
        "largest_in_lungs": {method: float(heat[explained.lungs].max()) for method, heat in explained.maps.items()},
        "lime": {
            "superpixels": len(lime.weights),
            "weights": [float(weight) for weight in np.round(lime.weights, 6)],
            "fit": lime.fit,
            "against_percent": 100 * float(np.count_nonzero(explained.against) / np.count_nonzero(explained.lungs)),
        },
        "tests": [{**asdict(test), "sentence": hiding_sentence(test)} for test in explained.tests],
    }
