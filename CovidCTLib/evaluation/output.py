"""The output folder of an evaluation: ``evaluation.json``, ``cases.csv`` and ``evaluation.html``."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from CovidCTLib.evaluation.definitions import INTERVALS, label_of, quantity_of
from CovidCTLib.evaluation.evaluate import Evaluation
from CovidCTLib.evaluation.figures import Figure, Row, TaskName, Value, value_columns
from CovidCTLib.evaluation.judges import Judge
from CovidCTLib.evaluation.published import NOT_THE_SAME_CASES, compare
from CovidCTLib.evaluation.statistics import CONFIDENCE_PERCENT, DRAWS, SEED
from CovidCTLib.writing.folder import new_output_folder
from CovidCTLib.writing.records import record_head, write_record_file

RECORD_FILE = "evaluation.json"
TABLE_FILE = "cases.csv"
PAGE_FILE = "evaluation.html"

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""

NOT_FINITE = "the computed value is not a finite number"

_FIRST_COLUMNS = ("case", "image", "group", "patient", "status", "model", "reason")


def write_evaluation(evaluation: Evaluation, folder: Path, *, pdf: bool = False) -> None:
    """Write an evaluation into a new folder; either all files are there afterwards, or none.

    Parameters
    ----------
    evaluation
        What `CovidCTLib.evaluation.evaluate.evaluate` found.
    folder
        A path that does not exist yet, or an empty folder.
    pdf
        Whether the page is laid out for paper, too, as ``evaluation.pdf``.

    Raises
    ------
    OutputError
        If the folder is not empty, is a file, cannot be written to, or the disk is full.
    CovidCTError
        If a PDF is asked for and cannot be made on this computer.
    """
    from CovidCTLib.evaluation.page import render_page
    from CovidCTLib.report.page import write_page

    with new_output_folder(folder) as temporary:
        write_record_file(temporary / RECORD_FILE, evaluation_record(evaluation))
        _write_table(temporary / TABLE_FILE, evaluation)
        write_page(render_page(evaluation), temporary / PAGE_FILE, pdf=pdf)


def evaluation_record(evaluation: Evaluation) -> dict[str, Any]:
    """Put an evaluation into plain dictionaries, lists, numbers and text.

    Returns
    -------
    dict
        Holds no NaN and no infinity; where a number is None, a reason stands beside it.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        **record_head(),
        "task": evaluation.task,
        "models": [_model(judge, evaluation.task) for judge in evaluation.judges],
        "interval": {
            "percent": CONFIDENCE_PERCENT,
            "method": "as each figure names it",
            "methods": dict(INTERVALS),
            "draws": DRAWS,
            "seed": SEED,
        },
        "notices": list(evaluation.notices),
        "figures": [_figure(figure) for figure in evaluation.figures],
        "published": [
            {
                **{name: value for name, value in asdict(entry.published).items() if name != "beside"},
                "beside": [{"group": figure.group, "name": figure.name} for figure in entry.measured],
            }
            for entry in compare(evaluation.task, evaluation.figures)
        ],
        "about_published": NOT_THE_SAME_CASES,
        "curves": _curves(evaluation),
        "cases": [_row(row) for row in evaluation.rows],
        "definitions": {name: asdict(quantity_of(name)) for name in _names(evaluation)},
        "seconds": round(evaluation.seconds, 1),
    }


def _names(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys([*(figure.name for figure in evaluation.figures), *value_columns(evaluation.rows)]))


def _model(judge: Judge, task: TaskName) -> dict[str, Any]:
    """What is said of a model under judgement."""
    card = judge.card
    return {
        "label": judge.label,
        "name": card.name,
        "version": card.version,
        "sha256": card.sha256,
        "patients_in_training": list(card.training["patients"]) if "patients" in card.training else None,
        "cases_in_training": list(card.training["cases"]) if "cases" in card.training else None,
        **({} if task == "lungs" else {"lungs_sha256": judge.store.card("lungs").sha256}),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    """One figure with its interval."""
    estimate, quantity = figure.estimate, quantity_of(figure.name)
    reason = estimate.reason
    numbers = {name: getattr(estimate, name) for name in ("value", "low", "high")}
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            numbers[name], reason = None, reason or NOT_FINITE
    return {
        "group": figure.group,
        "kind": figure.kind,
        "name": figure.name,
        "label": label_of(figure.name),
        "unit": quantity.unit,
        **numbers,
        "interval": estimate.method if None not in (numbers["low"], numbers["high"]) else None,
        "reason": reason,
        "count": figure.count,
        "counted": figure.counted,
        "patients": figure.patients,
        "remark": figure.remark or None,
    }


def _row(row: Row) -> dict[str, Any]:
    """One row; values that are undefined have their reasons."""
    values: dict[str, Value] = {}
    undefined = dict(row.undefined)
    for name, value in row.values.items():
        if isinstance(value, float) and not math.isfinite(value):
            values[name], undefined[name] = None, NOT_FINITE
        else:
            values[name] = value
    first = {name: getattr(row, name) for name in _FIRST_COLUMNS}
    return {**first, "values": values, "undefined": undefined}


def _curves(evaluation: Evaluation) -> dict[str, Any]:
    """Numbers behind the plots; None where there is no plot."""
    curves: dict[str, Any] = {}
    for name, curve in asdict(evaluation.curves).items():
        if isinstance(curve, Mapping):
            plain = {key: v.tolist() if isinstance(v, np.ndarray) else v for key, v in curve.items()}
            curves[name] = plain
        else:
            curves[name] = None
    return curves


def _write_table(path: Path, evaluation: Evaluation) -> None:
    """Write a line a row; an empty cell is undefined."""
    columns = value_columns(evaluation.rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_FIRST_COLUMNS, *columns])
        for row in evaluation.rows:
            first = [getattr(row, name) or "" for name in _FIRST_COLUMNS]
            writer.writerow([*first, *(_cell(row.values.get(name)) for name in columns)])


def _cell(value: object) -> str:
    """One value as text."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
