"""A scene with its logics, as Slicer has them, and volume nodes for it."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk


class SceneWithLogics:
    """Keeps the logics alive as long as the scene.

    With ``colours`` the scene gets Slicer's colour tables, through which volumes are drawn.
    """

    def __init__(self, *, colours=False):
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkMRMLApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self.segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
        self.segmentations.SetMRMLApplicationLogic(self.application)
        self.segmentations.SetMRMLScene(self.scene)
        self.terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
        self.slices = vtk.vtkCollection()
        self.application.SetSliceLogics(self.slices)
        self.colours = slicer.vtkMRMLColorLogic()
        if colours:
            self.colours.SetMRMLScene(self.scene)
            self.application.SetColorLogic(self.colours)

    def close(self):
        """Empty the scene and part the logics from it, in this order, before Python's garbage collector guesses one."""
        self.slices.RemoveAllItems()
        self.scene.Clear(1)
        for logic in (self.colours, self.segmentations, self.application):
            logic.SetMRMLScene(None)


def added_volume(scene, hu, geometry, name="chest"):
    """Add a scalar volume node with these voxels on this grid."""
    image = vtk.vtkImageData()
    z, y, x = hu.shape
    image.SetDimensions(x, y, z)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(hu).ravel(), deep=True))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(image)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(list(geometry.ijk_to_ras.ravel()))
    node.SetIJKToRASMatrix(matrix)
    return node
