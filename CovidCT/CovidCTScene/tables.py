"""The two table nodes: measures of the regions, and one row per axial slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import vtk

from CovidCTLib.analysis import Analysis, SliceMeasures

SLICE_TEXT_COLUMNS = ("openness",)
SLICE_WHOLE_COLUMNS = ("index", "representative", "positive")
"""Columns of `SliceMeasures` that are text, and those that are whole numbers (yes 1, no 0); the rest are reals."""

PROBABILITY_COLUMN = "probability_percent"
AREA_COLUMN = "opacity_area_cm2"
"""Columns for the chart: both have about the same range, so that one vertical axis serves them."""

MEASURE_COLUMNS = {
    "region": "Where the measure was taken.",
    "measure": "What was measured; the column definition says how.",
    "value": "The measured number in the unit beside it; no number where it is undefined.",
    "unit": "Unit of the value.",
    "reason": "Why there is no value.",
    "definition": "How the value is computed.",
    "source": "Where the definition or its limits come from.",
    "region_id": "Name of the region for scripts; it never changes.",
    "measure_id": "Name of the measure for scripts; it never changes.",
}
"""Columns of the table of measures, in their order, with what each holds."""

MM2_PER_CM2 = 100.0

NO_UNIT = ""
"""Unit of columns that hold no number, and of numbers without one."""

UNDEFINED = float("nan")
"""What an undefined value is in a column of reals: no number, so that nobody takes it for a measured 0."""


def fillMeasureTable(tableNode: Any, analysis: Analysis) -> None:
    """Fill an empty table node with one row per region and measure, each with its definition and source.

    Undefined values are not-a-number and have their reason in the same row.
    """
    # The package of the measures needs more than Slicer ships, so it loads only after an analysis.
    from CovidCTLib.measures.definitions import definitions_for
    from CovidCTLib.measures.regions import REGIONS

    definitions = definitions_for(analysis.options)
    entries = analysis.measures
    described = [definitions.get(entry.name) for entry in entries]
    labels = [entry.name if known is None else known.label for entry, known in zip(entries, described, strict=True)]
    texts = {
        "region": [str(REGIONS.get(entry.region, entry.region)) for entry in entries],
        "measure": labels,
        "unit": [entry.unit for entry in entries],
        "reason": [entry.reason or "" for entry in entries],
        "definition": ["" if known is None else known.definition for known in described],
        "source": ["" if known is None else known.source for known in described],
        "region_id": [entry.region for entry in entries],
        "measure_id": [entry.name for entry in entries],
    }
    for name, description in MEASURE_COLUMNS.items():
        if name == "value":
            addReals(tableNode, name, description, [entry.value for entry in entries])
        else:
            addText(tableNode, name, description, texts[name])
    protectTable(tableNode)


def fillSliceTable(tableNode: Any, analysis: Analysis) -> None:
    """Fill an empty table node with one row per axial slice, from the feet to the head.

    The columns are the fields of `CovidCTLib.analysis.SliceMeasures`, each with its definition as description, and two
    for the chart. Lengths and areas are no numbers where the spacing of the CT is not known.
    """
    from CovidCTLib.measures.definitions import absent_columns, slice_definitions_for

    definitions = slice_definitions_for(analysis.options)
    known_spacing = analysis.scan.facts.spacing_known
    absent = absent_columns(known_spacing)
    for field in fields(SliceMeasures):
        known = definitions.get(field.name)
        description = "" if known is None else known.definition
        values = [None if field.name in absent else getattr(entry, field.name) for entry in analysis.slices]
        if field.name in SLICE_TEXT_COLUMNS:
            addText(tableNode, field.name, description, [str(value) for value in values])
        elif field.name in SLICE_WHOLE_COLUMNS:
            addWholes(tableNode, field.name, description, [int(value or 0) for value in values])
        else:
            addReals(tableNode, field.name, description, values, "" if known is None else known.unit)
    probabilities = [None if entry.probability is None else 100 * entry.probability for entry in analysis.slices]
    addReals(tableNode, PROBABILITY_COLUMN, "100 times the probability that the slice is abnormal.", probabilities, "%")
    areas = [(entry.ggo_area_mm2 + entry.consolidation_area_mm2) / MM2_PER_CM2 for entry in analysis.slices]
    description = "Area of ground-glass opacity and consolidation together."
    addReals(tableNode, AREA_COLUMN, description, areas if known_spacing else [None] * len(areas), "cm2")
    protectTable(tableNode)


def protectTable(tableNode: Any) -> None:
    """Show the names of the columns as a header, not as a first row, and let nobody type into measured numbers."""
    # Slicer 5.12 has another name for it, and writes a warning into its log for the old one.
    if hasattr(tableNode, "SetUseColumnTitleAsColumnHeader"):
        tableNode.SetUseColumnTitleAsColumnHeader(True)
    else:
        tableNode.SetUseColumnNameAsColumnHeader(True)
    tableNode.SetLocked(True)


def addText(tableNode: Any, name: str, description: str, values: Sequence[str]) -> None:
    """Add a column of texts to a table node, with what it holds as its description."""
    _addColumn(tableNode, vtk.vtkStringArray(), name, description, values)


def addReals(tableNode: Any, name: str, description: str, values: Sequence[float | None], unit: str = NO_UNIT) -> None:
    """Add a column of real numbers with their unit; None becomes `UNDEFINED`."""
    numbers = [UNDEFINED if value is None else float(value) for value in values]
    _addColumn(tableNode, vtk.vtkDoubleArray(), name, description, numbers)
    if unit:
        tableNode.SetColumnUnitLabel(name, unit)


def addWholes(tableNode: Any, name: str, description: str, values: Sequence[int], unit: str = NO_UNIT) -> None:
    """Add a column of whole numbers with their unit."""
    _addColumn(tableNode, vtk.vtkIntArray(), name, description, [int(value) for value in values])
    if unit:
        tableNode.SetColumnUnitLabel(name, unit)


def _addColumn(tableNode: Any, column: Any, name: str, description: str, values: Sequence[Any]) -> None:
    column.SetName(name)
    column.SetNumberOfValues(len(values))
    for row, value in enumerate(values):
        column.SetValue(row, value)
    tableNode.AddColumn(column)
    if description:
        tableNode.SetColumnDescription(name, description)
