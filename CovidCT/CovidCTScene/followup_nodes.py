"""Tables and lines of a follow-up, filled from the library's result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer

from CovidCTLib.units import pretty_unit
from CovidCTScene.chart import drawColumn
from CovidCTScene.measure_words import measureWords, regionWords, titleWithUnit
from CovidCTScene.tables import Heading, addNumbers, addReals, addText, addWholes, protectTable
from CovidCTScene.texts import tr as _

if TYPE_CHECKING:
    from CovidCTLib.followup import FollowUp

REGION_FIELDS = {"both_lungs": "bothLungs", "right_lung": "rightLung", "left_lung": "leftLung"}
"""Field of `FollowUpNodes` that holds the chart of a region of the library."""

LINE_SUFFIXES = {"both_lungs": "", "right_lung": " R", "left_lung": " L"}
"""What stands after the names of a region's lines: they are those of the legend, so short, but no two are the same."""

DAYS_COLUMN = "days"

Colour = tuple[float, float, float]

LINES: tuple[tuple[str, str, Colour, str], ...] = (
    ("corona_score_cm3", "Corona Score", (0.0, 0.447, 0.698), "MarkerStyleCircle"),
    ("opacity_volume_ml", "opacity", (0.0, 0.0, 0.0), "MarkerStyleSquare"),
    ("ggo_volume_ml", "ground glass", (0.902, 0.624, 0.0), "MarkerStyleDiamond"),
    ("consolidation_volume_ml", "consolidation", (0.835, 0.369, 0.0), "MarkerStyleCross"),
)
"""Measure, name in the legend, colour and marker of each line; the measures share one axis, for 1 cm³ is 1 ml. The
colours are Okabe and Ito's that stand out on white, and the markers tell the lines apart without colours."""


@dataclass(frozen=True)
class FollowUpNodes:
    """The nodes of one follow-up in the scene.

    Parameters
    ----------
    table
        vtkMRMLTableNode for reading: one row per study, region and measure, with the change from the first study.
    values
        vtkMRMLTableNode behind the charts: one row per study; left out of Slicer's tree.
    bothLungs, rightLung, leftLung
        vtkMRMLPlotChartNode of a region: Corona Score and volumes over the days since the first study.
    summary
        vtkMRMLTextNode with the sentences that tell the change, one a line; None in a scene of an early version.
    """

    table: Any
    values: Any
    bothLungs: Any
    rightLung: Any
    leftLung: Any
    summary: Any = None


def fillFollowUpTables(nodes: FollowUpNodes, followUp: FollowUp) -> None:
    """Fill both tables, which are empty, from a follow-up."""
    _fillTable(nodes.table, followUp)
    _fillValues(nodes.values, followUp)
    for table in (nodes.table, nodes.values):
        protectTable(table)


def _fillTable(tableNode: Any, followUp: FollowUp) -> None:
    from CovidCTLib.measures.definitions import DEFINITIONS

    rows = followUp.rows
    change, percent = _("Less that of the first study, in the same unit."), _("The change in percent of the first one.")
    definition = _("How the value is computed, with the default limits.")
    addText(tableNode, Heading("date", _("date"), _("Day of the scan.")), [row.date.isoformat() for row in rows])
    region = Heading("region", _("region"), _("Where it was measured."))
    addText(tableNode, region, [regionWords(row.region) for row in rows])
    measure = Heading("measure", _("measure"), _("What was measured; the column definition says how."))
    addText(tableNode, measure, [measureWords(row.measure, row.label) for row in rows])
    value = Heading("value", _("value"), _("The measured number in the unit beside it; empty where it is undefined."))
    addReals(tableNode, value, [row.value for row in rows])
    addText(tableNode, Heading("unit", _("unit"), _("Unit of value and change.")), [pretty_unit(r.unit) for r in rows])
    addReals(tableNode, Heading("change", _("change"), change), [row.change for row in rows])
    addReals(tableNode, Heading("change_percent", _("change (%)"), percent), [row.change_percent for row in rows])
    addWholes(tableNode, _daysHeading(), [row.days for row in rows])
    addWholes(tableNode, _studyHeading(), [row.study for row in rows])
    addText(tableNode, Heading("reason", _("reason"), _("Why there is no value.")), [row.reason or "" for row in rows])
    texts = [DEFINITIONS[row.measure].definition for row in rows]
    addText(tableNode, Heading("definition", _("definition"), definition), texts)
    never = _("It never changes.")
    addText(tableNode, Heading("region_id", _("region, for scripts"), never), [row.region for row in rows])
    addText(tableNode, Heading("measure_id", _("measure, for scripts"), never), [row.measure for row in rows])


def _fillValues(tableNode: Any, followUp: FollowUp) -> None:
    """Fill the table behind the charts, whose undefined values are gaps."""
    from CovidCTLib.measures.definitions import DEFINITIONS

    points = followUp.points
    addWholes(tableNode, _studyHeading(), [point.number for point in points])
    addText(tableNode, Heading("date", _("date"), _("Day of the scan.")), [point.date.isoformat() for point in points])
    addNumbers(tableNode, _daysHeading(), [point.days for point in points])
    for series in followUp.series:
        for region, line in series.lines.items():
            title = f"{regionWords(region)}, {titleWithUnit(measureWords(series.measure, series.label), series.unit)}"
            heading = Heading(columnOf(region, series.measure), title, DEFINITIONS[series.measure].definition)
            addNumbers(tableNode, heading, line)


def _daysHeading() -> Heading:
    return Heading(DAYS_COLUMN, _("time (days)"), _("Days since the first study."))


def _studyHeading() -> Heading:
    return Heading("study", _("study"), _("Number of the study, in the order of time from 1."))


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
        line = create(f"{name}{LINE_SUFFIXES[region]}")
        drawColumn(line, nodes.values, DAYS_COLUMN, columnOf(region, measure), colour)
        line.SetMarkerStyle(getattr(slicer.vtkMRMLPlotSeriesNode, marker))
        made.append(line)
    return made
