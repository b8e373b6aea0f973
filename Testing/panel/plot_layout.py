"""Slicer's layout with a plot view, on VTK's real chart, which is clicked with real events of the mouse, and tables."""

# Names are Qt's and Slicer's.
# ruff: noqa: N815
from __future__ import annotations

from types import SimpleNamespace

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from pythonqt import Manners
from table_layout import Tables
from vtk.util.numpy_support import vtk_to_numpy

SIZE_PX = (400, 300)


class PlotView(Manners, QtWidgets.QWidget):
    """qMRMLPlotView: draws the series of a chart node, and tells which of their points are selected."""

    SIGNATURES = ("dataSelected(vtkStringArray*, vtkCollection*)",)
    dataSelected = QtCore.Signal(object, object)

    def __init__(self):
        super().__init__()
        self._series = []
        self._chart = vtk.vtkChartXY()
        self._view = vtk.vtkContextView()
        self._view.GetRenderWindow().SetOffScreenRendering(1)
        self._view.GetRenderWindow().SetSize(*SIZE_PX)
        self._view.GetScene().AddItem(self._chart)
        # As Slicer sets them where the user pans with the left button.
        for action, button in ((vtk.vtkChart.PAN, 1), (vtk.vtkChart.ZOOM, 2), (vtk.vtkChart.ZOOM_AXIS, 4)):
            self._chart.SetActionToButton(action, button)
        self._tag = self._chart.AddObserver(vtk.vtkCommand.SelectionChangedEvent, lambda *_: self._emit())

    def chart(self):
        return self._chart

    def _draw(self, chartNode):
        self._chart.ClearPlots()
        count = chartNode.GetNumberOfPlotSeriesNodes()
        self._series = [chartNode.GetNthPlotSeriesNode(index) for index in range(count)]
        for node in self._series:
            plot = self._chart.AddPlot(vtk.vtkChart.LINE)
            plot.SetInputData(node.GetTableNode().GetTable(), node.GetXColumnName(), node.GetYColumnName())
            # As qMRMLPlotView::updatePlotFromPlotSeriesNode and updateWidgetFromMRML.
            plot.SetLabel(node.GetName())
            plot.SetColorF(*node.GetColor())
            plot.SetWidth(node.GetLineWidth())
            plot.SetMarkerStyle(node.GetMarkerStyle())
            plot.SetMarkerSize(node.GetMarkerSize())
        self._chart.SetTitle(chartNode.GetTitle())
        self._chart.SetShowLegend(chartNode.GetLegendVisibility())
        self._chart.GetLegend().GetLabelProperties().SetFontSize(chartNode.GetLegendFontSize())
        self._chart.GetAxis(vtk.vtkAxis.BOTTOM).SetTitle(chartNode.GetXAxisTitle())
        self._chart.GetAxis(vtk.vtkAxis.LEFT).SetTitle(chartNode.GetYAxisTitle())
        self._view.GetRenderWindow().Render()

    def _legend(self):
        """Left, lower, right and upper edge of the legend, and of the area of the plots, in pixels."""
        rect = self._chart.GetLegend().GetBoundingRect(self._painter())
        legend = (rect.GetX(), rect.GetY(), rect.GetX() + rect.GetWidth(), rect.GetY() + rect.GetHeight())
        (left, low), (right, high) = self._chart.GetPoint1(), self._chart.GetPoint2()
        return legend, (left, low, right, high)

    def _painter(self):
        return self._view.GetContext()

    def _pixels(self):
        """What is drawn: rows, columns, red, green and blue."""
        window = self._view.GetRenderWindow()
        window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.ReadFrontBufferOff()
        grab.Update()
        columns, rows, _ = grab.GetOutput().GetDimensions()
        values = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(rows, columns, -1)
        return values[::-1, :, :3].copy()

    def _emit(self):
        series, selections = vtk.vtkStringArray(), vtk.vtkCollection()
        for index, node in enumerate(self._series):
            selection = self._chart.GetPlot(index).GetSelection()
            if selection is not None and selection.GetNumberOfValues():
                series.InsertNextValue(node.GetID())
                selections.AddItem(selection)
        self.dataSelected.emit(series, selections)

    def _click(self, series, row):
        """Press the left button on a point of the chart."""
        table, node = self._series[series].GetTableNode().GetTable(), self._series[series]
        place = []
        for axis, name in ((1, node.GetXColumnName()), (0, node.GetYColumnName())):
            drawn = self._chart.GetAxis(axis)
            low, high = drawn.GetMinimum(), drawn.GetMaximum()
            share = (table.GetColumnByName(name).GetValue(row) - low) / (high - low)
            start, end = drawn.GetPoint1()[1 - axis], drawn.GetPoint2()[1 - axis]
            place.append(round(start + share * (end - start)))
        interactor = self._view.GetInteractor()
        interactor.SetEventInformation(*place)
        for event in ("MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
            interactor.InvokeEvent(event)


class Layout:
    """qMRMLLayoutManager and the logics of the modules Plots and Tables, as far as charts and tables need them.

    The layouts are Slicer's own: its logic keeps the layout node in the scene, which is what a loaded scene changes.
    """

    def __init__(self, scene):
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        self._node = self._logic.GetLayoutNode()
        self._node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._drawn = self.layout
        self._tag = self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._draw())
        self._listeners = []
        self.plotViewCount = 0
        self.view = PlotView()
        self.viewNode = slicer.vtkMRMLPlotViewNode()
        self.shown = []
        self.tables = Tables()
        self.selectionNode = slicer.vtkMRMLSelectionNode()

    @property
    def layout(self):
        return self._node.GetViewArrangement()

    def setLayout(self, layout):
        self._node.SetViewArrangement(layout)

    def has(self, viewClass):
        """Say whether the layout shows a view of a class."""
        return f'class="{viewClass}"' in self._node.GetCurrentLayoutDescription()

    def _draw(self):
        """Make the views that the layout needs and are not there yet; those that are there stay."""
        if self.layout == self._drawn:
            return
        self._drawn = self.layout
        if self.has("vtkMRMLTableViewNode"):
            self.tables.create()
        if self.has("vtkMRMLPlotViewNode"):
            self.plotViewCount = 1
        for listener in list(self._listeners):
            listener(self.layout)

    def close(self):
        """Part from the scene before it goes."""
        self._node.RemoveObserver(self._tag)
        self._logic.SetMRMLScene(None)

    def connect(self, signature, function):
        assert signature == "layoutChanged(int)"
        self._listeners.append(function)

    def disconnect(self, signature, function):
        assert signature == "layoutChanged(int)"
        self._listeners.remove(function)

    @property
    def tableViewCount(self):
        return len(self.tables.views)

    def tableWidget(self, index):
        return self.tables.widget(index)

    def plotWidget(self, index):
        return SimpleNamespace(plotView=lambda: self.view, mrmlPlotViewNode=lambda: self.viewNode)

    def plots(self):
        """``slicer.modules.plots``."""
        return SimpleNamespace(
            logic=lambda: SimpleNamespace(
                GetLayoutWithPlot=slicer.vtkSlicerPlotsLogic.GetLayoutWithPlot,
                ShowChartInLayout=self.showChart,
            )
        )

    def tablesModule(self):
        """``slicer.modules.tables``, with Slicer's own logic."""
        return SimpleNamespace(logic=slicer.vtkSlicerTablesLogic)

    def application_logic(self, scene):
        """``slicer.app.applicationLogic()``, whose views follow the selection."""
        return SimpleNamespace(
            GetSelectionNode=lambda: self.selectionNode,
            PropagateTableSelection=lambda: self.tables.show(scene.GetNodeByID(self.selectionNode.GetActiveTableID())),
        )

    def showChart(self, chartNode):
        """Draw a chart in the plot view, as Slicer does where the view's node names it."""
        self.shown.append(chartNode)
        self.view._draw(chartNode)

    def click(self, series, row):
        """Click a point of the shown chart as a user does."""
        self.view._click(series, row)
