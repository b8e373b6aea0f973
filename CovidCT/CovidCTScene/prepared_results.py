"""Results as the scene takes them, made in any thread, so that the application does not stand still meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from CovidCTLib.analysis import Analysis
from CovidCTLib.labels import LOBE_LABELS, LUNG_LABELS, OPACITY_LABELS, PLEURAL_EFFUSION, Label
from CovidCTScene.remeasure import firstOf
from CovidCTScene.scan import ijkToRasOfVolumeNode
from CovidCTScene.snapshot import checksum


@dataclass(frozen=True)
class PreparedResults:
    """What takes long to make of an analysis; nothing of it is in a scene.

    Parameters
    ----------
    layers
        The images that segments share, vtkOrientedImageData uint8, each with value and label of its segments.
    heat
        vtkImageData float32: the localization.
    checksum
        Of lungs and opacities, as `CovidCTScene.snapshot.checksum`.
    record
        Text of ``analysis.json``.
    first
        As `CovidCTScene.remeasure.firstOf`.
    """

    layers: tuple[tuple[Any, tuple[tuple[int, Label], ...]], ...]
    heat: Any
    checksum: str
    record: str
    first: str = ""


def preparing(volumeNode: Any) -> Callable[[Analysis], PreparedResults]:
    """Prepare to prepare results for a CT: give a function that needs the scene no more and may run in any thread.

    Parameters
    ----------
    volumeNode
        The CT, on whose grid the results are.
    """
    ijkToRas = ijkToRasOfVolumeNode(volumeNode)
    return lambda analysis: _prepared(analysis, ijkToRas)


def _prepared(analysis: Analysis, ijkToRas: NDArray[np.float64]) -> PreparedResults:
    # These packages need more than Slicer ships, so they load only after an analysis; the tables need the second.
    import CovidCTLib.measures.definitions
    import CovidCTLib.results.segmentation_file  # noqa: F401
    from CovidCTLib.results.record import analysis_json

    layers = []
    for array, labels in ((analysis.lungs, LUNG_LABELS), (analysis.opacities, OPACITY_LABELS)):
        there = [
            (value, label)
            for value, label in enumerate(labels, start=1)
            # An empty segment of what no network looks for would read as: looked for and not found.
            if label is not PLEURAL_EFFUSION or (array == value).any()
        ]
        layers.append((orientedImage(array, ijkToRas), tuple(there)))
    layers += [(orientedImage(array, ijkToRas), labels) for array, labels in _given(analysis)]
    z, y, x = analysis.localization.shape
    heat = vtk.vtkImageData()
    heat.SetDimensions(x, y, z)
    heat.AllocateScalars(vtk.VTK_FLOAT, 1)
    np.copyto(vtk_to_numpy(heat.GetPointData().GetScalars()).reshape(z, y, x), analysis.localization)
    return PreparedResults(
        tuple(layers), heat, checksum(analysis.lungs, analysis.opacities), analysis_json(analysis), firstOf(analysis)
    )


def _given(analysis: Analysis) -> list[tuple[NDArray[np.uint8], tuple[tuple[int, Label], ...]]]:
    """Give the layers that no network makes: lobes, and one for each region of interest."""
    from CovidCTLib.results.segmentation_file import area_label

    layers = []
    if analysis.lobes is not None:
        lobes = analysis.lobes
        layers.append((lobes, tuple((label.value, label) for label in LOBE_LABELS if (lobes == label.value).any())))
    for number, (name, mask) in enumerate(analysis.areas.items(), start=1):
        layers.append((mask.view(np.uint8), ((1, area_label(name, number)),)))
    return layers


def orientedImage(array: NDArray[np.uint8], ijkToRas: NDArray[np.float64]) -> Any:
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
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([float(value) for value in ijkToRas.ravel()])
    image.SetImageToWorldMatrix(matrix)
    scalars = numpy_to_vtk(np.ascontiguousarray(part).ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image
