"""The table nodes of an analysis: measures of the regions, one row per axial slice, and the numbers of the chart.

Slicer shows a number that is none as the text "nan". So a column in which something is undefined is one of texts, empty
where it is, for whoever reads; the numbers behind the charts, which nobody sees, keep not-a-number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import vtk

from CovidCTLib.analysis import Analysis, SliceMeasures
from CovidCTLib.units import pretty_unit
from CovidCTScene.measure_words import measureWords, regionWords, sliceWords, titleWithUnit
from CovidCTScene.texts import tr as _

INDEX_COLUMN = "index"
POSITION_COLUMN = "position_mm"
PROBABILITY_COLUMN = "probability_percent"
AREA_COLUMN = "opacity_area_cm2"
"""Columns of the chart: probability and area have about the same range, so that one vertical axis serves both."""

SLICE_COLUMNS = (
    INDEX_COLUMN,
    POSITION_COLUMN,
    "positive",
    PROBABILITY_COLUMN,
    "opacity_percent",
    AREA_COLUMN,
    "ggo_area_mm2",
    "consolidation_area_mm2",
    "localization_area_mm2",
    "lung_area_mm2",
)
"""Columns of the table of slices that a reader looks for first, in this order; the other fields follow."""

SLICE_TEXT_COLUMNS = ("openness",)
SLICE_WHOLE_COLUMNS = (INDEX_COLUMN, "representative", "positive")
"""Columns of `SliceMeasures` that are text, and those that are whole numbers (yes 1, no 0); the rest are reals."""

MM2_PER_CM2 = 100.0

SHOWN_DIGITS = 6
"""Digits of a number that is written as text: as many as Slicer shows of a number (VTK's vtkVariant)."""

MOST_DIGITS_BEFORE_POINT = 1e6
"""Numbers from here on would be written with an exponent, so they are rounded to whole ones."""

UNDEFINED = float("nan")
"""What an undefined value is among the numbers of a chart, which leaves a gap there."""


@dataclass(frozen=True)
class Heading:
    """How a column is called.

    Parameters
    ----------
    name
        For scripts; it never changes and is not translated.
    title
        What a reader sees, with at most one unit.
    description
        What the column holds, for its tooltip.
    """

    name: str
    title: str
    description: str


def fillMeasureTable(tableNode: Any, analysis: Analysis) -> None:
    """Fill an empty table node with one row per region and measure, each with its definition and source.

    Undefined values are empty and have their reason in the same row.
    """
    # The package of the measures needs more than Slicer ships, so it loads only after an analysis.
    from CovidCTLib.measures.described import definitions_of

    definitions = definitions_of(analysis)
    entries = analysis.measures
    described = [definitions.get(entry.name) for entry in entries]
    labels = [
        entry.name if definition is None else definition.label
        for entry, definition in zip(entries, described, strict=True)
    ]
    columns = {
        "region": [regionWords(entry.region) for entry in entries],
        "measure": [measureWords(entry.name, label) for entry, label in zip(entries, labels, strict=True)],
        "unit": [pretty_unit(entry.unit) for entry in entries],
        "reason": [entry.reason or "" for entry in entries],
        "definition": ["" if definition is None else definition.definition for definition in described],
        "source": ["" if definition is None else definition.source for definition in described],
        "region_id": [entry.region for entry in entries],
        "measure_id": [entry.name for entry in entries],
    }
    for heading in measureHeadings():
        if heading.name == "value":
            addReals(tableNode, heading, [entry.value for entry in entries])
        else:
            addText(tableNode, heading, columns[heading.name])
    protectTable(tableNode)


def measureHeadings() -> tuple[Heading, ...]:
    """Give the columns of the table of measures, in their order."""
    return (
        Heading("region", _("region"), _("Where the measure was taken.")),
        Heading("measure", _("measure"), _("What was measured; the column definition says how.")),
        Heading("value", _("value"), _("The measured number in the unit beside it; empty where it is undefined.")),
        Heading("unit", _("unit"), _("Unit of the value.")),
        Heading("reason", _("reason"), _("Why there is no value.")),
        Heading("definition", _("definition"), _("How the value is computed.")),
        Heading("source", _("source"), _("Where the definition or its limits come from.")),
        Heading("region_id", _("region, for scripts"), _("Name of the region for scripts; it never changes.")),
        Heading("measure_id", _("measure, for scripts"), _("Name of the measure for scripts; it never changes.")),
    )


def fillSliceTable(tableNode: Any, analysis: Analysis) -> None:
    """Fill an empty table node with one row per axial slice, from the feet to the head.

    The columns are the fields of `CovidCTLib.analysis.SliceMeasures`, each with its definition as description, and the
    two of the chart; those of `SLICE_COLUMNS` come first. Lengths and areas are empty where the spacing of the CT is
    not known.
    """
    from CovidCTLib.measures.definitions import absent_columns
    from CovidCTLib.measures.described import slice_definitions_of

    definitions = slice_definitions_of(analysis)
    absent = absent_columns(analysis.scan.facts.spacing_known)
    charted = _charted(analysis)
    names = [field.name for field in fields(SliceMeasures)]
    for name in dict.fromkeys((*SLICE_COLUMNS, *names)):
        heading = _sliceHeading(name, definitions.get(name))
        if name not in names:
            addReals(tableNode, heading, charted[name])
            continue
        values = [None if name in absent else getattr(entry, name) for entry in analysis.slices]
        if name in SLICE_TEXT_COLUMNS:
            addText(tableNode, heading, [str(value) for value in values])
        elif name in SLICE_WHOLE_COLUMNS:
            addWholes(tableNode, heading, [int(value or 0) for value in values])
        else:
            addReals(tableNode, heading, values)
    protectTable(tableNode)


def fillChartValues(tableNode: Any, analysis: Analysis) -> None:
    """Fill an empty table node with the numbers of the chart: one row per axial slice, as in the table of slices."""
    charted = _charted(analysis)
    addWholes(tableNode, _sliceHeading(INDEX_COLUMN, None), [entry.index for entry in analysis.slices])
    for name in (POSITION_COLUMN, PROBABILITY_COLUMN, AREA_COLUMN):
        addNumbers(tableNode, _sliceHeading(name, None), charted[name])
    protectTable(tableNode)


def _charted(analysis: Analysis) -> dict[str, list[float | None]]:
    """Give what the chart draws of each slice, by column; None where it is undefined."""
    spacingKnown = analysis.scan.facts.spacing_known
    slices = analysis.slices
    areas = [(entry.ggo_area_mm2 + entry.consolidation_area_mm2) / MM2_PER_CM2 for entry in slices]
    return {
        POSITION_COLUMN: [entry.position_mm if spacingKnown else None for entry in slices],
        PROBABILITY_COLUMN: [None if entry.probability is None else 100 * entry.probability for entry in slices],
        AREA_COLUMN: [area if spacingKnown else None for area in areas],
    }


def _sliceHeading(name: str, definition: Any | None) -> Heading:
    units = {
        PROBABILITY_COLUMN: ("%", _("100 times the probability that the slice is like COVID-19.")),
        AREA_COLUMN: ("cm2", _("Area of ground-glass opacity and consolidation together.")),
        POSITION_COLUMN: ("mm", _("Superior coordinate of the slice's centre.")),
    }
    unit, description = units.get(name, ("", "")) if definition is None else (definition.unit, definition.definition)
    label = name if definition is None else definition.label
    return Heading(name, titleWithUnit(sliceWords(name, label), unit), description)


def protectTable(tableNode: Any) -> None:
    """Show the titles of the columns as a header, not as a first row, and let nobody type into measured numbers."""
    # Slicer 5.12 has another name for it, and writes a warning into its log for the old one.
    if hasattr(tableNode, "SetUseColumnTitleAsColumnHeader"):
        tableNode.SetUseColumnTitleAsColumnHeader(True)
    else:
        tableNode.SetUseColumnNameAsColumnHeader(True)
    tableNode.SetLocked(True)


def addText(tableNode: Any, heading: Heading, values: Sequence[str]) -> None:
    """Add a column of texts to a table node."""
    _addColumn(tableNode, vtk.vtkStringArray(), heading, values)


def addReals(tableNode: Any, heading: Heading, values: Sequence[float | None]) -> None:
    """Add a column of real numbers; where any is None it becomes a column of texts, of which that one is empty."""
    if any(value is None for value in values):
        addText(tableNode, heading, ["" if value is None else numberText(value) for value in values])
    else:
        addNumbers(tableNode, heading, values)


def addNumbers(tableNode: Any, heading: Heading, values: Sequence[float | None]) -> None:
    """Add a column of real numbers; None becomes `UNDEFINED`."""
    numbers = [UNDEFINED if value is None else float(value) for value in values]
    _addColumn(tableNode, vtk.vtkDoubleArray(), heading, numbers)


def addWholes(tableNode: Any, heading: Heading, values: Sequence[int]) -> None:
    """Add a column of whole numbers."""
    _addColumn(tableNode, vtk.vtkIntArray(), heading, [int(value) for value in values])


def numberText(value: float) -> str:
    """Write a number as Slicer shows it in a table, but never with an exponent because it is large."""
    if abs(value) >= MOST_DIGITS_BEFORE_POINT:
        return f"{value:.0f}"
    return f"{value:.{SHOWN_DIGITS}g}"


def _addColumn(tableNode: Any, column: Any, heading: Heading, values: Sequence[Any]) -> None:
    column.SetName(heading.name)
    column.SetNumberOfValues(len(values))
    for row, value in enumerate(values):
        column.SetValue(row, value)
    tableNode.AddColumn(column)
    # Slicer up to 5.10 shows the name in the header and the title at the top of the tooltip. That title also makes Qt
    # break the lines of the tooltip, there and in later versions, for it makes it rich text.
    if hasattr(tableNode, "SetColumnTitle"):
        tableNode.SetColumnTitle(heading.name, heading.title)
    else:
        tableNode.SetColumnLongName(heading.name, heading.title)
    if heading.description:
        tableNode.SetColumnDescription(heading.name, heading.description)
