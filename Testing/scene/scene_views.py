"""Slice, 3D and chart views without a window: MRML's own displayable managers draw them, and they become pictures.

What Slicer's Qt widgets would do is done here by hand: making the view nodes, the slice's image actor, and, for charts,
giving the plot node's settings to VTK's chart.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

PICTURES = "COVIDCT_PICTURES"
"""Name of the environment variable with a folder into which the tests put what they drew."""

SLICE_MANAGERS = ("vtkMRMLSegmentationsDisplayableManager2D", "vtkMRMLCrosshairDisplayableManager")
THREED_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)

_TRY = (
    "import vtk; w = vtk.vtkRenderWindow(); w.SetOffScreenRendering(1); w.SetSize(8, 8);"
    "w.AddRenderer(vtk.vtkRenderer()); w.Render()"
)


@lru_cache(maxsize=1)
def require_rendering():
    """Skip where VTK cannot draw without a display; tried in a process of its own, for a failure may end it."""
    done = subprocess.run([sys.executable, "-c", _TRY], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip("VTK cannot draw here: neither a display nor EGL (Debian: libegl1, libgl1-mesa-dri)")


class _View:
    """A window that is never shown, with MRML's managers behind it."""

    def __init__(self, logics, factory, managers, size, background=None):
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        # With multisampling, semi-transparent segments vanish in offscreen windows.
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        if background is not None:
            # Drawn in the order of adding; what came first lies under the segments' semi-transparent fill.
            self.renderer.AddViewProp(background)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        factory.SetMRMLApplicationLogic(logics.application)
        for singleton in ("vtkMRMLInteractionNode", "vtkMRMLCrosshairNode"):
            # The application's own scene has both from the start; adding a second gives the first.
            logics.scene.AddNewNodeByClass(singleton)
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                assert factory.RegisterDisplayableManager(manager)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.Initialize(factory, self.renderer)

    def pixels(self):
        """Draw; red, green and blue (0 to 255), shape (rows, columns, 3), the first row at the top."""
        return _pixels(self.window)

    def close(self):
        """Part from the scene before it goes."""
        self.group.SetMRMLDisplayableNode(None)
        self.window.Finalize()


class SliceView(_View):
    """A slice view as Slicer's red, green or yellow one."""

    def __init__(self, logics, name="Red", orientation="Axial", size=(400, 400)):
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        image = vtk.vtkActor2D()
        image.SetMapper(self._mapper)
        image.GetProperty().SetDisplayLocationToBackground()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        super().__init__(logics, factory, SLICE_MANAGERS, size, image)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(logics.application)
        logics.slices.AddItem(self.logic)
        self.logic.SetMRMLScene(logics.scene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(orientation)
        self.logic.ResizeSliceNode(*size)
        self.group.SetMRMLDisplayableNode(self.node)

    def fit(self):
        """Fill the view with the CT."""
        self.logic.FitSliceToBackground()

    def pixels(self):
        self._mapper.SetInputConnection(self.logic.GetImageDataConnection())
        return super().pixels()

    def pixel_of(self, ras):
        """Row and column, from the top left corner, at which a point (RAS in mm) is drawn."""
        to_view = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), to_view)
        x, y, _z, _w = to_view.MultiplyPoint((*(float(value) for value in ras), 1.0))
        return self.window.GetSize()[1] - 1 - round(y), round(x)

    def close(self):
        super().close()
        self.logic.SetMRMLScene(None)


class ThreeDView(_View):
    """A 3D view, looked into from the front."""

    def __init__(self, logics, size=(400, 400)):
        super().__init__(logics, slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREED_MANAGERS, size)
        self.renderer.SetUseDepthPeeling(True)
        self.node = logics.scene.AddNewNodeByClass("vtkMRMLViewNode")
        # By its name the view finds its camera in the scene, or makes one.
        self.node.SetLayoutName("1")
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self.node.SetBackgroundColor(0, 0, 0)
        self.node.SetBackgroundColor2(0, 0, 0)
        self.group.SetMRMLDisplayableNode(self.node)

    def fit(self):
        """Look at everything from the front."""
        self.window.Render()
        camera = self.renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 1, 0)
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCamera()
        camera.Zoom(1.3)


def chart_pixels(chart_node, scene, size=(800, 400)):
    """Draw a plot chart node with VTK's chart, to which Slicer's plot view hands the same settings."""
    view = vtk.vtkContextView()
    window = view.GetRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    view.GetRenderer().SetBackground(1, 1, 1)
    chart = vtk.vtkChartXY()
    view.GetScene().AddItem(chart)
    chart.SetTitle(chart_node.GetTitle())
    chart.SetShowLegend(chart_node.GetLegendVisibility())
    chart.GetAxis(vtk.vtkAxis.BOTTOM).SetTitle(chart_node.GetXAxisTitle())
    chart.GetAxis(vtk.vtkAxis.LEFT).SetTitle(chart_node.GetYAxisTitle())
    for index in range(chart_node.GetNumberOfPlotSeriesNodes()):
        series = chart_node.GetNthPlotSeriesNode(index)
        plot = chart.AddPlot(vtk.vtkChart.LINE)
        plot.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
        plot.SetLabel(series.GetName())
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(series.GetLineWidth())
        plot.SetMarkerStyle(series.GetMarkerStyle())
        plot.SetMarkerSize(series.GetMarkerSize())
    return _pixels(window)


def keep(name, pixels):
    """Save a picture where the environment asks for pictures."""
    folder = os.environ.get(PICTURES)
    if not folder:
        return
    from PIL import Image

    Path(folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(Path(folder) / f"{name}.png", optimize=True)


def _pixels(window):
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    columns, rows, _ = image.GetDimensions()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3]
    return np.ascontiguousarray(values)
