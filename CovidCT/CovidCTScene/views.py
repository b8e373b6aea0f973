"""What the views show: heat map, surfaces, window presets, and the slice of a table row or of a point of the chart."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.hu import READING_WINDOW, WINDOWS
from CovidCTScene.layout import fit3DViews, show3DView
from CovidCTScene.nodes import FOLLOW_UP_ATTRIBUTE, VOLUME_REFERENCE, ResultNodes, isResult, nodesOfClass
from CovidCTScene.scan import LPS_FROM_RAS, geometryOfVolumeNode, ijkToRasOfVolumeNode
from CovidCTScene.texts import tr as _

OVERLAY_DISPLAY_OPACITY = 0.4
"""How strongly the heat map covers the CT (0 to 1; chosen by eye)."""

CLOSED_SURFACE = "Closed surface"
"""Slicer's name of the representation (vtkSegmentationConverter)."""

WINDOW_PRESETS = {window.name: window for window in (*WINDOWS, READING_WINDOW)}
"""Windows by name, in the order of a panel's buttons: the presets of the population study, then the usual one."""

SLICE_COLUMN = "index"
"""Column of the table of slices that holds the number of the axial slice, 0 at the feet."""

HIDDEN_ATTRIBUTE = "CovidCT.Hidden"
"""Attribute of a segmentation that is hidden because another CT is shown; what the user hid has none."""


def showAnalysis(scene: Any, volumeNode: Any, nodes: ResultNodes) -> None:
    """Show the CT with its segments in every slice view of the scene; the heat map waits until it is asked for."""
    _putIntoViews(scene, volumeNode)
    _showSegmentsOf(scene, nodes)


def showCt(scene: Any, volumeNode: Any, nodes: ResultNodes | None) -> None:
    """Show a CT that was chosen in every slice view: its segments if it has results, and no other CT's heat map.

    Parameters
    ----------
    scene
        The scene. Where all slice views show the CT already, only segments and heat maps of other CTs are hidden.
    volumeNode
        The CT.
    nodes
        Its results; None where it has none, and then the segments of all other CTs are hidden.
    """
    _putIntoViews(scene, volumeNode)
    localizationId = nodes.localization.GetID() if nodes is not None else None
    for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode"):
        laidOver = composite.GetForegroundVolumeID()
        node = scene.GetNodeByID(laidOver) if laidOver and laidOver != localizationId else None
        if node is not None and isResult(node, "localization"):
            composite.SetForegroundVolumeID(None)
    _showSegmentsOf(scene, nodes)


def showHeatMap(scene: Any, volumeNode: Any, nodes: ResultNodes, shown: bool) -> None:
    """Lay the localization over the CT, or take it away.

    Parameters
    ----------
    scene
        The scene; slice views that show another volume than the CT stay as they are, unless all do: then the CT comes
        into every view, for the heat map would be seen in none.
    volumeNode
        The CT.
    nodes
        Its results.
    shown
        Whether the heat map is to be seen. Another volume that the user laid over the CT is never taken away.

    Notes
    -----
    Slice views draw the segments of every CT, so that with the heat map only those of this CT stay visible; what is not
    CovidCT's is left alone.
    """
    heatMapId = nodes.localization.GetID()
    composites = nodesOfClass(scene, "vtkMRMLSliceCompositeNode")
    if shown:
        if not any(composite.GetBackgroundVolumeID() == volumeNode.GetID() for composite in composites):
            _putIntoViews(scene, volumeNode)
        _showSegmentsOf(scene, nodes)
    for composite in composites:
        if composite.GetBackgroundVolumeID() != volumeNode.GetID():
            continue
        if shown:
            composite.SetForegroundVolumeID(heatMapId)
            composite.SetForegroundOpacity(OVERLAY_DISPLAY_OPACITY)
        elif composite.GetForegroundVolumeID() == heatMapId:
            composite.SetForegroundVolumeID(None)


def _putIntoViews(scene: Any, volumeNode: Any) -> None:
    """Show the CT in every slice view; where it is new to one, views that look past it move to its middle."""
    composites = nodesOfClass(scene, "vtkMRMLSliceCompositeNode")
    if all(composite.GetBackgroundVolumeID() == volumeNode.GetID() for composite in composites):
        return
    for composite in composites:
        composite.SetBackgroundVolumeID(volumeNode.GetID())
    ijkToRas = ijkToRasOfVolumeNode(volumeNode)
    size = np.array(volumeNode.GetImageData().GetDimensions())
    middle = ijkToRas @ np.append((size - 1) / 2, 1.0)
    for view in nodesOfClass(scene, "vtkMRMLSliceNode"):
        sliceToRas = view.GetSliceToRAS()
        position = np.array([sliceToRas.GetElement(row, 3) for row in range(4)])
        ijk = np.linalg.solve(ijkToRas, position)[:3]
        if not ((ijk >= -0.5) & (ijk <= size - 0.5)).all():
            view.JumpSliceByCentering(*(float(value) for value in middle[:3]))


