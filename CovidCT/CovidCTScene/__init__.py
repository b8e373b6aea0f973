"""Between Slicer's scene and the library: scene and nodes come as arguments, nothing here knows of a user interface."""

from __future__ import annotations

from CovidCTScene.clicks import jumpToChartPoint, jumpToTableRow
from CovidCTScene.editor import editorNodeFor
from CovidCTScene.export import analysisFromScene, exportResults
from CovidCTScene.followup import (
    SceneStudy,
    addFollowUpToScene,
    analyzedStudies,
    followUpNodesOf,
    sceneStudy,
    studiesOfPatient,
)
from CovidCTScene.followup_nodes import FollowUpNodes
from CovidCTScene.layout import showTableNode
from CovidCTScene.nodes import ResultNodes, analyzedCts, resultNodesOf
from CovidCTScene.results import addAnalysisToScene
from CovidCTScene.sample import addSample, addSampleCourse, registerSamples
from CovidCTScene.scan import refusalOfVolumeNode, scanFromVolumeNode
from CovidCTScene.snapshot import Snapshot
from CovidCTScene.surfaces import Surfaces
from CovidCTScene.views import (
    WINDOW_PRESETS,
    applyWindowPreset,
    is3DShown,
    isHeatMapShown,
    jumpToSlice,
    rasOfSlice,
    show3D,
    showAnalysis,
    showCt,
    showHeatMap,
    sliceOfRow,
)

__all__ = [
    "WINDOW_PRESETS",
    "FollowUpNodes",
    "ResultNodes",
    "SceneStudy",
    "Snapshot",
    "Surfaces",
    "addAnalysisToScene",
    "addFollowUpToScene",
    "addSample",
    "addSampleCourse",
    "analysisFromScene",
    "analyzedCts",
    "analyzedStudies",
    "applyWindowPreset",
    "editorNodeFor",
    "exportResults",
    "followUpNodesOf",
    "is3DShown",
    "isHeatMapShown",
    "jumpToChartPoint",
    "jumpToSlice",
    "jumpToTableRow",
    "rasOfSlice",
    "refusalOfVolumeNode",
    "registerSamples",
    "resultNodesOf",
    "scanFromVolumeNode",
    "sceneStudy",
    "show3D",
    "showAnalysis",
    "showCt",
    "showHeatMap",
    "showTableNode",
    "sliceOfRow",
    "studiesOfPatient",
]
