"""The layout of the views, through its node in the scene, and where the 3D views look."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidCTScene.nodes import nodesOfClass

THREE_D_VIEW = 'class="vtkMRMLViewNode"'
PLOT_VIEW = 'class="vtkMRMLPlotViewNode"'
"""How the description of a layout names its views (vtkMRMLLayoutLogic)."""


def show3DView(scene: Any) -> None:
    """Make sure that the layout has a 3D view; a chart that it shows stays.

    Parameters
    ----------
    scene
        The scene. Where its layout is drawn by nobody, in a Slicer without main window, nothing happens.
    """
    layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    description = layoutNode.GetCurrentLayoutDescription() if layoutNode is not None else None
    if not description:
        return
    _leaveMaximized(layoutNode)
    if THREE_D_VIEW in description:
        return
    layouts = slicer.vtkMRMLLayoutNode
    hasChart = PLOT_VIEW in description
    layoutNode.SetViewArrangement(
        layouts.SlicerLayoutConventionalPlotView if hasChart else layouts.SlicerLayoutFourUpView
    )


def showTableNode(applicationLogic: Any, tableNode: Any) -> None:
    """Show a table in the table views of the layout.

    Parameters
    ----------
    applicationLogic
        The application's vtkMRMLApplicationLogic.
    tableNode
        The vtkMRMLTableNode.
    """
    applicationLogic.GetSelectionNode().SetActiveTableID(tableNode.GetID())
    applicationLogic.PropagateTableSelection()


def fit3DViews(scene: Any, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    """Let every 3D view look at the middle of a box, from the same side, and from so far that it shows all of it.

    Parameters
    ----------
    scene
        The scene of the views and their cameras.
    low, high
        Corners of the box, shape ``(3,)``, RAS in mm.

    Notes
    -----
    The sphere around the box touches the view above and below. As a chest is about as wide as high, and the sphere is
    wider than both, it is held by views that are higher than wide as well, up to 4 : 3.
    """
    views = nodesOfClass(scene, "vtkMRMLViewNode")
    names = {view.GetLayoutName() for view in views}
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    for camera in nodesOfClass(scene, "vtkMRMLCameraNode"):
        if camera.GetLayoutName() not in names:
            # A camera that no view looks through, but the user keeps.
            continue
        back = np.array(camera.GetPosition()) - np.array(camera.GetFocalPoint())
        distance = radius / np.sin(np.radians(camera.GetViewAngle() / 2))
        position = middle + back / np.linalg.norm(back) * distance
        camera.SetFocalPoint(*(float(value) for value in middle))
        camera.SetPosition(*(float(value) for value in position))
        camera.SetParallelScale(radius)
        camera.ResetClippingRange()
    for view in views:
        # The box and its labels take their new place.
        view.InvokeEvent(view.ResetFocalPointRequestedEvent)


def _leaveMaximized(layoutNode: Any) -> None:
    """Make a view that fills the layout, as after a double click, one of many again unless it is a 3D view."""
    if not hasattr(layoutNode, "GetNumberOfMaximizedViewNodes"):
        # An earlier Slicer, in which no view can fill the layout.
        return
    maximized = [layoutNode.GetMaximizedViewNode(i) for i in range(layoutNode.GetNumberOfMaximizedViewNodes())]
    if maximized and not any(view is not None and view.IsA("vtkMRMLViewNode") for view in maximized):
        layoutNode.RemoveAllMaximizedViewNodes()
