"""The segmentation node: five segments with fixed identifiers in two shared layers, lungs and opacities."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from CovidCTLib.labels import LOBE_LABELS, LUNG_LABELS, Label
from CovidCTScene.prepared_results import PreparedResults, orientedImage
from CovidCTScene.scan import ijkToRasOfVolumeNode
from CovidCTScene.segment_voxels import BINARY_LABELMAP

LUNG_FILL_DISPLAY_OPACITY = 0.15
"""The lungs are drawn faintly, so that opacities and CT stay visible under them (chosen by eye)."""

LUNG_3D_DISPLAY_OPACITY = 0.3


def fillSegmentationNode(segmentationNode: Any, volumeNode: Any, prepared: PreparedResults) -> None:
    """Put lungs and opacities into an empty segmentation node.

    Right and left lung share one layer and hold the diseased lung too; the opacities share another, so that a lung
    and its opacities may overlap. Both lungs, ground-glass opacity and consolidation are always there, empty if nothing
    was found; pleural effusion only where it is present, as in ``segmentation.seg.nrrd``.

    Parameters
    ----------
    segmentationNode
        A vtkMRMLSegmentationNode in the scene.
    volumeNode
        The CT, which becomes the reference geometry.
    prepared
        Holds the layers.
    """
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentation = segmentationNode.GetSegmentation()
    if hasattr(segmentation, "SetSourceRepresentationName"):
        segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
    else:  # Slicer up to 5.6
        segmentation.SetMasterRepresentationName(BINARY_LABELMAP)
    for layer, segments in prepared.layers:
        for value, label in segments:
            segmentation.AddSegment(_segment(label, layer, value), label.segment_id)
    display = segmentationNode.GetDisplayNode()
    for label in LOBE_LABELS:
        # They lie on lungs and opacities, which a reader looks at first; the Data module shows them.
        if segmentation.GetSegment(label.segment_id) is not None:
            display.SetSegmentVisibility(label.segment_id, False)
    for label in LUNG_LABELS:
        display.SetSegmentOpacity2DFill(label.segment_id, LUNG_FILL_DISPLAY_OPACITY)
        display.SetSegmentOpacity3D(label.segment_id, LUNG_3D_DISPLAY_OPACITY)


def fillChangeNode(segmentationNode: Any, volumeNode: Any, labels: NDArray[np.uint8]) -> None:
    """Put the map of what changed into an empty segmentation node.

    Parameters
    ----------
    segmentationNode, volumeNode
        As for `fillSegmentationNode`; the CT is the later study.
    labels
        uint8 on the grid of the CT: 0, or a value of `CovidCTLib.followup.result.CHANGE_LABELS`. Each of these has a
        segment, empty where nothing was found.
    """
    from CovidCTLib.followup.result import CHANGE_LABELS

    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentation = segmentationNode.GetSegmentation()
    layer = orientedImage(labels, ijkToRasOfVolumeNode(volumeNode))
    for label in CHANGE_LABELS.values():
        segmentation.AddSegment(_segment(label, layer, label.value), label.segment_id)


def _segment(label: Label, layer: Any, value: int) -> Any:
    # The package of the results needs more than Slicer ships, so it loads only after an analysis.
    from CovidCTLib.results.segmentation_file import terminology_entry

    segment = slicer.vtkSegment()
    segment.SetName(label.name)
    segment.SetColor(*(channel / 255 for channel in label.colour))
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), terminology_entry(label))
    segment.AddRepresentation(BINARY_LABELMAP, layer)
    segment.SetLabelValue(value)
    return segment
