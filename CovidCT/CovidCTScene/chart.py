"""The chart of the slices: probability and opacity area over the position; a point has the number of its table row."""

from __future__ import annotations

from typing import Any

import slicer

from CovidCTLib.analysis import Analysis
from CovidCTScene.nodes import ResultNodes
from CovidCTScene.tables import AREA_COLUMN, INDEX_COLUMN, POSITION_COLUMN, PROBABILITY_COLUMN

PROBABILITY_COLOUR = (0.0, 0.447, 0.698)
AREA_COLOUR = (0.835, 0.369, 0.0)
"""Red, green and blue (0 to 1): Okabe and Ito's blue and vermilion, which colour-blind readers tell apart."""

LINE_WIDTH = 2.0
LEGEND_FONT_SIZE = 12
"""As large as the labels of Slicer's axes, so that the legend leaves the room to the lines."""

MARKER_SIZE = 7.0
"""In pixels; large enough to hit a point with the mouse."""


def fillChart(nodes: ResultNodes, volumeNode: Any, analysis: Analysis) -> None:
    """Connect the two series to the numbers of the slices, and the chart to the series.

    Parameters
    ----------
    nodes
        The new nodes; the table of the chart's values is filled already.
    volumeNode
        The CT, whose name the title holds.
    analysis
        Says whether positions in mm are known; where not, the slice's number takes their place.

    Notes
    -----
    Slicer's charts have one vertical axis. In percent and cm², probability and area have about the same range.
    """
    spacingKnown = analysis.scan.facts.spacing_known
    xColumn = POSITION_COLUMN if spacingKnown else INDEX_COLUMN
    drawColumn(nodes.probabilitySeries, nodes.chartValues, xColumn, PROBABILITY_COLUMN, PROBABILITY_COLOUR)
    drawColumn(nodes.areaSeries, nodes.chartValues, xColumn, AREA_COLUMN, AREA_COLOUR)
    fillChartNode(
        nodes.chart,
        [nodes.probabilitySeries, nodes.areaSeries] if spacingKnown else [nodes.probabilitySeries],
        f"{volumeNode.GetName()}: slices",
        "position from feet to head (mm)" if spacingKnown else "slice, from feet to head",
        "probability (%), opacity area (cm²)" if spacingKnown else "probability (%)",
    )


def drawColumn(seriesNode: Any, tableNode: Any, xColumn: str, yColumn: str, colour: tuple[float, float, float]) -> None:
    """Make a series node draw one column of a table over another, as a line with points; colours are 0 to 1."""
    seriesNode.SetAndObserveTableNodeID(tableNode.GetID())
    seriesNode.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    seriesNode.SetXColumnName(xColumn)
    seriesNode.SetYColumnName(yColumn)
    seriesNode.SetColor(*colour)
    seriesNode.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
    seriesNode.SetLineWidth(LINE_WIDTH)
    seriesNode.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    seriesNode.SetMarkerSize(MARKER_SIZE)


def fillChartNode(chartNode: Any, seriesNodes: list[Any], title: str, xTitle: str, yTitle: str) -> None:
    """Make a chart node show series with a title, titles of the axes and a legend."""
    for seriesNode in seriesNodes:
        chartNode.AddAndObservePlotSeriesNodeID(seriesNode.GetID())
    chartNode.SetTitle(title)
    chartNode.SetXAxisTitle(xTitle)
    chartNode.SetYAxisTitle(yTitle)
    chartNode.LegendVisibilityOn()
    chartNode.SetLegendFontSize(LEGEND_FONT_SIZE)
    chartNode.GridVisibilityOn()
