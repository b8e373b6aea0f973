"""What the views show: heat map, surfaces, window presets, and the slice of a table row or of a point of the chart."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import READING_WINDOW, WINDOWS
from CovidCTScene.nodes import ResultNodes, nodesOfClass
from CovidCTScene.scan import LPS_FROM_RAS, geometryOfVolumeNode

OVERLAY_DISPLAY_OPACITY = 0.4
"""How strongly the heat map covers the CT (0 to 1; chosen by eye)."""

CLOSED_SURFACE = "Closed surface"
"""Slicer's name of the representation (vtkSegmentationConverter)."""

WINDOW_PRESETS = {window.name: window for window in (*WINDOWS, READING_WINDOW)}
"""Windows by name, in the order of a panel's buttons: the presets of the population study, then the usual one."""

SLICE_COLUMN = "index"
"""Column of the table of slices that holds the number of the axial slice, 0 at the feet."""


def showAnalysis(scene: Any, volumeNode: Any, nodes: ResultNodes) -> None:
    """Show the CT with the localization as an overlay in every slice view of the scene."""
    for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(volumeNode.GetID())
    showHeatMap(scene, volumeNode, nodes, True)


def showHeatMap(scene: Any, volumeNode: Any, nodes: ResultNodes, shown: bool) -> None:
    """Lay the localization over the CT, or take it away.

    Parameters
    ----------
    scene
        The scene; slice views that show another volume than the CT stay as they are.
    volumeNode
        The CT.
    nodes
        Its results.
    shown
        Whether the heat map is to be seen. Another volume that the user laid over the CT is never taken away.
    """
    heatMapId = nodes.localization.GetID()
    for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode"):
        if composite.GetBackgroundVolumeID() != volumeNode.GetID():
            continue
        if shown:
            composite.SetForegroundVolumeID(heatMapId)
            composite.SetForegroundOpacity(OVERLAY_DISPLAY_OPACITY)
        elif composite.GetForegroundVolumeID() == heatMapId:
            composite.SetForegroundVolumeID(None)


def isHeatMapShown(scene: Any, nodes: ResultNodes) -> bool:
    """Say whether any slice view shows the localization."""
    heatMapId = nodes.localization.GetID()
    return any(
        composite.GetForegroundVolumeID() == heatMapId and composite.GetForegroundOpacity() > 0
        for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode")
    )


def show3D(scene: Any, nodes: ResultNodes, shown: bool = True) -> None:
    """Show lungs and opacities as surfaces in the 3D views, or hide them.

    The surfaces are computed the first time that they are wanted, which takes seconds for a large CT.

    Parameters
    ----------
    scene
        The scene of the nodes; its changes are sent to the views at once.
    nodes
        The results.
    shown
        Whether the surfaces are to be seen.

    Raises
    ------
    InputError
        If the segmentation is not in this scene any more.
    """
    segmentationNode = nodes.segmentation
    if segmentationNode.GetScene() is None or segmentationNode.GetScene() is not scene:
        raise InputError("The segmentation must be in the scene, but it was removed. Analyze the CT again.")
    display = segmentationNode.GetDisplayNode()
    if shown:
        if not segmentationNode.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE):
            segmentationNode.CreateClosedSurfaceRepresentation()
        display.SetPreferredDisplayRepresentationName3D(CLOSED_SURFACE)
        display.SetVisibility(True)
    display.SetVisibility3D(shown)


def is3DShown(nodes: ResultNodes) -> bool:
    """Say whether the surfaces are there and visible."""
    display = nodes.segmentation.GetDisplayNode()
    there = nodes.segmentation.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)
    return bool(there and display.GetVisibility() and display.GetVisibility3D())


