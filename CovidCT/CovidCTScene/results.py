"""Results into the scene: all at once or not at all, and in place of CovidCT's own earlier results only."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

import numpy as np
import slicer

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError
from CovidCTScene.chart import fillChart
from CovidCTScene.edited import EDITED_SUFFIX, isEdited, leaveToUser
from CovidCTScene.folders import folderOfNodes, leaveOutOfTree, newFolder, putIntoFolder, removeEmptyFolders
from CovidCTScene.localization import fillColourNode, fillLocalizationNode
from CovidCTScene.nodes import CLASSES_AND_NAMES, COMING_ATTRIBUTE, ResultNodes, mark, markedNodes, removeNodes
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

ADDING_ORDER = (
    "colours",
    "segmentation",
    "localization",
    "measures",
    "slices",
    "chartValues",
    "probabilitySeries",
    "areaSeries",
    "record",
    "chart",
)
"""Fields of `ResultNodes`, each after those that it refers to."""


def addAnalysisToScene(scene: Any, volumeNode: Any, analysis: Analysis) -> ResultNodes:
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

    Returns
    -------
    ResultNodes
        The new nodes.

    Raises
    ------
    InputError
        If the analysis has another grid than the CT, for example because the CT was changed meanwhile.
    """
    adding = Adding(scene, volumeNode, analysis)
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        for _step in adding.steps():
            continue
        for _step in removeReplaced(scene, volumeNode):
            continue
        return adding.nodes
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)


