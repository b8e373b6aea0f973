"""The nodes of one analysis: which there are, how they are marked as CovidCT's, and how they are found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

RESULT_ATTRIBUTE = "CovidCT.Result"
"""Node attribute that marks a node as CovidCT's; its value is the field of `ResultNodes`."""

VOLUME_REFERENCE = "CovidCT.Volume"
"""Node reference from a result to the CT that it was made from."""

SELF_REFERENCE = "CovidCT.Self"
"""Node reference from a result to itself. A clone's leads to the original, so that it is the user's and not a result;
an import that gives nodes other identifiers carries references over."""


COMING_ATTRIBUTE = "CovidCT.Coming"
"""Node attribute of results that are still being added, one node at a time: until all are there they count as none."""

FOLLOW_UP_ATTRIBUTE = "CovidCT.FollowUp"
"""Node attribute that marks a node as part of a follow-up; its value says which."""


@dataclass(frozen=True)
class ResultNodes:
    """The nodes of one analysis in the scene.

    Parameters
    ----------
    segmentation
        vtkMRMLSegmentationNode with the segment identifiers of `CovidCTLib.labels`.
    localization
        vtkMRMLScalarVolumeNode, float32 in [0, 1], on the grid of the CT.
    colours
        vtkMRMLColorTableNode of the localization.
    measures
        vtkMRMLTableNode "Corona Score": one row per region and measure.
    slices
        vtkMRMLTableNode "slices": one row per axial slice.
    probabilitySeries, areaSeries
        vtkMRMLPlotSeriesNode: probability and opacity area of the slices over their position.
    chart
        vtkMRMLPlotChartNode of both series.
    record
        vtkMRMLTextNode with the same text as ``analysis.json``.
    chartValues
        vtkMRMLTableNode with the numbers of the chart, left out of Slicer's tree; None in a scene of an early version,
        where the chart takes them from the table of slices.
    """

    segmentation: Any
    localization: Any
    colours: Any
    measures: Any
    slices: Any
    probabilitySeries: Any
    areaSeries: Any
    chart: Any
    record: Any
    chartValues: Any = None


CLASSES_AND_NAMES = {
    "segmentation": ("vtkMRMLSegmentationNode", "segmentation"),
    "localization": ("vtkMRMLScalarVolumeNode", "localization"),
    "colours": ("vtkMRMLColorTableNode", "localization colours"),
    "measures": ("vtkMRMLTableNode", "Corona Score"),
    "slices": ("vtkMRMLTableNode", "slices"),
    "probabilitySeries": ("vtkMRMLPlotSeriesNode", "probability (%)"),
    "areaSeries": ("vtkMRMLPlotSeriesNode", "opacity area (cm²)"),
    "chart": ("vtkMRMLPlotChartNode", "slice chart"),
    "record": ("vtkMRMLTextNode", "analysis"),
    "chartValues": ("vtkMRMLTableNode", "slice chart values"),
}
"""Class of each node, and its name; except for the lines of the chart, the name of the CT stands before it."""


OPTIONAL_RESULTS = frozenset({"chartValues"})
"""Results without which an analysis is complete: scenes of an early version have none."""


def resultNodesOf(scene: Any, volumeNode: Any) -> ResultNodes | None:
    """Find the results of a CT in the scene, for example in one that was loaded from a file; None if any is missing."""
    marked = markedNodes(scene, volumeNode)
    if not all(nodes or result in OPTIONAL_RESULTS for result, nodes in marked.items()):
        return None
    return ResultNodes(**{result: nodes[-1] for result, nodes in marked.items() if nodes})


def markedNodes(scene: Any, volumeNode: Any, coming: bool = False) -> dict[str, list[Any]]:
    """Give the nodes that CovidCT made of this CT, by field of `ResultNodes`; clones of them are the user's.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT.
    coming
        Whether those are wanted whose analysis is not wholly in the scene, and no others.
    """
    nodesByResult: dict[str, list[Any]] = {field.name: [] for field in fields(ResultNodes)}
    for result, (className, _name) in CLASSES_AND_NAMES.items():
        for node in nodesOfClass(scene, className):
            refers = node.GetNodeReferenceID(VOLUME_REFERENCE) == volumeNode.GetID()
            if refers and isResult(node, result) and isComing(node) == coming:
                nodesByResult[result].append(node)
    return nodesByResult


def mark(node: Any, result: str, volumeNode: Any) -> None:
    """Mark a node of the scene as CovidCT's own: which field of `ResultNodes` it is, and of which CT."""
    node.SetAttribute(RESULT_ATTRIBUTE, result)
    node.SetNodeReferenceID(VOLUME_REFERENCE, volumeNode.GetID())
    node.SetNodeReferenceID(SELF_REFERENCE, node.GetID())


def unmark(node: Any) -> None:
    """Leave a node to the user: nothing of CovidCT's refers to it or replaces it any more."""
    node.RemoveAttribute(RESULT_ATTRIBUTE)
    for role in (VOLUME_REFERENCE, SELF_REFERENCE):
        node.RemoveNodeReferenceIDs(role)


def isResult(node: Any, result: str) -> bool:
    """Say whether a node is what CovidCT made for a field of `ResultNodes`, and no clone of it."""
    return bool(
        node.GetAttribute(RESULT_ATTRIBUTE) == result and node.GetNodeReferenceID(SELF_REFERENCE) == node.GetID()
    )


def isComing(node: Any) -> bool:
    """Say whether a node belongs to results that are still being added."""
    return node.GetAttribute(COMING_ATTRIBUTE) is not None


def analyzedCts(scene: Any) -> list[Any]:
    """Give every CT that any of CovidCT's results refers to, each once."""
    records = (node for node in nodesOfClass(scene, "vtkMRMLTextNode") if isResult(node, "record"))
    volumes = (node.GetNodeReference(VOLUME_REFERENCE) for node in records if not isComing(node))
    return list(dict.fromkeys(volume for volume in volumes if volume is not None))


def nodesOfClass(scene: Any, className: str) -> list[Any]:
    """Give all nodes of a class and those derived from it, in the order of the scene."""
    return [scene.GetNthNodeByClass(index, className) for index in range(scene.GetNumberOfNodesByClass(className))]


def removeNodes(scene: Any, nodes: Any) -> None:
    """Remove nodes with their display and storage nodes, which the scene would otherwise keep.

    A node goes before its display nodes: where that of a segmentation went first, Slicer 5.12 ended.
    """
    for node in list(nodes):
        belongings = list(_belongings(node))
        scene.RemoveNode(node)
        for belonging in belongings:
            # Slicer's application removes most of them with their node; removing one again is an error there.
            if belonging.GetScene() is not None:
                scene.RemoveNode(belonging)


def _belongings(node: Any) -> Iterator[Any]:
    if node.IsA("vtkMRMLDisplayableNode"):
        displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
        yield from (display for display in displays if display is not None)
    if node.IsA("vtkMRMLStorableNode"):
        storages = (node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes()))
        yield from (storage for storage in storages if storage is not None)
