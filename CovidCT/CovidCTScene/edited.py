"""Segmentations that the user changed by hand: how they are told, and how they are left to the user."""

from __future__ import annotations

from typing import Any

from CovidCTScene.edit_watch import EditCheck
from CovidCTScene.nodes import unmark
from CovidCTScene.remeasure import FIRST_ATTRIBUTE
from CovidCTScene.scene_segments import ALL_ATTRIBUTE, MEASURED_ATTRIBUTE
from CovidCTScene.snapshot import CHECKSUM_ATTRIBUTE

EDITED_SUFFIX = " (edited)"
"""What is added to the name of a segmentation that is left to the user."""


def isEdited(segmentationNode: Any, volumeNode: Any) -> bool:
    """Say whether a segmentation of CovidCT holds anything that the analysis did not put there.

    Parameters
    ----------
    segmentationNode
        CovidCT's segmentation.
    volumeNode
        The CT that it was made from.

    Returns
    -------
    bool
        True where it has further segments, a segment is gone or has other voxels, or that cannot be told.
    """
    check = EditCheck(segmentationNode, volumeNode, sinceAnalysis=True)
    for _share in check.steps():
        continue
    return check.edited()


def leaveToUser(segmentationNode: Any) -> None:
    """Make CovidCT's segmentation the user's own: without marks, renamed, and hidden, for it lies under a new one."""
    unmark(segmentationNode)
    for attribute in (CHECKSUM_ATTRIBUTE, ALL_ATTRIBUTE, MEASURED_ATTRIBUTE, FIRST_ATTRIBUTE):
        segmentationNode.RemoveAttribute(attribute)
    segmentationNode.SetName(f"{segmentationNode.GetName()}{EDITED_SUFFIX}")
    display = segmentationNode.GetDisplayNode()
    if display is not None:
        display.SetVisibility(False)
