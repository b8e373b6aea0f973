"""Any segmentation of the scene on the grid of a CT, a few slices at a time: all of its segments, whatever they are."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTScene.scan import geometryOfVolumeNode, ijkToRasOfVolumeNode
from CovidCTScene.segment_voxels import BINARY_LABELMAP, Layer
from CovidCTScene.texts import tr as _

MEASURED_ATTRIBUTE = "CovidCT.Measured"
"""Attribute of the segmentation node: checksum of all segments as they were measured again; none before that."""

ALL_ATTRIBUTE = "CovidCT.All"
"""The same of the analysis, where it has further segments than lungs and opacities; none where it has not."""

GIVEN_AS = "Slicer segmentation"
"""Kind of the segmentation in the results."""

HIGHEST_LABEL = 65535
"""Slicer stores segments in whole numbers up to it."""


def rememberAll(segmentationNode: Any, volumeNode: Any) -> None:
    """Note all segments of new results, lobes and areas too, as those that were measured."""
    segments = SceneSegments(segmentationNode, volumeNode)
    for _share in segments.steps():
        continue
    for attribute in (ALL_ATTRIBUTE, MEASURED_ATTRIBUTE):
        segmentationNode.SetAttribute(attribute, segments.checksum())


class SceneSegments:
    """Takes all segments out of a segmentation, piece by piece.

    Parameters
    ----------
    segmentationNode
        Any vtkMRMLSegmentationNode.
    volumeNode
        The CT, on whose grid the segments are wanted.

    Raises
    ------
    InputError
        If the segmentation lies under a transform, or a segment is not stored as voxels.
    """

    def __init__(self, segmentationNode: Any, volumeNode: Any) -> None:
        if segmentationNode.GetParentTransformNode() is not None:
            raise InputError(
                _(
                    "Harden or remove the transform first: the segmentation must lie in the scene without one, but it "
                    "is under a transform (Data module, right-click the transform of the segmentation)."
                )
            )
        x, y, z = volumeNode.GetImageData().GetDimensions()
        self._shape = (z, y, x)
        self._geometry = geometryOfVolumeNode(volumeNode)
        ijkToRas = ijkToRasOfVolumeNode(volumeNode)
        self._segmentation = segmentationNode
        self._layers: dict[Any, tuple[Layer, NDArray[Any]]] = {}
        self._segments: list[tuple[str, str, str, Any, int]] = []
        segmentation = segmentationNode.GetSegmentation()
        for index in range(segmentation.GetNumberOfSegments()):
            segment = segmentation.GetNthSegment(index)
            image = segment.GetRepresentation(BINARY_LABELMAP)
            if image is None:
                raise InputError(
                    _(
                        "The segment {segment!r} must be stored as voxels, but has no representation "
                        "{representation!r}. Create it in the module Segmentations."
                    ).format(segment=segment.GetName(), representation=BINARY_LABELMAP)
                )
            if image not in self._layers:
                layer = Layer(image, ijkToRas, self._shape)
                self._layers[image] = (layer, np.zeros(self._shape, _typeOf(image)))
            self._segments.append(
                (
                    segmentation.GetNthSegmentID(index),
                    str(segment.GetName() or ""),
                    _terminologyOf(segment),
                    image,
                    int(segment.GetLabelValue()),
                )
            )

    @property
    def geometry(self) -> Geometry:
        """Grid of the CT."""
        return self._geometry

    @property
    def layers(self) -> list[NDArray[Any]]:
        """Voxels of each layer as far as they were read, shape (z, y, x)."""
        return [array for _layer, array in self._layers.values()]

    @property
    def byteCount(self) -> int:
        """Size of all layers in bytes."""
        return sum(array.nbytes for array in self.layers)

    def listed(self) -> list[tuple[str, str, int, int]]:
        """Give name, terminology, number of the layer and value there of each segment."""
        numbers = {id(image): number for number, image in enumerate(self._layers)}
        return [
            (name, terminology, numbers[id(image)], value)
            for _identifier, name, terminology, image, value in self._segments
        ]

    @property
    def empty(self) -> bool:
        """Whether there is no segment."""
        return not self._segments

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Give what changes with any voxel of any segment, and with the segments themselves."""
        segmentation = self._segmentation.GetSegmentation()
        stamps = []
        for index in range(segmentation.GetNumberOfSegments()):
            segment = segmentation.GetNthSegment(index)
            image = segment.GetRepresentation(BINARY_LABELMAP)
            changed = int(image.GetMTime()) if image is not None else -1
            stamps.append((segmentation.GetNthSegmentID(index), changed, int(segment.GetLabelValue())))
        return tuple(stamps)

    def steps(self) -> Iterator[float]:
        """Copy all layers, at most `CovidCTScene.handover.PIECE_BYTES` voxels a step; yields the share (0 to 1).

        Raises
        ------
        InputError
            If a segment is changed before all is copied.
        """
        stamped, count = self.stamp(), self._shape[0]
        for number, (layer, array) in enumerate(self._layers.values()):
            for low in range(0, count, layer.slicesAtOnce):
                high = min(low + layer.slicesAtOnce, count)
                array[low:high] = layer.slab(low, high)
                yield (number + high / count) / len(self._layers)
                if self.stamp() != stamped:
                    raise InputError(
                        _(
                            "The segments must stay as they are while they are read, but they were changed. Press the "
                            "button again."
                        )
                    )

    def segmentation(self) -> Any:
        """Give all segments as `CovidCTLib.segments.Segmentation`, when all steps were taken; in any thread."""
        from CovidCTLib.segments.given import GivenSegment, Segmentation
        from CovidCTLib.segments.volume_labels import code_of_terminology

        def voxels(array: NDArray[Any], value: int) -> Any:
            return lambda: (array == value, self._geometry)

        segments = [
            GivenSegment(name, voxels(self._layers[image][1], value), code_of_terminology(terminology))
            for _identifier, name, terminology, image, value in self._segments
        ]
        return Segmentation(tuple(segments), GIVEN_AS)

    def checksum(self) -> str:
        """Give the Adler-32 checksum (RFC 1950) of all layers, names and codes, when all steps were taken."""
        value = 1
        for identifier, name, terminology, image, labelValue in self._segments:
            layer_number = list(self._layers).index(image)
            value = zlib.adler32(f"{identifier}|{name}|{terminology}|{layer_number}|{labelValue}".encode(), value)
        for _layer, array in self._layers.values():
            value = zlib.adler32(array.data, value)
        return f"{value:08x}"


def _typeOf(image: Any) -> type[np.unsignedinteger[Any]]:
    """Type in which all labels of a layer fit."""
    scalars = image.GetPointData().GetScalars()
    highest = 0 if scalars is None or scalars.GetNumberOfTuples() == 0 else scalars.GetRange()[1]
    if highest > HIGHEST_LABEL:
        raise InputError(
            _("Segments must be stored in whole numbers up to {highest}, but one is {found:g}.").format(
                highest=HIGHEST_LABEL, found=highest
            )
        )
    return np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16


def _terminologyOf(segment: Any) -> str:
    """Slicer's text of a segment's terminology; empty where it has none."""
    text = vtk.reference("")
    there = segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text)
    return str(text.get()) if there else ""
