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


def center3DViews(scene: Any, middle: NDArray[np.float64]) -> None:
    """Let every 3D view look at a point (RAS in mm), from the same side and as near as before."""
    views = nodesOfClass(scene, "vtkMRMLViewNode")
    names = {view.GetLayoutName() for view in views}
    for camera in nodesOfClass(scene, "vtkMRMLCameraNode"):
        if camera.GetLayoutName() not in names:
            # A camera that no view looks through, but the user keeps.
            continue
        shift = middle - np.array(camera.GetFocalPoint())
        position = np.array(camera.GetPosition()) + shift
        camera.SetFocalPoint(*(float(value) for value in middle))
        camera.SetPosition(*(float(value) for value in position))
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
