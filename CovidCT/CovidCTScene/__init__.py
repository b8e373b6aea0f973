"""Between Slicer's scene and the library: scene and nodes come as arguments, nothing here knows of a user interface."""

from __future__ import annotations

from CovidCTScene.results import ResultNodes, addAnalysisToScene, resultNodesOf, showAnalysis
from CovidCTScene.scan import refusalOfVolumeNode, scanFromVolumeNode

__all__ = [
    "ResultNodes",
    "addAnalysisToScene",
    "refusalOfVolumeNode",
    "resultNodesOf",
    "scanFromVolumeNode",
    "showAnalysis",
]
