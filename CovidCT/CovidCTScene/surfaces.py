"""Closed surfaces of the segments, made in another thread by the steps that Slicer's own converter takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from CovidCTLib.errors import InputError
from CovidCTScene import handover
from CovidCTScene.nodes import ResultNodes
from CovidCTScene.segment_voxels import BINARY_LABELMAP
from CovidCTScene.texts import tr as _
from CovidCTScene.views import CLOSED_SURFACE, showSurfaces

SMOOTHING_FACTOR = "Smoothing factor"
OTHER_PARAMETERS = {
    "Decimation factor": 0.0,
    "Joint smoothing": 0.0,
    "Compute surface normals": 1.0,
    "Conversion method": 0.0,
}
"""Parameters of Slicer's converter (vtkBinaryLabelmapToClosedSurfaceConversionRule) and what they are unless the user
sets them; the method 0 is flying edges."""

SMOOTHING_STEPS, STEPS_FOR_FACTOR = 20, 40
PASS_BAND_EXPONENT = -4.0
"""The converter's smoothing: so many steps, and more in proportion to the factor, of a windowed sinc filter that passes
10 to the exponent times the factor."""


@dataclass(frozen=True)
class _Part:
    """A segment: its identifier, the image that it lies in, and its value there."""

    identifier: str
    image: Any
    value: int


@dataclass(frozen=True)
class _Copy:
    """What `Surfaces.make` needs of an image, so that it looks at nothing that belongs to the scene."""

    voxels: NDArray[Any]
    extent: tuple[int, ...]
    imageToWorld: Any


class Surfaces:
    """Makes the surfaces of all segments of a result: steps in the main thread, then `make` in any, then `show`.

    Parameters
    ----------
    scene
        The scene of the nodes.
    nodes
        The results.

    Raises
    ------
    InputError
        If the segmentation is not in this scene any more.
    """

    def __init__(self, scene: Any, nodes: ResultNodes) -> None:
        if nodes.segmentation.GetScene() is None or nodes.segmentation.GetScene() is not scene:
            raise InputError(_("The segmentation must be in the scene, but it was removed. Analyze the CT again."))
        self._scene, self._nodes = scene, nodes
        self._parts = _partsOf(nodes.segmentation)
        self._stamped = [(part.image, part.image.GetMTime()) for part in self._parts]
        self._copies: dict[Any, _Copy] = {}
        self._surfaces: dict[str, Any] = {}

    @staticmethod
    def areNeeded(nodes: ResultNodes) -> bool:
        """Say whether there are none yet, and this class makes the same as Slicer's own converter would."""
        segmentation = nodes.segmentation.GetSegmentation()
        if segmentation.ContainsRepresentation(CLOSED_SURFACE):
            return False
        stored = all(
            segmentation.GetNthSegment(index).GetRepresentation(BINARY_LABELMAP) is not None
            for index in range(segmentation.GetNumberOfSegments())
        )
        return stored and all(
            _parameter(segmentation, name, usual) == usual for name, usual in OTHER_PARAMETERS.items()
        )

    def steps(self) -> Iterator[float]:
        """Copy the voxels, at most `CovidCTScene.handover.PIECE_BYTES` bytes a step; yields the share (0 to 1)."""
        images = list(dict.fromkeys(part.image for part in self._parts))
        self._smoothing = _parameter(self._nodes.segmentation.GetSegmentation(), SMOOTHING_FACTOR, 0.5)
        for number, image in enumerate(images):
            x, y, z = image.GetDimensions()
            scalars = image.GetPointData().GetScalars()
            if scalars is None or min(x, y, z) < 1:
                continue
            voxels = vtk_to_numpy(scalars).reshape(z, y, x)
            matrix = vtk.vtkMatrix4x4()
            image.GetImageToWorldMatrix(matrix)
            copy = np.zeros(voxels.shape, voxels.dtype)
            self._copies[image] = _Copy(copy, tuple(image.GetExtent()), matrix)
            atOnce = max(1, handover.PIECE_BYTES // (voxels.itemsize * y * x))
            for low in range(0, z, atOnce):
                copy[low : low + atOnce] = voxels[low : low + atOnce]
                yield (number + min(1.0, (low + atOnce) / z)) / len(images)
                self._check()

    def make(self) -> None:
        """Compute the surfaces from the copies alone; it may be called in another thread.

        Python's lock is free during a filter's ``Update`` only where VTK was built to release it there (its hint
        VTK_UNBLOCKTHREADS, as in slicer-core's VTK 9.6). With a VTK that holds it, the application stands still during
        each filter, never for longer than with Slicer's own converter, which takes all filters of all segments at once.
        """
        for part in self._parts:
            copy = self._copies.get(part.image)
            self._surfaces[part.identifier] = (
                vtk.vtkPolyData()
                if copy is None
                else surfaceOf(copy.voxels, part.value, copy.extent, copy.imageToWorld, self._smoothing)
            )

    def show(self, turn: bool = True) -> None:
        """Give the surfaces to the segments, and show them in the 3D views.

        Parameters
        ----------
        turn
            Whether the views turn to them, as `CovidCTScene.views.showSurfaces`.

        Raises
        ------
        InputError
            If the segmentation was changed or removed since the steps.
        """
        self._check()
        segmentation = self._nodes.segmentation.GetSegmentation()
        for identifier, surface in self._surfaces.items():
            segmentation.GetSegment(identifier).AddRepresentation(CLOSED_SURFACE, surface)
        # The views and the other modules' buttons look again at what there is.
        segmentation.InvokeEvent(segmentation.ContainedRepresentationNamesModified)
        showSurfaces(self._scene, self._nodes, turn)

    def _check(self) -> None:
        node = self._nodes.segmentation
        now = [(part.image, part.image.GetMTime()) for part in _partsOf(node)] if node.GetScene() is not None else None
        if now != self._stamped:
            raise InputError(
                _(
                    "The segments must stay as they are while their surfaces are made, but they were changed or "
                    "removed. Press the button again."
                )
            )


def surfaceOf(voxels: NDArray[Any], value: int, extent: Any, imageToWorld: Any, smoothing: float) -> Any:
    """Give the closed surface of one label.

    Parameters
    ----------
    voxels
        Whole numbers, shape (z, y, x).
    value
        The label.
    extent
        First and last index along x, y and z, as vtkImageData gives them.
    imageToWorld
        vtkMatrix4x4 from these indices to RAS in mm.
    smoothing
        Slicer's smoothing factor, 0 (none) to 1.

    Returns
    -------
    vtkPolyData
        In RAS; empty where no voxel has the label. Voxels at the edge of the array are closed off.
    """
    # The converter pads only where it must; an outside all around gives the same surface.
    padded = np.pad(np.asarray(voxels == value, np.uint8), 1)
    image = vtk.vtkImageData()
    low = [int(extent[2 * axis]) - 1 for axis in range(3)]
    z, y, x = padded.shape
    image.SetExtent(low[0], low[0] + x - 1, low[1], low[1] + y - 1, low[2], low[2] + z - 1)
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel(), array_type=vtk.VTK_UNSIGNED_CHAR))
    edges = vtk.vtkDiscreteFlyingEdges3D()
    edges.SetInputData(image)
    edges.ComputeGradientsOff()
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.SetValue(0, 1)
    edges.Update()
    surface = edges.GetOutput()
    if surface.GetNumberOfPolys() == 0:
        return vtk.vtkPolyData()
    if smoothing > 0:
        surface = _smoothed(surface, smoothing)
    transform = vtk.vtkTransform()
    transform.SetMatrix(imageToWorld)
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetInputData(surface)
    placed.SetTransform(transform)
    placed.Update()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(placed.GetOutput())
    normals.ConsistencyOn()
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _smoothed(surface: Any, factor: float) -> Any:
    smoother = vtk.vtkWindowedSincPolyDataFilter()
    smoother.SetInputData(surface)
    smoother.SetNumberOfIterations(SMOOTHING_STEPS + int(STEPS_FOR_FACTOR * factor))
    smoother.SetPassBand(10.0 ** (PASS_BAND_EXPONENT * factor))
    smoother.BoundarySmoothingOff()
    smoother.FeatureEdgeSmoothingOff()
    smoother.NonManifoldSmoothingOn()
    smoother.NormalizeCoordinatesOn()
    smoother.Update()
    return smoother.GetOutput()


def _partsOf(segmentationNode: Any) -> list[_Part]:
    segmentation = segmentationNode.GetSegmentation()
    parts = []
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is not None:
            parts.append(_Part(segmentation.GetNthSegmentID(index), image, int(segment.GetLabelValue())))
    return parts


def _parameter(segmentation: Any, name: str, usual: float) -> float:
    """Give a parameter of the converter; the usual value where this Slicer has no such parameter."""
    # Asked all at once, for asking for one that is not there writes an error into Slicer's log.
    for entry in str(segmentation.SerializeAllConversionParameters()).split("&"):
        key, _separator, rest = entry.partition("|")
        if key == name:
            try:
                return float(rest.split("|")[0])
            except ValueError:
                return usual
    return usual