def _showSegmentsOf(scene: Any, nodes: ResultNodes | None) -> None:
    """Hide CovidCT's segments of every other CT, and show those of this one again if they were hidden so."""
    volumeId = nodes.segmentation.GetNodeReferenceID(VOLUME_REFERENCE) if nodes is not None else None
    for node in nodesOfClass(scene, "vtkMRMLSegmentationNode"):
        display = node.GetDisplayNode()
        if display is not None and node.GetAttribute(FOLLOW_UP_ATTRIBUTE):
            # The map of what changed lies over the segments.
            display.SetVisibility(False)
        if display is None or not isResult(node, "segmentation"):
            continue
        if node.GetNodeReferenceID(VOLUME_REFERENCE) == volumeId:
            if node.GetAttribute(HIDDEN_ATTRIBUTE):
                display.SetVisibility(True)
            node.RemoveAttribute(HIDDEN_ATTRIBUTE)
        elif display.GetVisibility():
            display.SetVisibility(False)
            node.SetAttribute(HIDDEN_ATTRIBUTE, "true")


def isHeatMapShown(scene: Any, nodes: ResultNodes) -> bool:
    """Say whether any slice view shows the localization."""
    heatMapId = nodes.localization.GetID()
    return any(
        composite.GetForegroundVolumeID() == heatMapId and composite.GetForegroundOpacity() > 0
        for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode")
    )


def show3D(scene: Any, nodes: ResultNodes, shown: bool = True) -> None:
    """Show lungs and opacities as surfaces in the 3D views, or hide them.

    The surfaces are computed the first time that they are wanted, which takes seconds for a large CT, and the 3D views
    then turn to them. Surfaces of other CTs are hidden, for all stand in the same place. A layout without a 3D view
    gives way to one with it.

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
        raise InputError(_("The segmentation must be in the scene, but it was removed. Analyze the CT again."))
    display = segmentationNode.GetDisplayNode()
    if not shown:
        display.SetVisibility3D(False)
        return
    isFirst = not segmentationNode.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)
    if isFirst:
        segmentationNode.CreateClosedSurfaceRepresentation()
    showSurfaces(scene, nodes, turn=isFirst)


def showSurfaces(scene: Any, nodes: ResultNodes, turn: bool, intoLayout: bool = True) -> None:
    """Show surfaces that are there, as `show3D`.

    With ``turn`` the 3D views turn to them, and hold all of them. Without ``intoLayout`` the layout stays, even if it
    has no 3D view.
    """
    _showSegmentsOf(scene, nodes)
    display = nodes.segmentation.GetDisplayNode()
    display.SetPreferredDisplayRepresentationName3D(CLOSED_SURFACE)
    display.SetVisibility(True)
    display.SetVisibility3D(True)
    if intoLayout:
        show3DView(scene)
    box = _boxOfSurfaces(nodes.segmentation.GetSegmentation()) if turn else None
    if box is not None:
        fit3DViews(scene, *box)


def _boxOfSurfaces(segmentation: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Give the low and the high corner of the box around all surfaces, RAS in mm; None where nothing was found."""
    surfaces = [
        segmentation.GetNthSegment(index).GetRepresentation(CLOSED_SURFACE)
        for index in range(segmentation.GetNumberOfSegments())
    ]
    bounds = [surface.GetBounds() for surface in surfaces if surface is not None and surface.GetNumberOfPoints()]
    if not bounds:
        return None
    return np.min(bounds, axis=0)[::2], np.max(bounds, axis=0)[1::2]


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
        raise InputError(_("Choose a chest CT: no volume is selected."))
    window = WINDOW_PRESETS.get(name)
    if window is None:
        raise InputError(
            _("The window must be one of {windows}, not {name!r}. Choose one of them.").format(
                windows=", ".join(WINDOW_PRESETS), name=name
            )
        )
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
            _("The table of slices must have the column {column!r}, but it has none. Analyze the CT again.").format(
                column=SLICE_COLUMN
            )
        )
    if not 0 <= row < column.GetNumberOfTuples():
        raise InputError(
            _("The row must be from 0 to {last}, not {row}. Choose a row of the table of slices.").format(
                last=column.GetNumberOfTuples() - 1, row=row
            )
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
        raise InputError(
            _("The slice must be from 0 to {last}, not {index}. Choose a row of the table of slices.").format(
                last=count - 1, index=index
            )
        )
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
    them; without one the views go to the slice's centre, and it stays hidden.

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
    return point
