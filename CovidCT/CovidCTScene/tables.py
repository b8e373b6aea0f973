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
    _addText(tableNode, "region", "", [str(REGIONS.get(entry.region, entry.region)) for entry in entries])
    labels = [entry.name if known is None else known.label for entry, known in zip(entries, described, strict=True)]
    _addText(tableNode, "measure", "", labels)
    _addReals(tableNode, "value", "", [entry.value for entry in entries])
    _addText(tableNode, "unit", "", [entry.unit for entry in entries])
    _addText(tableNode, "reason", "Why there is no value", [entry.reason or "" for entry in entries])
    _addText(tableNode, "definition", "", ["" if known is None else known.definition for known in described])
    _addText(tableNode, "source", "", ["" if known is None else known.source for known in described])
    _addText(tableNode, "region_id", "For scripts", [entry.region for entry in entries])
    _addText(tableNode, "measure_id", "For scripts", [entry.name for entry in entries])


def fillSliceTable(tableNode: Any, analysis: Analysis) -> None:
    """Fill an empty table node with one row per axial slice, from the feet to the head.

    The columns are the fields of `CovidCTLib.analysis.SliceMeasures`; each has its definition as description.
    """
    from CovidCTLib.measures.definitions import slice_definitions_for

    definitions = slice_definitions_for(analysis.options)
    for field in fields(SliceMeasures):
        known = definitions.get(field.name)
        description = "" if known is None else known.definition
        values = [getattr(entry, field.name) for entry in analysis.slices]
        if field.name in SLICE_TEXT_COLUMNS:
            _addText(tableNode, field.name, description, values)
        elif field.name in SLICE_WHOLE_COLUMNS:
            _addWholes(tableNode, field.name, description, values)
        else:
            _addReals(tableNode, field.name, description, values)
            if known is not None and known.unit:
                tableNode.SetColumnUnitLabel(field.name, known.unit)


def _addText(tableNode: Any, name: str, description: str, values: Sequence[str]) -> None:
    column = vtk.vtkStringArray()
    _addColumn(tableNode, column, name, description, values)


def _addReals(tableNode: Any, name: str, description: str, values: Sequence[float | None]) -> None:
    numbers = [UNDEFINED if value is None else float(value) for value in values]
    _addColumn(tableNode, vtk.vtkDoubleArray(), name, description, numbers)


def _addWholes(tableNode: Any, name: str, description: str, values: Sequence[int]) -> None:
    _addColumn(tableNode, vtk.vtkIntArray(), name, description, [int(value) for value in values])


def _addColumn(tableNode: Any, column: Any, name: str, description: str, values: Sequence[Any]) -> None:
    column.SetName(name)
    column.SetNumberOfValues(len(values))
    for row, value in enumerate(values):
        column.SetValue(row, value)
    tableNode.AddColumn(column)
    if description:
        tableNode.SetColumnDescription(name, description)
