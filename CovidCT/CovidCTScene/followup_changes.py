"""The map of new, resolved and persistent opacity of a follow-up, as a segmentation of the later CT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidCTLib.errors import InputError
from CovidCTScene.followup import STUDY_REFERENCE, followUpNodesOf, markFollowUp
from CovidCTScene.nodes import (
    FOLLOW_UP_ATTRIBUTE,
    SELF_REFERENCE,
    VOLUME_REFERENCE,
    isResult,
    nodesOfClass,
    removeNodes,
)
from CovidCTScene.segmentation import fillChangeNode
from CovidCTScene.snapshot import Snapshot
from CovidCTScene.texts import tr as _
from CovidCTScene.views import HIDDEN_ATTRIBUTE

CHANGE_ROLE = "change"
"""Value of `FOLLOW_UP_ATTRIBUTE` of the map; its references to studies are the first and the later CT."""


def comparedCts(scene: Any, volumeNode: Any) -> tuple[Any, Any] | None:
    """Give the two CTs that the map is about.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        A CT.

    Returns
    -------
    tuple or None
        The first study of the CT's follow-up, and the CT itself, or the last study where the CT is the first; None
        where the CT is in no follow-up, or a study of it was removed.
    """
    nodes = followUpNodesOf(scene, volumeNode)
    if nodes is None:
        return None
    studies = _studiesOf(nodes.table)
    if None in studies or len(studies) < 2:
        return None
    later = volumeNode if volumeNode.GetID() != studies[0].GetID() else studies[-1]
    return studies[0], later


def changeNodeOf(scene: Any, first: Any, later: Any) -> Any | None:
    """Find the map of what changed from one CT to another; None where there is none, and a clone is none."""
    for node in nodesOfClass(scene, "vtkMRMLSegmentationNode"):
        isMap = node.GetAttribute(FOLLOW_UP_ATTRIBUTE) == CHANGE_ROLE
        if isMap and node.GetNodeReferenceID(SELF_REFERENCE) == node.GetID() and _studiesOf(node) == [first, later]:
            return node
    return None


def areChangesShown(node: Any) -> bool:
    """Say whether a map is visible."""
    display = node.GetDisplayNode()
    return bool(display is not None and display.GetVisibility())


def showChanges(scene: Any, node: Any, shown: bool) -> None:
    """Show the map over the later CT, or hide it.

    Parameters
    ----------
    scene
        The scene. While the map is shown its slice views show the later CT, without a heat map, and CovidCT's other
        segments are hidden, which would lie under the map; those of the later CT come back when it is hidden.
    node
        The map, as `changeNodeOf` gives it.
    shown
        Whether the map is to be seen.
    """
    later = _studiesOf(node)[-1]
    display = node.GetDisplayNode()
    if shown:
        for other in nodesOfClass(scene, "vtkMRMLSegmentationNode"):
            if other is not node and other.GetAttribute(FOLLOW_UP_ATTRIBUTE) == CHANGE_ROLE:
                other.GetDisplayNode().SetVisibility(False)
        for other in _resultSegmentations(scene):
            if other.GetDisplayNode().GetVisibility():
                other.GetDisplayNode().SetVisibility(False)
                other.SetAttribute(HIDDEN_ATTRIBUTE, "true")
        _showCt(scene, later)
    else:
        for other in _resultSegmentations(scene):
            ofLater = later is not None and other.GetNodeReferenceID(VOLUME_REFERENCE) == later.GetID()
            if ofLater and other.GetAttribute(HIDDEN_ATTRIBUTE):
                other.RemoveAttribute(HIDDEN_ATTRIBUTE)
                other.GetDisplayNode().SetVisibility(True)
    display.SetVisibility(shown)


class Changes:
    """Makes the map of what changed from one CT to another, in parts: from the scene, beside it, and into it.

    Parameters
    ----------
    scene
        The scene.
    first, later
        The CTs, as `comparedCts` gives them.

    Raises
    ------
    InputError
        As `Snapshot`, for each of them.
    """

    def __init__(self, scene: Any, first: Any, later: Any) -> None:
        self._scene = scene
        self._cts = (first, later)
        self._snapshots = (Snapshot(scene, first), Snapshot(scene, later))
        self._labels: NDArray[np.uint8] | None = None
        self._stopped = False

    def steps(self) -> Iterator[float]:
        """Take the results of both CTs from the scene, piece by piece; yields the share that is taken (0 to 1).

        Raises
        ------
        InputError
            If the results are changed or removed meanwhile.
        """
        for index, snapshot in enumerate(self._snapshots):
            for share in snapshot.steps():
                yield (index + share) / len(self._snapshots)

    def make(self) -> None:
        """Lay the first study on the later one and compare them; it needs no scene, and may run in another thread.

        Raises
        ------
        InputError
            If they cannot be laid on each other.
        CancelledError
            If `cancel` was called.
        """
        from CovidCTLib.followup.change_map import change_map

        first, later = (snapshot.analysis() for snapshot in self._snapshots)
        self._labels = change_map(first, later, cancelled=lambda: self._stopped).labels

    def cancel(self) -> None:
        """Let `make` end soon."""
        self._stopped = True

    def show(self) -> None:
        """Put the map into the scene, in the folder of the follow-up, in place of an earlier one, and show it.

        Raises
        ------
        InputError
            If the map was not made, or a CT or the follow-up was removed meanwhile.
        """
        first, later = self._cts
        if self._labels is None or any(ct.GetScene() is not self._scene for ct in self._cts):
            raise InputError(_("Both CTs must stay in the scene while they are compared, but one was removed."))
        nodes = followUpNodesOf(self._scene, later)
        if nodes is None:
            raise InputError(_("The follow-up must stay in the scene, but it was removed. Compare the studies again."))
        earlier = changeNodeOf(self._scene, first, later)
        self._scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
        node = None
        try:
            name = _("{later}: change since {first}").format(later=later.GetName(), first=first.GetName())
            node = self._scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
            markFollowUp(node, CHANGE_ROLE, self._cts)
            fillChangeNode(node, later, self._labels)
            _placeBeside(self._scene, nodes.table, node)
            showChanges(self._scene, node, True)
        except BaseException:
            removeNodes(self._scene, [node] if node is not None else [])
            raise
        else:
            removeNodes(self._scene, [earlier] if earlier is not None else [])
        finally:
            self._scene.EndState(slicer.vtkMRMLScene.BatchProcessState)


def _studiesOf(node: Any) -> list[Any]:
    """Give the CTs that a node of a follow-up refers to, in the order of time; None for one that was removed."""
    count = node.GetNumberOfNodeReferences(STUDY_REFERENCE)
    return [node.GetNthNodeReference(STUDY_REFERENCE, index) for index in range(count)]


def _resultSegmentations(scene: Any) -> list[Any]:
    """Give CovidCT's segmentations that have a display node."""
    nodes = nodesOfClass(scene, "vtkMRMLSegmentationNode")
    return [node for node in nodes if isResult(node, "segmentation") and node.GetDisplayNode() is not None]


def _showCt(scene: Any, volumeNode: Any) -> None:
    """Show a CT in every slice view; a heat map of CovidCT's goes, another overlay stays."""
    for composite in nodesOfClass(scene, "vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(volumeNode.GetID())
        overlay = scene.GetNodeByID(composite.GetForegroundVolumeID() or "")
        if overlay is not None and isResult(overlay, "localization"):
            composite.SetForegroundVolumeID(None)


def _placeBeside(scene: Any, beside: Any, node: Any) -> None:
    """Put a node into the folder in which another lies."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(beside))
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(folder, node)
    hierarchy.SetItemParent(item, folder)
