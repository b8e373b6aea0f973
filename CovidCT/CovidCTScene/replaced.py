"""Results of a CT in whose place newer ones came: hidden at once, replaced in the views and removed in small steps.

In the application the views and tables that showed a node take some 10 ms each to let go of it, and a table that is
shown anew 40 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from CovidCTScene.folders import removeEmptyFolders
from CovidCTScene.nodes import markedNodes, nodesOfClass, removeNodes, unmark


def hideReplaced(scene: Any, volumeNode: Any) -> None:
    """Hide earlier segments, which would lie under the new ones until they are removed."""
    for node in _replaced(scene, volumeNode):
        if node.IsA("vtkMRMLSegmentationNode") and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(False)


def showInPlace(scene: Any, volumeNode: Any) -> None:
    """Show the newest heat map, table and chart of a CT where the views show an earlier one of the same kind."""
    newest = {
        node.GetID(): nodes[-1].GetID() for nodes in markedNodes(scene, volumeNode).values() for node in nodes[:-1]
    }

    def replace(shownId: str | None, show: Callable[[str], None]) -> None:
        if shownId in newest:
            show(newest[shownId])

    for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode"):
        replace(composite.GetForegroundVolumeID(), composite.SetForegroundVolumeID)
    for view in nodesOfClass(scene, "vtkMRMLTableViewNode"):
        replace(view.GetTableNodeID(), view.SetTableNodeID)
    for view in nodesOfClass(scene, "vtkMRMLPlotViewNode"):
        replace(view.GetPlotChartNodeID(), view.SetPlotChartNodeID)
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    if selection is not None:
        replace(selection.GetActiveTableID(), selection.SetActiveTableID)


def removeReplaced(scene: Any, volumeNode: Any) -> Iterator[float]:
    """Remove all results of a CT except the newest of each kind, in small steps; yields the share that is done.

    A step takes a segment or a node. So go those, too, that were saved with a scene while they were being added.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT; when it is no longer in the scene, nothing more is done.

    Notes
    -----
    A clone of the heat map may be drawn in the colours of the original, which then stay with it, as the user's.
    """
    done = 0
    while volumeNode.GetScene() is scene:
        replaced = _replaced(scene, volumeNode)
        if not replaced:
            break
        node = replaced[0]
        if node.IsA("vtkMRMLSegmentationNode") and node.GetSegmentation().GetNumberOfSegments() > 1:
            # Slicer's tree, tables and views part from each segment by itself, which takes 10 ms and more.
            node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(0))
            yield done / (done + len(replaced))
            continue
        if node.IsA("vtkMRMLColorNode") and _isUsed(scene, node):
            unmark(node)
        else:
            removeNodes(scene, [node])
        done += 1
        yield done / (done + len(replaced) - 1)
    removeEmptyFolders(scene)


def _replaced(scene: Any, volumeNode: Any) -> list[Any]:
    """Give the earlier results; colours come last, for what is drawn in them is removed before."""
    earlier = [node for nodes in markedNodes(scene, volumeNode).values() for node in nodes[:-1]]
    earlier += [node for nodes in markedNodes(scene, volumeNode, coming=True).values() for node in nodes]
    return sorted(earlier, key=lambda node: bool(node.IsA("vtkMRMLColorNode")))


def _isUsed(scene: Any, colours: Any) -> bool:
    return any(display.GetColorNodeID() == colours.GetID() for display in nodesOfClass(scene, "vtkMRMLDisplayNode"))
