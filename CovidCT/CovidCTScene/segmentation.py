"""The segmentation node: five segments with fixed identifiers in two shared layers, lungs and opacities."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk

from CovidCTLib.analysis import Analysis
from CovidCTLib.labels import LUNG_LABELS, OPACITY_LABELS, PLEURAL_EFFUSION, Label
from CovidCTScene.scan import ijkToRasOfVolumeNode
from CovidCTScene.segment_voxels import BINARY_LABELMAP

LUNG_FILL_DISPLAY_OPACITY = 0.15
"""The lungs are drawn faintly, so that opacities and CT stay visible under them (chosen by eye)."""

LUNG_3D_DISPLAY_OPACITY = 0.3


def fillSegmentationNode(segmentationNode: Any, volumeNode: Any, analysis: Analysis) -> None:
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
    analysis
        Its ``lungs`` and ``opacities`` have the grid of the CT.
    """
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentation = segmentationNode.GetSegmentation()
    if hasattr(segmentation, "SetSourceRepresentationName"):
        segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
    else:  # Slicer up to 5.6
        segmentation.SetMasterRepresentationName(BINARY_LABELMAP)
    ijkToRas = ijkToRasOfVolumeNode(volumeNode)
    for array, labels in ((analysis.lungs, LUNG_LABELS), (analysis.opacities, OPACITY_LABELS)):
        layer = _orientedImage(array, ijkToRas)
        for value, label in enumerate(labels, start=1):
            # No network predicts effusion yet; an empty segment would read as: looked for and not found.
            if label is PLEURAL_EFFUSION and not (array == value).any():
                continue
            segmentation.AddSegment(_segment(label, layer, value), label.segment_id)
    display = segmentationNode.GetDisplayNode()
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
    layer = _orientedImage(labels, ijkToRasOfVolumeNode(volumeNode))
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


def _orientedImage(array: NDArray[np.uint8], ijkToRas: NDArray[np.float64]) -> Any:
    """Copy the labelled part of an array (z, y, x) into an oriented image whose extent is that part's place."""
    bounds = []
    for axis in range(3):
        used = np.flatnonzero(array.any(axis=tuple(other for other in range(3) if other != axis)))
        # An empty layer keeps one background voxel, for an image without voxels cannot be stored.
        bounds.append((int(used[0]), int(used[-1])) if used.size else (0, 0))
    part = array[tuple(slice(low, high + 1) for low, high in bounds)]
    image = slicer.vtkOrientedImageData()
    (zLow, zHigh), (yLow, yHigh), (xLow, xHigh) = bounds
    image.SetExtent(xLow, xHigh, yLow, yHigh, zLow, zHigh)
    image.SetImageToWorldMatrix(_matrix(ijkToRas))
    scalars = numpy_to_vtk(np.ascontiguousarray(part).ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def _matrix(values: NDArray[np.float64]) -> Any:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([float(value) for value in values.ravel()])
    return matrix
