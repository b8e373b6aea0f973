"""From a point of a chart or a row of a table to the slice that it stands for, for every analyzed CT of a scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from CovidCTScene.nodes import ResultNodes, analyzedCts, resultNodesOf
from CovidCTScene.views import jumpToSlice, sliceOfRow


def jumpToChartPoint(scene: Any, seriesId: str, row: int) -> None:
    """Move the slice views to the slice of a point in the chart of any analyzed CT.

    Parameters
    ----------
    scene
        Holds the CTs and their results.
    seriesId
        Identifier of the vtkMRMLPlotSeriesNode; where it belongs to no CT's results, nothing happens.
    row
        The point, from 0, which is the row of the table of slices.

    Raises
    ------
    InputError
        If the row holds no slice of the CT.
    """
    _jump(scene, row, lambda nodes: seriesId in (nodes.probabilitySeries.GetID(), nodes.areaSeries.GetID()))


def jumpToTableRow(scene: Any, tableId: str, row: int) -> None:
    """Move the slice views to the slice of a row in the table of slices of any analyzed CT.

    Parameters
    ----------
    scene
        Holds the CTs and their results.
    tableId
        Identifier of the vtkMRMLTableNode; where it is no CT's table of slices, nothing happens.
    row
        From 0.

    Raises
    ------
    InputError
        If the row holds no slice of the CT.
    """
    _jump(scene, row, lambda nodes: tableId == nodes.slices.GetID())


def _jump(scene: Any, row: int, isMeant: Callable[[ResultNodes], bool]) -> None:
    """Move the slice views to the slice of a row of the results that are meant."""
    for volumeNode in analyzedCts(scene):
        nodes = resultNodesOf(scene, volumeNode)
        if nodes is not None and isMeant(nodes):
            jumpToSlice(scene, volumeNode, sliceOfRow(nodes.slices, row))