def applyWindowPreset(volumeNode: Any, name: str) -> None:
    """Set level and width of a CT's display.

    Parameters
    ----------
    volumeNode
        A vtkMRMLScalarVolumeNode with voxels in HU.
    name
        A key of `WINDOW_PRESETS`.

    Raises
    ------
    InputError
        If there is no volume or no such window.
    """
    if volumeNode is None:
        raise InputError("Choose a chest CT: no volume is selected.")
    window = WINDOW_PRESETS.get(name)
    if window is None:
        raise InputError(f"The window must be one of {', '.join(WINDOW_PRESETS)}, not {name!r}. Choose one of them.")
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    display = volumeNode.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(window.width_hu, window.level_hu)


def sliceOfRow(slicesNode: Any, row: int) -> int:
    """Give the number of the axial slice that a row of the table, or a point of the chart, stands for.

    Parameters
    ----------
    slicesNode
        The table node "slices"; a point of the chart has the same number as its row.
    row
        From 0 to the number of rows, exclusive.

    Raises
    ------
    InputError
        If the table has no such row or no column ``index``.
    """
    column = slicesNode.GetTable().GetColumnByName(SLICE_COLUMN)
    if column is None:
        raise InputError(
            f"The table of slices must have the column {SLICE_COLUMN!r}, but it has none. Analyze the CT again."
        )
    if not 0 <= row < column.GetNumberOfTuples():
        raise InputError(
            f"The row must be from 0 to {column.GetNumberOfTuples() - 1}, not {row}. Choose a row of the table of "
            "slices."
        )
    return int(column.GetValue(row))


def rasOfSlice(volumeNode: Any, index: int, near: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Give a point in an axial slice of the CT.

    Parameters
    ----------
    volumeNode
        The CT.
    index
        Number of the axial slice in the canonical orientation, 0 at the feet, as in the table of slices.
    near
        Shape ``(3,)``, RAS in mm: the point of the slice closest to it is wanted, provided that it lies within the
        slice; None for the slice's centre.

    Returns
    -------
    ndarray
        Shape ``(3,)``, RAS in mm, in the plane of the slice's voxel centres.

    Raises
    ------
    InputError
        If the CT has no such slice.
    """
    grid = CanonicalGrid(geometryOfVolumeNode(volumeNode)).geometry
    count, rows, columns = grid.shape_zyx
    if not 0 <= index < count:
        raise InputError(f"The slice must be from 0 to {count - 1}, not {index}. Choose a row of the table of slices.")
    ijkToRas = LPS_FROM_RAS @ grid.ijk_to_lps
    ijk = np.array([(columns - 1) / 2, (rows - 1) / 2, float(index), 1.0])
    if near is not None:
        wanted = np.linalg.solve(ijkToRas, np.append(near, 1.0))
        if -0.5 <= wanted[0] <= columns - 0.5 and -0.5 <= wanted[1] <= rows - 0.5:
            ijk[:2] = wanted[:2]
    return np.asarray((ijkToRas @ ijk)[:3])


def jumpToSlice(scene: Any, volumeNode: Any, index: int) -> NDArray[np.float64]:
    """Move the slice views and the crosshair to an axial slice of the CT.

    A visible crosshair keeps its place within the slice, so that sagittal and coronal views stay where the reader put
    them; without one the views go to the slice's centre.

    Parameters
    ----------
    scene
        The scene of the CT.
    volumeNode
        The CT.
    index
        Number of the axial slice, 0 at the feet.

    Returns
    -------
    ndarray
        Shape ``(3,)``, RAS in mm: where the views went.

    Raises
    ------
    InputError
        If the CT has no such slice.
    """
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    near = None
    if crosshair is not None and crosshair.GetCrosshairMode() != slicer.vtkMRMLCrosshairNode.NoCrosshair:
        near = np.array(crosshair.GetCrosshairRAS())
    point = rasOfSlice(volumeNode, index, near)
    right, anterior, superior = (float(value) for value in point)
    slicer.vtkMRMLSliceNode.JumpAllSlices(
        scene, right, anterior, superior, slicer.vtkMRMLSliceNode.OffsetJumpSlice, -1, None
    )
    if crosshair is not None:
        crosshair.SetCrosshairRAS(right, anterior, superior)
        crosshair.SetCrosshairMode(slicer.vtkMRMLCrosshairNode.ShowBasic)
    return point
