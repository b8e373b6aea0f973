"""Results of a CT in whose place newer ones came: hidden at once, removed in small steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from CovidCTScene.folders import removeEmptyFolders
from CovidCTScene.nodes import markedNodes, nodesOfClass, removeNodes, unmark


def hideReplaced(scene: Any, volumeNode: Any) -> None:
    """Hide earlier segments, which would lie under the new ones until they are removed."""
    for node in _replaced(scene, volumeNode):
        if node.IsA("vtkMRMLSegmentationNode") and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(False)


def removeReplaced(scene: Any, volumeNode: Any) -> Iterator[float]:
    """Remove all results of a CT except the newest of each kind, one node a step; yields the share that is done.

    In the application the views and tables that showed a node take some 10 ms each to let go of it.

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
    return sorted(earlier, key=lambda node: bool(node.IsA("vtkMRMLColorNode")))


def _isUsed(scene: Any, colours: Any) -> bool:
    return any(display.GetColorNodeID() == colours.GetID() for display in nodesOfClass(scene, "vtkMRMLDisplayNode"))
