"""Charts in the application's layout, whose points can be clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from CovidCTPanel.watched_views import WatchedViews

LEFT_BUTTON = 1
"""The mouse's left button, as VTK's vtkContextMouseEvent numbers it."""

SELECTED = "dataSelected(vtkStringArray*, vtkCollection*)"
"""Signal of qMRMLPlotView: other points are selected."""


class Charts:
    """Shows charts in the layout, and tells which point of a chart the user chose.

    It listens from the start, for a chart can be shown in other ways too: by a scene that is loaded with its layout.

    Parameters
    ----------
    layoutManager
        Gives the application's qMRMLLayoutManager; None where there is no main window.
    plotsLogic
        Gives the logic of the module Plots.
    onPoint
        Gets the identifier of a vtkMRMLPlotSeriesNode and the number of its point (the row of its table, from 0) that
        the user has just chosen.
    """

    def __init__(
        self,
        layoutManager: Callable[[], Any | None],
        plotsLogic: Callable[[], Any],
        onPoint: Callable[[str, int], None],
    ) -> None:
        self._layoutManager = layoutManager
        self._plotsLogic = plotsLogic
        self._onPoint = onPoint
        self._views = WatchedViews(
            layoutManager,
            lambda manager: [manager.plotWidget(index) for index in range(manager.plotViewCount)],
            lambda widget: widget.plotView(),
            SELECTED,
            self._listenerOf,
        )
        self._views.follow()

    def show(self, chartNode: Any) -> None:
        """Show a vtkMRMLPlotChartNode; without a main window there is nobody to show it to, and nothing happens."""
        layoutManager = self._layoutManager()
        if layoutManager is None:
            return
        plots = self._plotsLogic()
        layoutManager.setLayout(plots.GetLayoutWithPlot(layoutManager.layout))
        plots.ShowChartInLayout(chartNode)
        self._views.watch()

    def leave(self) -> None:
        """Listen to no chart any more."""
        self._views.leave()

    def _listenerOf(self, plotWidget: Any) -> Callable[[Any, Any], None]:
        letPointsBeClicked(plotWidget)
        putLegendBeside(plotWidget)
        return PointListener(self._onPoint).tell


class PointListener:
    """Finds in what is selected in one plot view the point that was clicked.

    Parameters
    ----------
    onPoint
        As for `Charts`.
    """

    def __init__(self, onPoint: Callable[[str, int], None]) -> None:
        self._onPoint = onPoint
        self._points: dict[str, list[int]] = {}
        self._stamps: dict[str, int] = {}

    def tell(self, seriesIds: Any, selections: Any) -> None:
        """Take the selected points of all lines (vtkStringArray, vtkCollection), and tell of the one just clicked."""
        before, stamped = self._points, self._stamps
        self._points, self._stamps = {}, {}
        for index in range(seriesIds.GetNumberOfValues()):
            series, points = seriesIds.GetValue(index), selections.GetItemAsObject(index)
            self._points[series] = [int(points.GetValue(point)) for point in range(points.GetNumberOfValues())]
            self._stamps[series] = points.GetMTime()
        # A line keeps its point while one of another line is clicked; only what is new was meant.
        clicked = [series for series, chosen in self._points.items() if chosen != before.get(series)]
        if not clicked:
            # A point that is selected already was clicked again: its line got a new array of the same numbers.
            again = [series for series in self._points if self._stamps[series] != stamped.get(series)]
            clicked = sorted(again, key=lambda series: self._stamps[series])[-1:]
        for series in clicked:
            if self._points[series]:
                self._onPoint(series, self._points[series][0])


def putLegendBeside(plotWidget: Any) -> None:
    """Let the legend of a chart stand right of the plot, where it covers no line; VTK puts it into a corner of it."""
    chart = plotWidget.plotView().chart()
    legend = chart.GetLegend() if hasattr(chart, "GetLegend") else None
    if legend is not None:
        legend.SetInline(False)
        legend.SetHorizontalAlignment(legend.RIGHT)
        legend.SetVerticalAlignment(legend.TOP)


def letPointsBeClicked(plotWidget: Any) -> None:
    """Let a click choose a point of a chart; Slicer's own charts only pan and zoom until told otherwise."""
    chart = plotWidget.plotView().chart()
    if hasattr(chart, "SetClickActionToButton"):
        chart.SetClickActionToButton(chart.SELECT, LEFT_BUTTON)
    else:
        # A Slicer that gives the chart without its own methods: here a box drawn around a point chooses it.
        viewNode = plotWidget.mrmlPlotViewNode()
        viewNode.SetInteractionMode(viewNode.InteractionModeSelectPoints)
