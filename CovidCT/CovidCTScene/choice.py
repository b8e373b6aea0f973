"""Which volume of a scene is the CT that a user most likely means, and which cannot be one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid
from CovidCTScene.nodes import RESULT_ATTRIBUTE, nodesOfClass
from CovidCTScene.scan import LPS_FROM_RAS, geometryOfVolumeNode, refusalOfVolumeNode
from CovidCTScene.texts import tr as _

RED_SLICE_VIEW = "vtkMRMLSliceNodeRed"
"""Identifier of the slice view that Slicer uses for axial slices."""


def refusalOfCt(volumeNode: Any) -> str | None:
    """Say why a node cannot be analyzed, as `refusalOfVolumeNode`, with what its scene tells beside.

    Parameters
    ----------
    volumeNode
        A vtkMRMLNode, or None where nothing is chosen.

    Returns
    -------
    str or None
        One sentence, or None if the node may be analyzed. Voxels are not looked at.
    """
    refusal = refusalOfVolumeNode(volumeNode)
    if refusal is not None:
        return refusal
    if volumeNode.GetScene() is None:
        return _("Load the chest CT again: it must be in the scene, but it was removed.")
    if volumeNode.GetAttribute(RESULT_ATTRIBUTE):
        return _("Choose the CT itself: this volume is a heat map that CovidCT made of it.")
    if _isFrame(volumeNode):
        return _(
            "Choose a single CT: this volume shows the frames of a sequence, one after the other. Clone the frame "
            "that you want (Data module, right-click, Clone) and analyze the clone."
        )
    if not _canHoldHu(volumeNode):
        kind = volumeNode.GetImageData().GetScalarTypeAsString()
        return _("Choose a CT in HU: HU go from -1024 upwards, but these voxels ({kind}) cannot be under zero.").format(
            kind=kind
        )
    try:
        geometryOfVolumeNode(volumeNode)
    except InputError as error:
        return str(error)
    return None


def newestCt(scene: Any, seenBefore: Collection[str] = ()) -> Any | None:
    """Give the volume that came into the scene last and may be a CT; None where there is none.

    Parameters
    ----------
    scene
        The scene.
    seenBefore
        Identifiers of CTs that were seen before. Of several that came since, such as the studies of a course, the one
        that a slice view shows is given.
    """
    cts = [node for node in nodesOfClass(scene, "vtkMRMLScalarVolumeNode") if not node.GetHideFromEditors()]
    cts = [node for node in reversed(cts) if refusalOfCt(node) is None]
    seen = {view.GetBackgroundVolumeID() for view in nodesOfClass(scene, "vtkMRMLSliceCompositeNode")}
    newAndSeen = [node for node in cts if node.GetID() in seen and node.GetID() not in seenBefore]
    return next(iter([*newAndSeen, *cts]), None)


class SeenCts:
    """The CTs that were seen in a scene, so that one that came since can be told from them."""

    def __init__(self) -> None:
        self._ids: set[str] | None = None

    def forget(self) -> None:
        """Take the CTs of the next look for known ones, because the scene is another one."""
        self._ids = None

    def look(self, scene: Any) -> tuple[Any | None, bool]:
        """Look at a scene.

        Parameters
        ----------
        scene
            The same as at the looks before, unless `forget` was called.

        Returns
        -------
        newest, isNew
            As `newestCt`, and whether no look before this one saw it; the first look finds nothing new.
        """
        newest = newestCt(scene, self._ids or ())
        isNew = newest is not None and self._ids is not None and newest.GetID() not in self._ids
        # All of them: what stands behind a newer one is not new later.
        volumeNodes = nodesOfClass(scene, "vtkMRMLScalarVolumeNode")
        present = {node.GetID() for node in volumeNodes if refusalOfCt(node) is None}
        self._ids = present | (self._ids or set())
        return newest, isNew


def _isFrame(volumeNode: Any) -> bool:
    """Say whether a sequence browser replaces the voxels of this node."""
    return any(
        browser.IsProxyNodeID(volumeNode.GetID())
        for browser in nodesOfClass(volumeNode.GetScene(), "vtkMRMLSequenceBrowserNode")
        if hasattr(browser, "IsProxyNodeID")
    )


def _canHoldHu(volumeNode: Any) -> bool:
    """Say whether the type of the voxels goes under zero, as HU do."""
    return bool(volumeNode.GetImageData().GetScalarTypeMin() < 0)


def shownSlice(scene: Any, volumeNode: Any) -> int:
    """Give the axial slice of a CT that the red slice view shows, or that is nearest to what it shows.

    Parameters
    ----------
    scene
        Its red slice view; without one, the middle of the CT is meant.
    volumeNode
        The CT.

    Returns
    -------
    int
        Number of the axial slice in the canonical orientation, 0 at the feet, as in the table of slices.
    """
    grid = CanonicalGrid(geometryOfVolumeNode(volumeNode)).geometry
    count = grid.shape_zyx[0]
    view = scene.GetNodeByID(RED_SLICE_VIEW)
    if view is None:
        return count // 2
    matrix = view.GetSliceToRAS()
    centre = np.array([matrix.GetElement(row, 3) for row in range(3)] + [1.0])
    index = np.linalg.solve(LPS_FROM_RAS @ grid.ijk_to_lps, centre)[2]
    return int(min(max(round(float(index)), 0), count - 1))
