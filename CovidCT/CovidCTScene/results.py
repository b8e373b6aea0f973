"""Results into the scene: all at once or not at all, and in place of CovidCT's own earlier results only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError
from CovidCTScene.chart import fillChart
from CovidCTScene.edited import isEdited, leaveToUser
from CovidCTScene.folders import folderOfNodes, leaveOutOfTree, newFolder, putIntoFolder, removeEmptyFolders
from CovidCTScene.localization import fillColourNode, fillLocalizationNode
from CovidCTScene.nodes import CLASSES_AND_NAMES, ResultNodes, mark, markedNodes, removeNodes
from CovidCTScene.prepared_results import PreparedResults, preparing
from CovidCTScene.remeasure import FIRST_ATTRIBUTE
from CovidCTScene.replaced import hideReplaced, removeReplaced
from CovidCTScene.scan import geometryOfVolumeNode
from CovidCTScene.scene_segments import rememberAll
from CovidCTScene.segmentation import fillSegmentationNode
from CovidCTScene.snapshot import CHECKSUM_ATTRIBUTE
from CovidCTScene.tables import fillChartValues, fillMeasureTable, fillSliceTable
from CovidCTScene.texts import tr as _

MATRIX_TOLERANCE_MM = 1e-3
"""Grids count as the same up to this difference of their matrices; float32 headers differ by less."""


FOLDER_KIND = "results"
"""Marks the folder with the results of a CT."""


def addAnalysisToScene(
    scene: Any,
    volumeNode: Any,
    analysis: Analysis,
    prepared: PreparedResults | None = None,
    edited: bool | None = None,
    removeLater: bool = False,
) -> ResultNodes:
    """Put the results of an analysis into the scene, all at once.

    Earlier results of CovidCT for the same CT go once the new ones are complete; nothing else is touched. An earlier
    segmentation that was edited by hand stays: it is renamed, hidden, and the user's from then on. If anything fails,
    the scene is as it was before.

    Parameters
    ----------
    scene
        A vtkMRMLScene with the segmentation classes registered.
    volumeNode
        The CT in that scene that was analyzed.
    analysis
        Its arrays have the grid of the CT.
    prepared
        The same in the form in which the scene takes it, as `preparing` gives it in any thread; None prepares it now.
    edited
        Whether earlier segments were edited by hand; None compares them now.
    removeLater
        Whether earlier results are only hidden now, for `removeReplaced` to remove them in small steps. The changes
        are then not one batch of the scene, at whose end the application sets its layout anew, which takes longer than
        all the rest; pause its rendering meanwhile.

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
    earlier = [node for nodes in markedNodes(scene, volumeNode).values() for node in nodes]
    segmentations = [node for node in earlier if node.IsA("vtkMRMLSegmentationNode")]
    byHand = [node for node in segmentations if (isEdited(node, volumeNode) if edited is None else edited)]
    made = preparing(volumeNode)(analysis) if prepared is None else prepared
    added: dict[str, Any] = {}
    if not removeLater:
        scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        for result, (className, name) in CLASSES_AND_NAMES.items():
            # Lines are named as in the chart's legend, where the name of the CT would cover what is drawn.
            isLine = className == "vtkMRMLPlotSeriesNode"
            node = scene.AddNewNodeByClass(className, name if isLine else f"{volumeNode.GetName()} {name}")
            added[result] = node
            mark(node, result, volumeNode)
        nodes = ResultNodes(**added)
        _fill(nodes, volumeNode, analysis, made)
        _placeBeside(scene, volumeNode, added.values(), earlier)
    except BaseException:
        # Whatever went wrong, a cancelled analysis too, half a result must not stay.
        removeNodes(scene, added.values())
        removeEmptyFolders(scene)
        raise
    else:
        for node in byHand:
            leaveToUser(node)
        if removeLater:
            hideReplaced(scene, volumeNode)
        else:
            for _step in removeReplaced(scene, volumeNode):
                continue
        return nodes
    finally:
        if not removeLater:
            scene.EndState(slicer.vtkMRMLScene.BatchProcessState)


def _checkSameGrid(volumeNode: Any, analysis: Analysis) -> None:
    of_volume = geometryOfVolumeNode(volumeNode)
    of_analysis = analysis.scan.geometry
    if of_volume.shape_zyx != of_analysis.shape_zyx:
        raise InputError(
            _(
                "The analysis must have the grid of the CT, {expected} voxels (z, y, x), but has {found}. Analyze the "
                "CT again."
            ).format(expected=of_volume.shape_zyx, found=of_analysis.shape_zyx)
        )
    if not np.allclose(of_volume.ijk_to_lps, of_analysis.ijk_to_lps, atol=MATRIX_TOLERANCE_MM):
        raise InputError(
            _(
                "The analysis must lie where the CT lies, but the CT has another origin, spacing or orientation by "
                "now. Analyze the CT again."
            )
        )


def _fill(nodes: ResultNodes, volumeNode: Any, analysis: Analysis, prepared: PreparedResults) -> None:
    fillSegmentationNode(nodes.segmentation, volumeNode, prepared)
    nodes.segmentation.SetAttribute(CHECKSUM_ATTRIBUTE, prepared.checksum)
    if prepared.first:
        nodes.segmentation.SetAttribute(FIRST_ATTRIBUTE, prepared.first)
    if analysis.lobes is not None or analysis.areas:
        rememberAll(nodes.segmentation, volumeNode)
    fillColourNode(nodes.colours)
    fillLocalizationNode(nodes.localization, nodes.colours, volumeNode, prepared.heat)
    fillMeasureTable(nodes.measures, analysis)
    fillSliceTable(nodes.slices, analysis)
    fillChartValues(nodes.chartValues, analysis)
    leaveOutOfTree(nodes.chartValues)
    fillChart(nodes, volumeNode, analysis)
    nodes.record.SetText(prepared.record)


def _placeBeside(scene: Any, volumeNode: Any, nodes: Iterable[Any], earlier: Iterable[Any]) -> None:
    """Put the results into one folder beside the CT in the Data module's tree, where the earlier ones lie if any."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volumeItem = hierarchy.GetItemByDataNode(volumeNode) if hierarchy is not None else 0
    if not volumeItem:
        return
    parent = hierarchy.GetItemParent(volumeItem)
    name = _("{ct} results").format(ct=volumeNode.GetName())
    folder = folderOfNodes(hierarchy, earlier, parent, FOLDER_KIND) or newFolder(hierarchy, parent, name, FOLDER_KIND)
    putIntoFolder(hierarchy, folder, list(nodes))