class Adding:
    """Puts the results of an analysis into the scene in small steps, the last of which shows them.

    Until then they are hidden and count as none, and earlier ones stay, but for their surfaces in 3D. When they are
    shown, earlier segments are hidden; `removeReplaced` removes earlier results. An earlier segmentation that was
    edited by hand is left to the user. A batch of the scene around the steps makes them one change, but at its end the
    application sets its layout anew, which takes longer than any of them.

    Parameters
    ----------
    scene, volumeNode, analysis
        As for `addAnalysisToScene`.
    prepared
        The analysis in the form in which the scene takes it, as `preparing` gives it in any thread; None prepares it
        now.
    edited
        Says, when the results are shown, whether earlier segments were edited by hand; None compares them then.
    shown
        Called with the nodes when they are shown, in the same step; puts them into the views.

    Attributes
    ----------
    done
        Whether the results are in the scene.

    Raises
    ------
    InputError
        As for `addAnalysisToScene`.
    """

    def __init__(
        self,
        scene: Any,
        volumeNode: Any,
        analysis: Analysis,
        prepared: PreparedResults | None = None,
        edited: Callable[[], bool] | None = None,
        shown: Callable[[ResultNodes], None] | None = None,
    ) -> None:
        _checkSameGrid(volumeNode, analysis)
        self._scene, self._volumeNode, self._analysis = scene, volumeNode, analysis
        self._prepared = preparing(volumeNode)(analysis) if prepared is None else prepared
        self._edited, self._shown = edited, shown
        self._added: dict[str, Any] = {}
        self._hidden: list[Any] = []
        self._byHand = False
        self.done = False

    @property
    def message(self) -> str:
        """What the user should know when all is done; else empty."""
        if not self._byHand:
            return ""
        return _(
            "The earlier segments had been edited by hand, so they were kept: hidden, in a segmentation whose "
            "name ends in {suffix}."
        ).format(suffix=EDITED_SUFFIX.strip())

    @property
    def nodes(self) -> ResultNodes:
        """The nodes, once all are there."""
        return ResultNodes(**self._added)

    def steps(self) -> Generator[float, None, None]:
        """Add a node a step; yields the share that is done (0 to 1).

        If a step fails, or the generator is closed before the last one, all that was added is removed again.

        Raises
        ------
        InputError
            If the CT was removed from the scene, or the scene was closed.
        """
        self._hidden = [display for display in self._earlierDisplays() if display.GetVisibility3D()]
        try:
            for display in self._hidden:
                # Each node that comes makes the 3D views draw them anew, half a second without a graphics card; those
                # of the new results are made when all is done.
                display.SetVisibility3D(False)
            for number, result in enumerate(ADDING_ORDER, start=1):
                self._checkThere()
                self._add(result)
                yield number / (len(ADDING_ORDER) + 1)
            self._checkThere()
            self._show()
        except BaseException:
            # Whatever went wrong, a cancelled analysis too, half a result must not stay.
            left = [node for node in self._added.values() if node.GetScene() is self._scene]
            removeNodes(self._scene, left)
            if left:
                # In a scene that was closed there are no folders, and looking for some would make their root.
                removeEmptyFolders(self._scene)
            for display in self._hidden:
                display.SetVisibility3D(True)
            raise
        self.done = True
        if self._shown is not None:
            self._shown(self.nodes)

    def _checkThere(self) -> None:
        there = [self._volumeNode, *self._added.values()]
        if any(node.GetScene() is not self._scene for node in there):
            raise InputError(
                _(
                    "The CT and its results must stay in the scene while they are added, but one was removed. Analyze "
                    "the CT again."
                )
            )

    def _add(self, result: str) -> None:
        """Add a node, hidden and marked as coming, with all that it holds."""
        className, name = CLASSES_AND_NAMES[result]
        # Lines are named as in the chart's legend, where the name of the CT would cover what is drawn.
        isLine = className == "vtkMRMLPlotSeriesNode"
        node = self._scene.AddNewNodeByClass(className, name if isLine else f"{self._volumeNode.GetName()} {name}")
        before = [*self._earlier(), *self._added.values()]
        self._added[result] = node
        node.SetAttribute(COMING_ATTRIBUTE, "true")
        mark(node, result, self._volumeNode)
        self._fill(result, node)
        _placeBeside(self._scene, self._volumeNode, node, before)

    def _fill(self, result: str, node: Any) -> None:
        added, analysis, prepared = self._added, self._analysis, self._prepared
        if result == "segmentation":
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetVisibility(False)
            fillSegmentationNode(node, self._volumeNode, prepared)
            node.SetAttribute(CHECKSUM_ATTRIBUTE, prepared.checksum)
            if prepared.first:
                node.SetAttribute(FIRST_ATTRIBUTE, prepared.first)
            if analysis.lobes is not None or analysis.areas:
                rememberAll(node, self._volumeNode)
        elif result == "colours":
            fillColourNode(node)
        elif result == "localization":
            fillLocalizationNode(node, added["colours"], self._volumeNode, prepared.heat)
        elif result == "measures":
            fillMeasureTable(node, analysis)
        elif result == "slices":
            fillSliceTable(node, analysis)
        elif result == "chartValues":
            fillChartValues(node, analysis)
            leaveOutOfTree(node)
        elif result == "record":
            node.SetText(prepared.record)
        elif result == "chart":
            # The last one, for it needs its lines and their values.
            fillChart(self.nodes, self._volumeNode, analysis)

    def _show(self) -> None:
        """Make the nodes results, and show them in place of earlier ones."""
        segmentations = [node for node in self._earlier() if node.IsA("vtkMRMLSegmentationNode")]
        if self._edited is not None:
            byHand = segmentations if self._edited() else []
        else:
            byHand = [node for node in segmentations if isEdited(node, self._volumeNode)]
        for node in byHand:
            leaveToUser(node)
            if node.GetDisplayNode() in self._hidden:
                # As the user had it, for when the segmentation is shown again.
                node.GetDisplayNode().SetVisibility3D(True)
        self._byHand = bool(byHand)
        for node in self._added.values():
            node.RemoveAttribute(COMING_ATTRIBUTE)
        hideReplaced(self._scene, self._volumeNode)
        self.nodes.segmentation.GetDisplayNode().SetVisibility(True)

    def _earlierDisplays(self) -> list[Any]:
        segmentations = (node for node in self._earlier() if node.IsA("vtkMRMLSegmentationNode"))
        displays = (node.GetDisplayNode() for node in segmentations)
        return [display for display in displays if display is not None]

    def _earlier(self) -> list[Any]:
        return [node for nodes in markedNodes(self._scene, self._volumeNode).values() for node in nodes]


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


def _placeBeside(scene: Any, volumeNode: Any, node: Any, before: Iterable[Any]) -> None:
    """Put a result into the folder of those before it, or a new one, beside the CT in the Data module's tree."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volumeItem = hierarchy.GetItemByDataNode(volumeNode) if hierarchy is not None else 0
    if not volumeItem or node.GetHideFromEditors():
        return
    parent = hierarchy.GetItemParent(volumeItem)
    name = _("{ct} results").format(ct=volumeNode.GetName())
    folder = folderOfNodes(hierarchy, before, parent, FOLDER_KIND) or newFolder(hierarchy, parent, name, FOLDER_KIND)
    putIntoFolder(hierarchy, folder, [node])
