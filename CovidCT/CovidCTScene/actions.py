"""What the module does with the CTs of one scene, each named by its node's identifier; nothing here keeps a node."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import InputError
from CovidCTLib.scan import Scan, SourceSeries
from CovidCTScene.choice import newestCt, refusalOfCt, shownSlice
from CovidCTScene.dicom import earlierResultsLater, hasEarlierResults, refusalOfDicom, sourceLater
from CovidCTScene.edit_watch import EditCheck, EditWatch
from CovidCTScene.followup import SceneStudy, addFollowUpToScene, analyzedStudies, followUpNodesOf, studiesOfPatient
from CovidCTScene.followup_changes import Changes, areChangesShown, changeNodeOf, comparedCts, showChanges
from CovidCTScene.followup_summary import FollowUpSummary, summaryOf, summaryOfNodes
from CovidCTScene.handover import handOverOfVolumeNode
from CovidCTScene.nodes import ResultNodes, isResult, nodesOfClass, resultNodesOf
from CovidCTScene.prepared_results import PreparedResults, preparing
from CovidCTScene.remeasure import Remeasure
from CovidCTScene.replaced import removeReplaced, showInPlace
from CovidCTScene.results import Adding
from CovidCTScene.scan import scanLater
from CovidCTScene.segments_handover import SegmentsHandOver
from CovidCTScene.snapshot import Snapshot
from CovidCTScene.surfaces import Surfaces
from CovidCTScene.texts import tr as _
from CovidCTScene.views import applyWindowPreset, is3DShown, isHeatMapShown, show3D, showAnalysis, showCt, showHeatMap

RECORD_VERSION = 1
"""Newest version of the record (`CovidCTLib.results.record.SCHEMA_VERSION`) that the panel can show."""


class SceneActions:
    """Acts on one scene. Every method that takes an identifier raises InputError where that CT is gone.

    Parameters
    ----------
    scene
        A vtkMRMLScene.
    showChartNode, showTableNode
        Show a vtkMRMLPlotChartNode and a vtkMRMLTableNode in the layout of the application.
    openStatistics
        Opens Slicer's module Segment Statistics with a vtkMRMLSegmentationNode and a vtkMRMLScalarVolumeNode.
    openEditor
        Opens Slicer's Segment Editor with the same.
    dicomDatabase
        Gives Slicer's ctkDICOMDatabase; None where there is none.
    """

    def __init__(
        self,
        scene: Any,
        showChartNode: Callable[[Any], None],
        showTableNode: Callable[[Any], None],
        openStatistics: Callable[[Any, Any], None],
        openEditor: Callable[[Any, Any], None],
        dicomDatabase: Callable[[], Any | None] = lambda: None,
    ) -> None:
        self._scene = scene
        self._showChartNode = showChartNode
        self._showTableNode = showTableNode
        self._edits = EditWatch()
        self._openStatistics = openStatistics
        self._openEditor = openEditor
        self._dicomDatabase = dicomDatabase

    def has(self, volumeId: str) -> bool:
        """Say whether the CT is still in the scene."""
        return self._scene.GetNodeByID(volumeId) is not None

    def hasCt(self) -> bool:
        """Say whether any volume of the scene may be a CT."""
        return newestCt(self._scene) is not None

    def name(self, volumeId: str) -> str:
        """Give the name of the CT's node, which may be a patient's."""
        return str(self._node(volumeId).GetName() or "")

    def refusal(self, volumeId: str | None) -> str | None:
        """Say why the CT cannot be analyzed; None if it can. ``volumeId`` is None where nothing is chosen."""
        return refusalOfCt(self._scene.GetNodeByID(volumeId) if volumeId else None)

    def handOver(self, volumeId: str) -> tuple[int, Callable[[Path], Iterator[float]]]:
        """Prepare to write the CT to a file, as `handOverOfVolumeNode`.

        Raises
        ------
        InputError
            If the CT cannot be analyzed (`refusal`).
        """
        refusal = self.refusal(volumeId)
        if refusal is not None:
            raise InputError(refusal)
        return handOverOfVolumeNode(self._node(volumeId))

    def scanLater(self, volumeId: str) -> Callable[[], Scan]:
        """Prepare to take the CT, as `scanLater` of `CovidCTScene.scan`."""
        return scanLater(self._node(volumeId))

    def preparing(self, volumeId: str) -> Callable[[Any], PreparedResults]:
        """Give what makes an analysis ready for the scene in any thread, as `preparing` of `prepared_results`."""
        return preparing(self._node(volumeId))

    def adding(
        self,
        volumeId: str,
        analysis: Analysis,
        prepared: PreparedResults | None = None,
        edited: Callable[[], bool] | None = None,
    ) -> Adding:
        """Prepare to put results into the scene in small steps, as `Adding`; the last one shows them in the views.

        Surfaces are not made, and earlier results only hidden; `replacing` does the rest.
        """
        node = self._node(volumeId)
        return Adding(
            self._scene, node, analysis, prepared, edited, lambda nodes: showAnalysis(self._scene, node, nodes)
        )

    def add(self, volumeId: str, analysis: Analysis) -> str:
        """Put results into the scene in place of earlier ones, all at once, and show them in the views.

        Says what the user should know, or is empty.
        """
        adding = self.adding(volumeId, analysis)
        for _share in (*adding.steps(), *self.replacing(volumeId)):
            continue
        return adding.message

    def replacing(self, volumeId: str) -> Iterator[float]:
        """Show what `adding` has put into the scene where earlier results are shown, and remove those, in small steps.

        Yields the share that is done. If the CT is gone by then, so are its results.
        """
        node = self._scene.GetNodeByID(volumeId)
        if node is None:
            return
        showInPlace(self._scene, node)
        yield 0.0
        yield from removeReplaced(self._scene, node)

    def record(self, volumeId: str | None) -> dict[str, Any] | None:
        """Give what ``analysis.json`` says of the CT; None where it has no results that this version can show."""
        nodes = self._results(volumeId)
        if nodes is None:
            return None
        try:
            record = json.loads(nodes.record.GetText() or "")
        except ValueError:
            return None
        return record if isinstance(record, dict) and record.get("schema_version") == RECORD_VERSION else None

    def snapshot(self, volumeId: str) -> Snapshot:
        """Prepare to take the analysis of the CT from the scene, as `Snapshot`."""
        return Snapshot(self._scene, self._node(volumeId))

    def refusalOfDicom(self, volumeId: str) -> str | None:
        """Say why no DICOM results can be made of the CT; None if they can."""
        return refusalOfDicom(self._dicomDatabase(), self._node(volumeId))

    def sourceLater(self, volumeId: str) -> Callable[[], SourceSeries]:
        """Prepare to read the DICOM study of the CT, as `sourceLater` of `CovidCTScene.dicom`."""
        return sourceLater(self._dicomDatabase(), self._node(volumeId))

    def hasEarlierResults(self, volumeId: str) -> bool:
        """Say whether the DICOM study of the CT holds results of an earlier analysis."""
        return hasEarlierResults(self._dicomDatabase(), self._node(volumeId))

    def earlierResultsLater(self, volumeId: str) -> Callable[[], Analysis]:
        """Prepare to read results of an earlier analysis, as `earlierResultsLater` of `CovidCTScene.dicom`."""
        return earlierResultsLater(self._dicomDatabase(), self._node(volumeId), self.scanLater(volumeId))

    def surfaces(self, volumeId: str) -> Surfaces | None:
        """Prepare to make the surfaces, as `Surfaces`; None where `show3D` has nothing long to do."""
        nodes = self._resultsOrRefusal(volumeId)
        return Surfaces(self._scene, nodes) if Surfaces.areNeeded(nodes) else None

    def is3DShown(self, volumeId: str) -> bool:
        """Say whether the surfaces are there and visible."""
        nodes = self._results(volumeId)
        return nodes is not None and is3DShown(nodes)

    def show3D(self, volumeId: str, shown: bool) -> None:
        """Show or hide the surfaces; without any, Slicer's own converter makes them at once."""
        show3D(self._scene, self._resultsOrRefusal(volumeId), shown)

    def isHeatMapShown(self, volumeId: str) -> bool:
        """Say whether the heat map lies over the CT."""
        nodes = self._results(volumeId)
        return nodes is not None and isHeatMapShown(self._scene, nodes)

    def showHeatMap(self, volumeId: str, shown: bool) -> None:
        """Lay the heat map over the CT, or take it away."""
        showHeatMap(self._scene, self._node(volumeId), self._resultsOrRefusal(volumeId), shown)

    def applyWindow(self, volumeId: str | None, name: str) -> None:
        """Show the CT in one of the windows of `CovidCTScene.views.WINDOW_PRESETS`, and in every slice view."""
        applyWindowPreset(self._scene.GetNodeByID(volumeId) if volumeId else None, name)
        if volumeId is not None:
            self.showCt(volumeId)

    def showCt(self, volumeId: str) -> None:
        """Show the CT in every slice view, with its segments, and no other CT's segments and heat map."""
        showCt(self._scene, self._node(volumeId), self._results(volumeId))

    def heatMaps(self) -> list[str]:
        """Give the identifiers of all heat maps that CovidCT made, which are no CTs to choose."""
        return [
            node.GetID()
            for node in nodesOfClass(self._scene, "vtkMRMLScalarVolumeNode")
            if isResult(node, "localization")
        ]

    def watchEdits(self, volumeId: str | None, onEdit: Callable[[], None]) -> None:
        """Call a function whenever segments of the CT's results change; None watches nothing."""
        nodes = self._results(volumeId)
        self._edits.follow(nodes.segmentation if nodes is not None else None, onEdit)

    def editCheck(self, volumeId: str, sinceAnalysis: bool = False) -> EditCheck | None:
        """Prepare to compare the segments with those that were measured, as `EditCheck`; None where there are none."""
        nodes = self._results(volumeId)
        return None if nodes is None else EditCheck(nodes.segmentation, self._node(volumeId), sinceAnalysis)

    def editSegments(self, volumeId: str) -> None:
        """Open Slicer's Segment Editor with the segmentation and its CT."""
        self._openEditor(self._resultsOrRefusal(volumeId).segmentation, self._node(volumeId))

    def isMeasured(self, volumeId: str, segmentationId: str) -> bool:
        """Say whether a segmentation is that of the CT's results."""
        nodes = self._results(volumeId)
        return nodes is not None and nodes.segmentation.GetID() == segmentationId

    def segmentsHandOver(self, volumeId: str, segmentationId: str) -> SegmentsHandOver:
        """Prepare to write any segmentation of the scene to a file, as `SegmentsHandOver`.

        Raises
        ------
        InputError
            If the segmentation was removed.
        """
        node = self._scene.GetNodeByID(segmentationId)
        if node is None:
            raise InputError(_("The segmentation must be in the scene, but it was removed. Choose another."))
        return SegmentsHandOver(node, self._node(volumeId))

    def remeasure(self, volumeId: str) -> Remeasure:
        """Prepare to measure the segments as they are now, as `Remeasure`."""
        return Remeasure(self._scene, self._node(volumeId))

    def shownSlice(self, volumeId: str) -> int:
        """Give the number of the axial slice that the red view shows."""
        return shownSlice(self._scene, self._node(volumeId))

    def showChart(self, volumeId: str) -> None:
        """Show the chart of the slices."""
        self._showChartNode(self._resultsOrRefusal(volumeId).chart)

    def showTable(self, volumeId: str) -> None:
        """Show the table of the slices."""
        self._showTableNode(self._resultsOrRefusal(volumeId).slices)

    def showMeasures(self, volumeId: str) -> None:
        """Show the table of all measures."""
        self._showTableNode(self._resultsOrRefusal(volumeId).measures)

    def openStatistics(self, volumeId: str) -> None:
        """Open Slicer's module Segment Statistics with the segmentation and its CT."""
        self._openStatistics(self._resultsOrRefusal(volumeId).segmentation, self._node(volumeId))

    def studies(self, volumeId: str | None) -> list[tuple[str, str, str, bool]]:
        """Give every analyzed CT, by date: identifier, name, date, and whether it is of the same patient as a CT.

        The date is ``YYYY-MM-DD``, or empty where it is not known.
        """
        node = self._scene.GetNodeByID(volumeId) if volumeId else None
        ofPatient = studiesOfPatient(self._scene, node) if node is not None else ()
        same = {study.volumeNode.GetID() for study in ofPatient}
        return [
            (
                study.volumeNode.GetID(),
                study.volumeNode.GetName(),
                study.date.isoformat() if study.date else "",
                study.volumeNode.GetID() in same,
            )
            for study in analyzedStudies(self._scene)
        ]

    def followUp(self, chosen: Sequence[tuple[str, str]]) -> FollowUpSummary:
        """Put the course of studies into the scene and show its chart.

        Parameters
        ----------
        chosen
            Identifier and date of each study; an empty date takes what the scene says.

        Raises
        ------
        InputError
            If a date is none, and as `addFollowUpToScene`.
        """
        from CovidCTLib.followup import parse_date

        analyzed = {study.volumeNode.GetID(): study for study in analyzedStudies(self._scene)}
        studies = []
        for identifier, typed in chosen:
            study = analyzed.get(identifier)
            if study is None:
                raise InputError(_("Each ticked study must be in the scene with its results, but one was removed."))
            date = parse_date(typed) if typed else study.date
            studies.append(SceneStudy(study.volumeNode, study.record, date))
        nodes, followUp = addFollowUpToScene(self._scene, studies)
        self._showChartNode(nodes.bothLungs)
        return summaryOf(followUp)

    def earlierFollowUp(self, volumeId: str | None) -> FollowUpSummary | None:
        """Give the follow-up that the CT is a study of, as it is in the scene; None where there is none."""
        node = self._scene.GetNodeByID(volumeId) if volumeId else None
        nodes = followUpNodesOf(self._scene, node) if node is not None else None
        return None if nodes is None else summaryOfNodes(nodes)

    def areChangesShown(self, volumeId: str | None) -> bool | None:
        """Say whether the map of what changed up to the CT is shown; None where the CT is in no follow-up."""
        node = self._scene.GetNodeByID(volumeId) if volumeId else None
        cts = comparedCts(self._scene, node) if node is not None else None
        if cts is None:
            return None
        changeNode = changeNodeOf(self._scene, *cts)
        return changeNode is not None and areChangesShown(changeNode)

    def changes(self, volumeId: str) -> Changes | None:
        """Prepare to make the map of what changed, as `Changes`; None where `showChanges` has nothing long to do."""
        cts = self._comparedCts(volumeId)
        return Changes(self._scene, *cts) if changeNodeOf(self._scene, *cts) is None else None

    def showChanges(self, volumeId: str, shown: bool) -> None:
        """Show or hide the map of what changed; where there is none, nothing happens."""
        changeNode = changeNodeOf(self._scene, *self._comparedCts(volumeId))
        if changeNode is not None:
            showChanges(self._scene, changeNode, shown)

    def _comparedCts(self, volumeId: str) -> tuple[Any, Any]:
        cts = comparedCts(self._scene, self._node(volumeId))
        if cts is None:
            raise InputError(_("A follow-up of this CT must be there, but there is none. Compare its studies first."))
        return cts

    def _node(self, volumeId: str) -> Any:
        node = self._scene.GetNodeByID(volumeId)
        if node is None:
            raise InputError(_("The CT must be in the scene, but it was removed. Choose or load one."))
        return node

    def _results(self, volumeId: str | None) -> ResultNodes | None:
        node = self._scene.GetNodeByID(volumeId) if volumeId else None
        return resultNodesOf(self._scene, node) if node is not None else None

    def _resultsOrRefusal(self, volumeId: str) -> ResultNodes:
        nodes = self._results(volumeId)
        if nodes is None:
            raise InputError(_("Results of this CT must be in the scene, but there are none. Press Analyze first."))
        return nodes
