"""Charts in the application's layout, whose points can be clicked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

LEFT_BUTTON = 1
"""The mouse's left button, as VTK's vtkContextMouseEvent numbers it."""

SELECTED = "dataSelected(vtkStringArray*, vtkCollection*)"
"""Signal of qMRMLPlotView: other points are selected."""


class Charts:
    """Shows charts in the layout.

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
        self._view: Any | None = None
        # One object for connecting and disconnecting; each look at a method makes another.
        self._listener = self._onSelected
        self._selected: dict[str, list[int]] = {}

    def show(self, chartNode: Any) -> None:
        """Show a vtkMRMLPlotChartNode; without a main window there is nobody to show it to, and nothing happens."""
        layoutManager = self._layoutManager()
        if layoutManager is None:
            return
        plots = self._plotsLogic()
        layoutManager.setLayout(plots.GetLayoutWithPlot(layoutManager.layout))
        plots.ShowChartInLayout(chartNode)
        if self._view is None and layoutManager.plotViewCount > 0:
            plotWidget = layoutManager.plotWidget(0)
            letPointsBeClicked(plotWidget)
            self._view = plotWidget.plotView()
            self._view.connect(SELECTED, self._listener)

    def leave(self) -> None:
        """Listen to no chart any more."""
        view, self._view = self._view, None
        if view is not None:
            # PythonQt raises it for a view that the application has deleted already.
            with contextlib.suppress(ValueError):
                view.disconnect(SELECTED, self._listener)

    def _onSelected(self, seriesIds: Any, selections: Any) -> None:
        before, self._selected = self._selected, {}
        for index in range(seriesIds.GetNumberOfValues()):
            points = selections.GetItemAsObject(index)
            chosen = [int(points.GetValue(point)) for point in range(points.GetNumberOfValues())]
            self._selected[seriesIds.GetValue(index)] = chosen
        for series, chosen in self._selected.items():
            # A line keeps its point while one of another line is clicked; only what is new was meant.
            if chosen and chosen != before.get(series):
                self._onPoint(series, chosen[0])


def letPointsBeClicked(plotWidget: Any) -> None:
    """Let a click choose a point of a chart; Slicer's own charts only pan and zoom until told otherwise."""
    chart = plotWidget.plotView().chart()
    if hasattr(chart, "SetClickActionToButton"):
        chart.SetClickActionToButton(chart.SELECT, LEFT_BUTTON)
    else:
        # A Slicer that gives the chart without its own methods: here a box drawn around a point chooses it.
        viewNode = plotWidget.mrmlPlotViewNode()
        viewNode.SetInteractionMode(viewNode.InteractionModeSelectPoints)
