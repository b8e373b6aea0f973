"""The node that tells Slicer's Segment Editor which segmentation and CT it works on."""

from __future__ import annotations

from typing import Any

from CovidCTLib.labels import GGO

SINGLETON_TAG = "SegmentEditor"
"""Tag of the node that the module Segment Editor uses."""


def editorNodeFor(scene: Any, segmentationNode: Any, volumeNode: Any) -> Any:
    """Give the Segment Editor's node with a segmentation and its CT chosen, so that it opens with these and no others.

    Overlap is allowed: an opacity lies in its lung, and to paint it must not take the lung away.

    Parameters
    ----------
    scene
        A vtkMRMLScene.
    segmentationNode
        The segmentation to edit.
    volumeNode
        The CT that it was made from.
    """
    node = scene.GetSingletonNode(SINGLETON_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.SetSingletonTag(SINGLETON_TAG)
        node.UnRegister(None)
        node = scene.AddNode(node)
    node.SetAndObserveSegmentationNode(segmentationNode)
    setSource = getattr(node, "SetAndObserveSourceVolumeNode", None) or node.SetAndObserveMasterVolumeNode
    setSource(volumeNode)
    node.SetOverwriteMode(node.OverwriteNone)
    if segmentationNode.GetSegmentation().GetSegment(GGO.segment_id) is not None:
        # Opacities are what is corrected most.
        node.SetSelectedSegmentID(GGO.segment_id)
    return node
