"""A scene with its logics, as Slicer has them, and volume nodes for it.

What Slicer's application does beside slicer-core is done here too: with a node it removes the display and storage nodes
of that node, and it writes an error where a node is removed that is in no scene any more.
"""

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
        self.errors = []
        removing = vtk.calldata_type(vtk.VTK_OBJECT)(lambda _caller, _event, node: self._aboutToRemove(node))
        removed = vtk.calldata_type(vtk.VTK_OBJECT)(lambda _caller, _event, node: self._removed(node))
        self.scene.AddObserver(self.scene.NodeAboutToBeRemovedEvent, removing)
        self.scene.AddObserver(self.scene.NodeRemovedEvent, removed)
        self._belongings = {}
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

    def _aboutToRemove(self, node):
        """As qSlicerSubjectHierarchyPluginLogic, which asks for the scene of a node that goes."""
        if node.GetScene() is None:
            self.errors.append(f"GetSubjectHierarchyNode: Invalid scene given ({node.GetID()})")
        elif not self.scene.IsClosing():
            self._belongings[node.GetID()] = belongings_of(node)

    def _removed(self, node):
        for belonging in self._belongings.pop(node.GetID(), ()):
            if belonging.GetScene() is not None:
                self.scene.RemoveNode(belonging)

    def close(self):
        """Empty the scene and part the logics from it, in this order, before Python's garbage collector guesses one."""
        self.slices.RemoveAllItems()
        self.scene.Clear(1)
        for logic in (self.colours, self.segmentations, self.application):
            logic.SetMRMLScene(None)
        assert self.errors == []


def belongings_of(node):
    """Display and storage nodes of a node."""
    found = []
    for kind, name in (("vtkMRMLDisplayableNode", "Display"), ("vtkMRMLStorableNode", "Storage")):
        if node.IsA(kind):
            count = getattr(node, f"GetNumberOf{name}Nodes")()
            found += [getattr(node, f"GetNth{name}Node")(index) for index in range(count)]
    return [entry for entry in found if entry is not None]


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
