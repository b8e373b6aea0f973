"""Segmentations that the user changed by hand: how they are told, and how they are left to the user."""

from __future__ import annotations

from typing import Any

from CovidCTLib.errors import InputError
from CovidCTLib.labels import LABELS
from CovidCTScene.nodes import unmark
from CovidCTScene.segment_voxels import SegmentReader
from CovidCTScene.snapshot import CHECKSUM_ATTRIBUTE, checksum

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
    segmentation = segmentationNode.GetSegmentation()
    known = {label.segment_id for label in LABELS}
    if not known.issuperset(segmentation.GetSegmentIDs()):
        return True
    try:
        reader = SegmentReader(segmentationNode, volumeNode)
        for _share in reader.steps():
            continue
    except InputError:
        # A lung or an opacity has no segment any more, or one that is not stored as voxels.
        return True
    return bool(segmentationNode.GetAttribute(CHECKSUM_ATTRIBUTE) != checksum(reader.lungs, reader.opacities))


def leaveToUser(segmentationNode: Any) -> None:
    """Make CovidCT's segmentation the user's own: without marks, renamed, and hidden, for it lies under a new one."""
    unmark(segmentationNode)
    segmentationNode.RemoveAttribute(CHECKSUM_ATTRIBUTE)
    segmentationNode.SetName(f"{segmentationNode.GetName()}{EDITED_SUFFIX}")
    display = segmentationNode.GetDisplayNode()
    if display is not None:
        display.SetVisibility(False)
