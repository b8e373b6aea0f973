"""Tables and lines of a follow-up, filled from the library's result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer

from CovidCTScene.chart import drawColumn
from CovidCTScene.tables import addReals, addText, addWholes, protectTable

if TYPE_CHECKING:
    from CovidCTLib.followup import FollowUp

REGION_FIELDS = {"both_lungs": "bothLungs", "right_lung": "rightLung", "left_lung": "leftLung"}
"""Field of `FollowUpNodes` that holds the chart of a region of the library."""

DAYS_COLUMN = "days"

Colour = tuple[float, float, float]

LINES: tuple[tuple[str, str, Colour, str], ...] = (
    ("corona_score_cm3", "Corona Score", (0.0, 0.447, 0.698), "MarkerStyleCircle"),
    ("opacity_volume_ml", "opacity", (0.0, 0.0, 0.0), "MarkerStyleSquare"),
    ("ggo_volume_ml", "ground glass", (0.902, 0.624, 0.0), "MarkerStyleDiamond"),
    ("consolidation_volume_ml", "consolidation", (0.835, 0.369, 0.0), "MarkerStyleCross"),
)
"""Measure, name in the legend, colour and marker of each line; the measures share one axis, for 1 cm3 is 1 ml. The
colours are Okabe and Ito's that stand out on white, and the markers tell the lines apart without colours."""


@dataclass(frozen=True)
class FollowUpNodes:
    """The nodes of one follow-up in the scene.

    Parameters
    ----------
    table
        vtkMRMLTableNode for reading: one row per study, region and measure, with the change from the first study.
    values
        vtkMRMLTableNode behind the charts: one row per study.
    bothLungs, rightLung, leftLung
        vtkMRMLPlotChartNode of a region: Corona Score and volumes over the days since the first study.
    """

    table: Any
    values: Any
    bothLungs: Any
    rightLung: Any
    leftLung: Any


def fillFollowUpTables(nodes: FollowUpNodes, followUp: FollowUp) -> None:
    """Fill both tables, which are empty, from a follow-up."""
    from CovidCTLib.measures.definitions import DEFINITIONS
    from CovidCTLib.measures.regions import REGIONS

    rows = followUp.rows
    first = "Less that of the first study"
    addWholes(nodes.table, "study", "Number of the study, in the order of time from 1.", [row.study for row in rows])
    addText(nodes.table, "date", "Day of the scan.", [row.date.isoformat() for row in rows])
    addWholes(nodes.table, DAYS_COLUMN, "Days since the first study.", [row.days for row in rows], "d")
    addText(nodes.table, "region", "Where it was measured.", [str(REGIONS.get(row.region, row.region)) for row in rows])
    addText(nodes.table, "measure", "What was measured.", [row.label for row in rows])
    addReals(nodes.table, "value", "The measured number in the unit beside it.", [row.value for row in rows])
    addText(nodes.table, "unit", "Unit of value and change.", [row.unit for row in rows])
    addReals(nodes.table, "change", f"{first}, in the same unit.", [row.change for row in rows])
    changes = [row.change_percent for row in rows]
    addReals(nodes.table, "change_percent", f"{first}, in percent of it.", changes, "%")
    addText(nodes.table, "reason", "Why there is no value.", [row.reason or "" for row in rows])
    definitions = [DEFINITIONS[row.measure].definition for row in rows]
    addText(nodes.table, "definition", "How the value is computed, with the default limits.", definitions)

    points = followUp.points
    addWholes(nodes.values, "study", "Number of the study, in the order of time from 1.", [p.number for p in points])
    addText(nodes.values, "date", "Day of the scan.", [point.date.isoformat() for point in points])
    addReals(nodes.values, DAYS_COLUMN, "Days since the first study.", [point.days for point in points], "d")
    for series in followUp.series:
        for region, line in series.lines.items():
            column = columnOf(region, series.measure)
            addReals(nodes.values, column, DEFINITIONS[series.measure].definition, line, series.unit)
    for table in (nodes.table, nodes.values):
        protectTable(table)


def columnOf(region: str, measure: str) -> str:
    """Name the column of the table behind the charts that holds a measure of a region."""
    return f"{region}.{measure}"


def fillFollowUpSeries(create: Callable[[str], Any], nodes: FollowUpNodes, region: str) -> list[Any]:
    """Make the lines of one region's chart.

    Parameters
    ----------
    create
        Adds a vtkMRMLPlotSeriesNode of a given name to the scene.
    nodes
        The follow-up, with its tables filled.
    region
        A key of `REGION_FIELDS`.

    Returns
    -------
    list
        The lines, in the order of `LINES`.
    """
    made = []
    for measure, name, colour, marker in LINES:
        line = create(f"{name}, {region.replace('_', ' ')}")
        drawColumn(line, nodes.values, DAYS_COLUMN, columnOf(region, measure), colour)
        line.SetMarkerStyle(getattr(slicer.vtkMRMLPlotSeriesNode, marker))
        made.append(line)
    return made
