"""Voxels of the segments on the grid of the CT, a few slices at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.errors import InputError
from CovidCTLib.labels import LUNG_LABELS, OPACITY_LABELS, PLEURAL_EFFUSION, Label
from CovidCTScene import handover
from CovidCTScene.scan import ijkToRasOfVolumeNode
from CovidCTScene.texts import tr as _

BINARY_LABELMAP = "Binary labelmap"
"""Slicer's name of the representation (vtkSegmentationConverter)."""

SAME_GRID_VOXELS = 1e-3
"""Two grids whose voxels lie on each other up to this share of a voxel need no interpolation."""

RESAMPLED_SHARE = 16
"""Slicer's own resampling takes about so many times as long as a copy, so its pieces are so much smaller."""


class Layer:
    """The image in which segments are stored, as seen from the grid of a CT.

    Parameters
    ----------
    image
        vtkOrientedImageData, uint8 or another whole type.
    ijkToRas
        Shape (4, 4): the CT's matrix.
    shape
        Number of voxels of the CT (z, y, x).
    """

    def __init__(self, image: Any, ijkToRas: NDArray[np.float64], shape: tuple[int, int, int]) -> None:
        self.image = image
        self._ijkToRas = ijkToRas
        self._shape = shape
        scalars = image.GetPointData().GetScalars()
        xLow, xHigh, yLow, yHigh, zLow, zHigh = image.GetExtent()
        self._size = (zHigh - zLow + 1, yHigh - yLow + 1, xHigh - xLow + 1)
        self._voxels = None if scalars is None or min(self._size) < 1 else vtk_to_numpy(scalars).reshape(self._size)
        shift = _shiftBetween(ijkToRas, image)
        self._start = None if shift is None else (zLow + shift[2], yLow + shift[1], xLow + shift[0])

    @property
    def slicesAtOnce(self) -> int:
        """Number of slices of the CT that are taken in one piece."""
        _z, y, x = self._shape
        size = handover.PIECE_BYTES if self._start is not None else handover.PIECE_BYTES // RESAMPLED_SHARE
        return max(1, size // (y * x))

    def slab(self, low: int, high: int) -> NDArray[Any]:
        """Take the slices from ``low`` to ``high``, exclusive, of the CT's grid; shape (high - low, y, x)."""
        if self._voxels is None:
            return np.zeros((high - low, *self._shape[1:]), np.uint8)
        if self._start is None:
            return self._resampled(low, high)
        slab = np.zeros((high - low, *self._shape[1:]), self._voxels.dtype)
        target, source = [], []
        for start, size, first, last in zip(
            self._start, self._size, (low, 0, 0), (high, *self._shape[1:]), strict=True
        ):
            begin, end = max(start, first), min(start + size, last)
            if begin >= end:
                return slab
            target.append(slice(begin - first, end - first))
            source.append(slice(begin - start, end - start))
        slab[tuple(target)] = self._voxels[tuple(source)]
        return slab

    def _resampled(self, low: int, high: int) -> NDArray[Any]:
        """Take slices of a layer with another grid, as Slicer itself resamples it: the nearest voxel."""
        _z, y, x = self._shape
        grid, placed = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy([float(value) for value in self._ijkToRas.ravel()])
        grid.SetImageToWorldMatrix(matrix)
        grid.SetExtent(0, x - 1, 0, y - 1, low, high - 1)
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(self.image, grid, placed)
        return np.array(vtk_to_numpy(placed.GetPointData().GetScalars()).reshape(high - low, y, x))


class SegmentReader:
    """Takes lungs and opacities out of a segmentation, piece by piece.

    Parameters
    ----------
    segmentationNode
        CovidCT's segmentation.
    volumeNode
        The CT, on whose grid the segments are wanted.

    Raises
    ------
    InputError
        If a lung, ground-glass opacity or consolidation has no segment, or a segment has no voxels of its own.
    """

    def __init__(self, segmentationNode: Any, volumeNode: Any) -> None:
        x, y, z = volumeNode.GetImageData().GetDimensions()
        self._shape = (z, y, x)
        ijkToRas = ijkToRasOfVolumeNode(volumeNode)
        self._segmentation = segmentationNode
        # A segment's image is the same object of Python as long as anything holds it, and the layer does.
        layers: dict[Any, Layer] = {}
        self._parts: list[tuple[list[tuple[int, Layer, int]], NDArray[np.uint8]]] = []
        for labels in (LUNG_LABELS, OPACITY_LABELS):
            segments = []
            for value, label in enumerate(labels, start=1):
                stored = storedSegment(segmentationNode, label)
                if stored is not None:
                    image, labelValue = stored
                    layer = layers.setdefault(image, Layer(image, ijkToRas, self._shape))
                    segments.append((value, layer, labelValue))
            self._parts.append((segments, np.zeros(self._shape, np.uint8)))

    @property
    def lungs(self) -> NDArray[np.uint8]:
        """Lungs as far as they were read; shape (z, y, x), values as in `CovidCTLib.analysis.AxialArrays`."""
        return self._parts[0][1]

    @property
    def opacities(self) -> NDArray[np.uint8]:
        """Opacities as far as they were read, as `lungs`."""
        return self._parts[1][1]

    def stamp(self) -> tuple[tuple[Any, int, int] | None, ...]:
        """Give what changes with any voxel of any segment, and with the segments themselves.

        Raises
        ------
        InputError
            If a segment was removed.
        """
        return tuple(_stampOf(self._segmentation, label) for label in (*LUNG_LABELS, *OPACITY_LABELS))

    def steps(self) -> Iterator[float]:
        """Read everything, at most `CovidCTScene.handover.PIECE_BYTES` voxels a step; yields the share (0 to 1).

        Where segments of one kind were made to overlap, the later one in the order of `CovidCTLib.labels` holds.
        """
        count = self._shape[0]
        for number, (segments, array) in enumerate(self._parts):
            atOnce = min((layer.slicesAtOnce for _value, layer, _stored in segments), default=count)
            for low in range(0, count, atOnce):
                high = min(low + atOnce, count)
                slabs: dict[int, NDArray[Any]] = {}
                for value, layer, stored in segments:
                    if id(layer) not in slabs:
                        slabs[id(layer)] = layer.slab(low, high)
                    array[low:high][slabs[id(layer)] == stored] = value
                    yield (number + high / count) / len(self._parts)


def storedSegment(segmentationNode: Any, label: Label) -> tuple[Any, int] | None:
    """Find the image that holds a segment, and the segment's value in it; None for an effusion that is not there.

    Raises
    ------
    InputError
        If another segment is missing, or it is not stored as voxels.
    """
    segment = segmentationNode.GetSegmentation().GetSegment(label.segment_id)
    if segment is None:
        if label is PLEURAL_EFFUSION:
            return None
        raise InputError(
            _(
                "The segmentation must hold the segment {segment!r}, but it was removed. Undo that, or analyze the CT "
                "again."
            ).format(segment=label.segment_id)
        )
    image = segment.GetRepresentation(BINARY_LABELMAP)
    if image is None:
        raise InputError(
            _(
                "The segment {segment!r} must be stored as voxels, but has no representation {representation!r}. "
                "Create it in the module Segmentations, or analyze the CT again."
            ).format(segment=label.segment_id, representation=BINARY_LABELMAP)
        )
    return image, int(segment.GetLabelValue())


def _stampOf(segmentationNode: Any, label: Label) -> tuple[Any, int, int] | None:
    stored = storedSegment(segmentationNode, label)
    return None if stored is None else (stored[0], int(stored[0].GetMTime()), stored[1])


def _shiftBetween(ijkToRas: NDArray[np.float64], image: Any) -> tuple[int, int, int] | None:
    """Give the whole voxels (x, y, z) by which an image's indices differ from the CT's; None where grids differ."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    segmentIjkToRas = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    between = np.linalg.solve(ijkToRas, segmentIjkToRas)
    shift = np.rint(between[:3, 3])
    expected = np.eye(4)
    expected[:3, 3] = shift
    # A turn or another spacing moves the far corner the most.
    extent = np.abs(image.GetExtent()).reshape(3, 2).max(axis=1)
    corner = np.abs(between - expected) @ np.append(extent, 1.0)
    if not np.all(corner[:3] <= SAME_GRID_VOXELS):
        return None
    return int(shift[0]), int(shift[1]), int(shift[2])
