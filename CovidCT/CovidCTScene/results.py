"""Results into the scene: all at once or not at all, and in place of CovidCT's own earlier results only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import slicer

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError
from CovidCTScene.localization import fillColourNode, fillLocalizationNode
from CovidCTScene.scan import geometryOfVolumeNode
from CovidCTScene.segmentation import fillSegmentationNode
from CovidCTScene.tables import fillMeasureTable, fillSliceTable

RESULT_ATTRIBUTE = "CovidCT.Result"
"""Node attribute that marks a node as CovidCT's; its value is the field of `ResultNodes`."""

VOLUME_REFERENCE = "CovidCT.Volume"
"""Node reference from a result to the CT that it was made from."""

MATRIX_TOLERANCE_MM = 1e-3
"""Grids count as the same up to this difference of their matrices; float32 headers differ by less."""

OVERLAY_DISPLAY_OPACITY = 0.4
"""How strongly the heat map covers the CT (0 to 1; chosen by eye)."""


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
    record
        vtkMRMLTextNode with the same text as ``analysis.json``.
    """

    segmentation: Any
    localization: Any
    colours: Any
    measures: Any
    slices: Any
    record: Any


_CLASSES_AND_NAMES = {
    "segmentation": ("vtkMRMLSegmentationNode", "segmentation"),
    "localization": ("vtkMRMLScalarVolumeNode", "localization"),
    "colours": ("vtkMRMLColorTableNode", "localization colours"),
    "measures": ("vtkMRMLTableNode", "Corona Score"),
    "slices": ("vtkMRMLTableNode", "slices"),
    "record": ("vtkMRMLTextNode", "analysis"),
}


def addAnalysisToScene(scene: Any, volumeNode: Any, analysis: Analysis) -> ResultNodes:
    """Put the results of an analysis into the scene, in one batch.

    Earlier results of CovidCT for the same CT go once the new ones are complete; nothing else is touched. If anything
    fails, the scene is as it was before.

    Parameters
    ----------
    scene
        A vtkMRMLScene with the segmentation classes registered.
    volumeNode
        The CT in that scene that was analyzed.
    analysis
        Its arrays have the grid of the CT.

    Returns
    -------
    ResultNodes
        The new nodes.

    Raises
    ------
    InputError
        If the analysis has another grid than the CT, for example because the CT was changed meanwhile.
    """
    _checkSameGrid(volumeNode, analysis)
    earlier = [node for nodes in _earlierNodes(scene, volumeNode).values() for node in nodes]
    added: dict[str, Any] = {}
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        for result, (className, name) in _CLASSES_AND_NAMES.items():
            node = scene.AddNewNodeByClass(className, f"{volumeNode.GetName()} {name}")
            added[result] = node
            node.SetAttribute(RESULT_ATTRIBUTE, result)
            node.SetNodeReferenceID(VOLUME_REFERENCE, volumeNode.GetID())
        nodes = ResultNodes(**added)
        _fill(nodes, volumeNode, analysis)
        _placeBeside(scene, volumeNode, nodes)
    except BaseException:
        # Whatever went wrong, a cancelled analysis too, half a result must not stay.
        _remove(scene, added.values())
        raise
    else:
        _remove(scene, earlier)
        return nodes
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)


def resultNodesOf(scene: Any, volumeNode: Any) -> ResultNodes | None:
    """Find the results of a CT in the scene, for example in one that was loaded from a file; None if any is missing."""
    found = _earlierNodes(scene, volumeNode)
    if not all(found.values()):
        return None
    return ResultNodes(**{result: nodes[-1] for result, nodes in found.items()})


def showAnalysis(scene: Any, volumeNode: Any, nodes: ResultNodes) -> None:
    """Show the CT with the localization as an overlay in every slice view of the scene."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        composite.SetBackgroundVolumeID(volumeNode.GetID())
        composite.SetForegroundVolumeID(nodes.localization.GetID())
        composite.SetForegroundOpacity(OVERLAY_DISPLAY_OPACITY)


def _checkSameGrid(volumeNode: Any, analysis: Analysis) -> None:
    of_volume = geometryOfVolumeNode(volumeNode)
    of_analysis = analysis.scan.geometry
    if of_volume.shape_zyx != of_analysis.shape_zyx:
        raise InputError(
            f"The analysis must have the grid of the CT, {of_volume.shape_zyx} voxels (z, y, x), but has "
            f"{of_analysis.shape_zyx}. Analyze the CT again."
        )
    if not np.allclose(of_volume.ijk_to_lps, of_analysis.ijk_to_lps, atol=MATRIX_TOLERANCE_MM):
        raise InputError(
            "The analysis must lie where the CT lies, but the CT has another origin, spacing or orientation by now. "
            "Analyze the CT again."
        )


def _fill(nodes: ResultNodes, volumeNode: Any, analysis: Analysis) -> None:
    # The package of the results needs more than Slicer ships, so it loads only after an analysis.
    from CovidCTLib.results.record import analysis_json

    fillSegmentationNode(nodes.segmentation, volumeNode, analysis)
    fillColourNode(nodes.colours)
    fillLocalizationNode(nodes.localization, nodes.colours, volumeNode, analysis)
    fillMeasureTable(nodes.measures, analysis)
    fillSliceTable(nodes.slices, analysis)
    nodes.record.SetText(analysis_json(analysis))


def _earlierNodes(scene: Any, volumeNode: Any) -> dict[str, list[Any]]:
    """Nodes that carry CovidCT's mark and refer to this CT, by field of `ResultNodes`."""
    found: dict[str, list[Any]] = {field.name: [] for field in fields(ResultNodes)}
    for result, (className, _name) in _CLASSES_AND_NAMES.items():
        for index in range(scene.GetNumberOfNodesByClass(className)):
            node = scene.GetNthNodeByClass(index, className)
            refers = node.GetNodeReferenceID(VOLUME_REFERENCE) == volumeNode.GetID()
            if refers and node.GetAttribute(RESULT_ATTRIBUTE) == result:
                found[result].append(node)
    return found


def _remove(scene: Any, nodes: Any) -> None:
    """Remove nodes with their display and storage nodes, which the scene would otherwise keep."""
    for node in list(nodes):
        belongings = list(_belongings(node))
        scene.RemoveNode(node)
        for belonging in belongings:
            scene.RemoveNode(belonging)


def _belongings(node: Any) -> Iterator[Any]:
    if node.IsA("vtkMRMLDisplayableNode"):
        displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
        yield from (display for display in displays if display is not None)
    if node.IsA("vtkMRMLStorableNode"):
        storages = (node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes()))
        yield from (storage for storage in storages if storage is not None)


def _placeBeside(scene: Any, volumeNode: Any, nodes: ResultNodes) -> None:
    """Put the results into the same study or folder as the CT in the Data module's tree."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volumeItem = hierarchy.GetItemByDataNode(volumeNode) if hierarchy is not None else 0
    if not volumeItem:
        return
    parent = hierarchy.GetItemParent(volumeItem)
    for field in fields(ResultNodes):
        node = getattr(nodes, field.name)
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node)
        hierarchy.SetItemParent(item, parent)
