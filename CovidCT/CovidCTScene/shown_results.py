"""What the user sees of a CT's results, noted before they are replaced, and shown again of the new ones."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from CovidCTScene.nodes import ResultNodes, nodesOfClass
from CovidCTScene.views import is3DShown, isHeatMapShown, showHeatMap

TABLE_VIEW, PLOT_VIEW = "vtkMRMLTableViewNode", "vtkMRMLPlotViewNode"


@dataclass(frozen=True)
class ShownResults:
    """What is seen of one analysis.

    Parameters
    ----------
    heatMap, surfaces
        Whether the heat map lies over the CT, and whether the 3D views show surfaces.
    views
        Identifier of each table or chart view that shows a node of the results, with the field of `ResultNodes`.
    activeTable
        Field of the table that the application takes for the chosen one; None if it is none of them.
    """

    heatMap: bool = False
    surfaces: bool = False
    views: tuple[tuple[str, str], ...] = ()
    activeTable: str | None = None


def shownResults(scene: Any, nodes: ResultNodes | None) -> ShownResults:
    """See what is shown of results; nothing where there are none."""
    if nodes is None:
        return ShownResults()
    names = {getattr(nodes, field.name).GetID(): field.name for field in fields(ResultNodes)}
    views = [(view.GetID(), names.get(view.GetTableNodeID())) for view in nodesOfClass(scene, TABLE_VIEW)]
    views += [(view.GetID(), names.get(view.GetPlotChartNodeID())) for view in nodesOfClass(scene, PLOT_VIEW)]
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    return ShownResults(
        isHeatMapShown(scene, nodes),
        is3DShown(nodes),
        tuple((identifier, name) for identifier, name in views if name is not None),
        names.get(selection.GetActiveTableID()) if selection is not None else None,
    )


def showAgain(scene: Any, volumeNode: Any, nodes: ResultNodes, shown: ShownResults) -> None:
    """Show new results where the earlier ones were shown; surfaces are left to whoever makes them."""
    if shown.heatMap:
        showHeatMap(scene, volumeNode, nodes, True)
    for identifier, name in shown.views:
        view = scene.GetNodeByID(identifier)
        if view is None:
            continue
        node = getattr(nodes, name)
        if view.IsA(TABLE_VIEW):
            view.SetTableNodeID(node.GetID())
        else:
            view.SetPlotChartNodeID(node.GetID())
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    if selection is not None and shown.activeTable is not None:
        selection.SetActiveTableID(getattr(nodes, shown.activeTable).GetID())
