"""From a volume node to a scan: voxels as HU, IJK to RAS turned into the library's LPS grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry
from CovidCTLib.scan import Scan, ScanFacts
from CovidCTScene.texts import tr as _

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

SOURCE_FORMAT = "Slicer scene"

SPACING_TOLERANCE = 1e-6
"""Relative difference of a node's spacing from its matrix from which on the matrix counts: headers in float32 differ by
less (IEEE 754, 24 bits)."""

WRITTEN_DIGITS = 12
"""Most digits of a spacing that a file states as a decimal number; DICOM's have up to 16 characters (PS3.5, DS)."""

ROUNDING_STEPS = 4
"""Steps between neighbouring floating-point numbers by which a spacing may differ from the one that was written: it
comes from a square root of three squares (IEEE 754, each correct to half a step)."""


def refusalOfVolumeNode(volumeNode: Any) -> str | None:
    """Say why a node cannot be analyzed, without looking at its voxels.

    Parameters
    ----------
    volumeNode
        A vtkMRMLVolumeNode, or None where nothing is chosen.

    Returns
    -------
    str or None
        One sentence that says what was expected, what was found and what to do; None if the node may be analyzed.
        It never holds the node's name, which may be the patient's.
    """
    if volumeNode is None:
        return _("Choose a chest CT: no volume is selected.")
    if not volumeNode.IsA("vtkMRMLScalarVolumeNode") or volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("Choose a chest CT: a scalar volume is needed, but this is a {node} node.").format(
            node=volumeNode.GetNodeTagName()
        )
    if volumeNode.GetImageData() is None or volumeNode.GetImageData().GetPointData().GetScalars() is None:
        return _("Load the chest CT again: the chosen volume has no voxels.")
    components = volumeNode.GetImageData().GetNumberOfScalarComponents()
    if components != 1:
        return _(
            "Choose the original CT: it has one value a voxel, but this volume has {components} (colour?)."
        ).format(components=components)
    if volumeNode.GetParentTransformNode() is not None:
        return _(
            "Harden or remove the transform first: the CT must lie in the scene without one, but it is under a "
            "transform (Data module, right-click the transform of the volume)."
        )
    return None


def scanFromVolumeNode(volumeNode: Any) -> Scan:
    """Take the CT of a scalar volume node.

    Parameters
    ----------
    volumeNode
        A vtkMRMLScalarVolumeNode with voxels in HU and without a parent transform.

    Returns
    -------
    Scan
        On the node's own grid. Where the voxels are int16 and none is under -1024 HU they are not copied: the array
        looks into the node's memory and is never written to.

    Raises
    ------
    InputError
        If there is no node, it is no scalar volume, has no voxels or several values a voxel, lies under a transform,
        has sheared axes, or its voxels cannot be HU.
    """
    return scanLater(volumeNode)()


def scanLater(volumeNode: Any) -> Callable[[], Scan]:
    """Prepare to take the CT of a scalar volume node; looking through its voxels takes long for a large one.

    Parameters
    ----------
    volumeNode
        As for `scanFromVolumeNode`.

    Returns
    -------
    function
        Gives the scan; it needs the node and the scene no more, and may be called in another thread. Raises InputError
        if the voxels cannot be HU.

    Raises
    ------
    InputError
        As `scanFromVolumeNode`, the values of the voxels excepted.
    """
    refusal = refusalOfVolumeNode(volumeNode)
    if refusal is not None:
        raise InputError(refusal)
    image = volumeNode.GetImageData()
    x, y, z = image.GetDimensions()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(z, y, x)
    geometry = geometryOfVolumeNode(volumeNode)
    return lambda: Scan.from_array(voxels, geometry, ScanFacts(SOURCE_FORMAT, slice_count=z))


def ijkToRasOfVolumeNode(volumeNode: Any) -> NDArray[np.float64]:
    """Give a volume node's 4 x 4 matrix from the index (i, j, k, 1) to RAS in mm."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def geometryOfVolumeNode(volumeNode: Any) -> Geometry:
    """Give a volume node's grid in LPS.

    Raises
    ------
    InputError
        If the axes are sheared or the spacing is zero.
    """
    ijkToLps = LPS_FROM_RAS @ ijkToRasOfVolumeNode(volumeNode)
    # The node's own spacing, for the matrix holds it times the direction: 5.999999999999999 where the file says 6.
    stated = np.array([_asWritten(step) for step in volumeNode.GetSpacing()])
    norms = np.linalg.norm(ijkToLps[:3, :3], axis=0)
    spacing = np.where(np.isclose(stated, norms, rtol=SPACING_TOLERANCE, atol=0.0), stated, norms)
    # A zero column stays zero, so that the library's own check of the spacing speaks, not a division by zero.
    direction = ijkToLps[:3, :3] / np.where(spacing > 0, spacing, 1.0)
    x, y, z = volumeNode.GetImageData().GetDimensions()
    return Geometry(
        (z, y, x),
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (float(ijkToLps[0, 3]), float(ijkToLps[1, 3]), float(ijkToLps[2, 3])),
        tuple(float(value) for value in direction.ravel()),
    )


def _asWritten(value: float) -> float:
    """Give the number of few digits that a spacing was before it was computed; others stay as they are."""
    short = float(f"{value:.{WRITTEN_DIGITS}g}")
    return short if abs(short - value) <= ROUNDING_STEPS * np.spacing(abs(value)) else float(value)
