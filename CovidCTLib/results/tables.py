"""``measures.csv`` and ``slices.csv``: the numbers for a spreadsheet or a statistics program.

Both are UTF-8 with commas, decimal points and one header line. An empty cell means: undefined; for measures the
column ``reason`` says why.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from CovidCTLib.analysis import Analysis, Measurement, SliceMeasures
from CovidCTLib.measures.definitions import MeasureDefinition, absent_columns
from CovidCTLib.measures.described import definitions_of
from CovidCTLib.results.record import NOT_FINITE

MEASURE_COLUMNS = ("region", "measure", "value", "unit", "reason", "label", "definition", "source", "labels_from")
SLICE_COLUMNS = tuple(field.name for field in fields(SliceMeasures))

LABELS_BY_COVIDCT = "found by CovidCT"
"""What the column ``labels_from`` says where nothing was given or corrected by hand."""

SIGNIFICANT_DIGITS = 9
"""Digits of a number in a table; more than float32 holds, and no tails such as 0.30000000000000004."""


def write_measures(path: Path, analysis: Analysis) -> None:
    """Write one line per region and measure, each with its definition and source.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    definitions = definitions_of(analysis)
    origin = analysis.provenance.words or LABELS_BY_COVIDCT
    rows = ([*_measure_row(entry, definitions.get(entry.name)), origin] for entry in analysis.measures)
    _write(path, MEASURE_COLUMNS, rows)


def write_slices(path: Path, analysis: Analysis) -> None:
    """Write one line per axial slice, from the feet to the head; the columns are those of `SliceMeasures`.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    absent = absent_columns(analysis.scan.facts.spacing_known)
    rows = (
        [cell_text(None if name in absent else getattr(entry, name)) for name in SLICE_COLUMNS]
        for entry in analysis.slices
    )
    _write(path, SLICE_COLUMNS, rows)


def _measure_row(entry: Measurement, definition: MeasureDefinition | None) -> list[str]:
    """The cells of one measure; one without a definition has empty cells there."""
    reason = entry.reason
    if reason is None and entry.value is not None and not math.isfinite(entry.value):
        reason = NOT_FINITE
    described = (definition.label, definition.definition, definition.source) if definition else ("", "", "")
    return [entry.region, entry.name, cell_text(entry.value), entry.unit, reason or "", *described]


def cell_text(value: object) -> str:
    """Write one value as text: empty for None and for what is not finite, true or false for decisions."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{SIGNIFICANT_DIGITS}g}"
    return str(value)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
