"""Sample data: the library's synthetic chest, made on the spot, so that nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.scan import Scan
from CovidCTScene.views import applyWindowPreset

CATEGORY = "CovidCT"
"""Section of the Sample Data module."""

SAMPLE_NAME = "Synthetic chest CT"
COURSE_NAME = "Synthetic course of three studies"
PATIENT_NAME = "Synthetic patient"

COURSE = (("2020-03-02", 1.0), ("2020-03-09", 0.5), ("2020-03-23", 0.0))
"""Date of each made-up study, and how much of the opacities is left in it (1: all, 0: none)."""

READING_PRESET = "lung reading"


def registerSamples(logic: Any, getScene: Callable[[], Any], thumbnail: str) -> None:
    """Put the synthetic chest into the Sample Data module; call it when the application has started.

    Parameters
    ----------
    logic
        ``SampleData.SampleDataLogic``.
    getScene
        Gives the scene that a sample is loaded into, when its button is pressed.
    thumbnail
        Path of the picture on the buttons.
    """
    for name, load in ((SAMPLE_NAME, addSample), (COURSE_NAME, addSampleCourse)):
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            # Sample Data wants an address and a file name; the own loader takes their place, so nothing is fetched.
            uris="",
            fileNames="",
            nodeNames=name,
            thumbnailFileName=thumbnail,
            customDownloader=_loader(load, getScene),
        )


def addSample(scene: Any) -> list[Any]:
    """Add the synthetic chest CT of ``covidct demo`` to the scene and show it.

    Returns
    -------
    list
        Its vtkMRMLScalarVolumeNode.
    """
    from CovidCTLib.phantom import make_chest_phantom

    node = _addVolume(scene, make_chest_phantom().scan, SAMPLE_NAME)
    _show(scene, node)
    return [node]


def addSampleCourse(scene: Any) -> list[Any]:
    """Add three studies of a made-up patient, whose opacities go, with their dates in the subject hierarchy.

    Returns
    -------
    list
        The three vtkMRMLScalarVolumeNode, the earliest first.
    """
    from CovidCTLib.phantom import make_chest_phantom

    # With the same seed both chests differ in their opacities alone.
    ill, well = make_chest_phantom().scan, make_chest_phantom(diseased=False).scan
    nodes = []
    for day, share in COURSE:
        hu = np.rint(share * ill.hu + (1 - share) * well.hu.astype(np.float32)).astype(np.int16)
        nodes.append(_addVolume(scene, Scan(hu, ill.geometry, ill.facts), f"{SAMPLE_NAME} {day}"))
    _placeUnderPatient(scene, nodes, [day for day, _share in COURSE])
    _show(scene, nodes[0])
    return nodes


def _loader(load: Callable[[Any], list[Any]], getScene: Callable[[], Any]) -> Callable[[Any], list[Any]]:
    """Wrap a function for Sample Data, which hands over the source whose button was pressed."""
    return lambda _source: load(getScene())


def _addVolume(scene: Any, scan: Scan, name: str) -> Any:
    z, y, x = scan.geometry.shape_zyx
    image = vtk.vtkImageData()
    image.SetDimensions(x, y, z)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    np.copyto(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(z, y, x), scan.hu)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([float(value) for value in scan.geometry.ijk_to_ras.ravel()])
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(image)
    applyWindowPreset(node, READING_PRESET)
    return node


def _placeUnderPatient(scene: Any, nodes: Sequence[Any], days: Sequence[str]) -> None:
    names = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), PATIENT_NAME)
    for node, day in zip(nodes, days, strict=True):
        study = hierarchy.CreateStudyItem(patient, day)
        hierarchy.SetItemAttribute(study, names.GetDICOMStudyDateAttributeName(), day.replace("-", ""))
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(study, node)
        hierarchy.SetItemParent(item, study)


def _show(scene: Any, volumeNode: Any) -> None:
    """Put the volume into every slice view, and the views onto it."""
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    centre = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        composite.SetBackgroundVolumeID(volumeNode.GetID())
        composite.SetForegroundVolumeID(None)
    mode = slicer.vtkMRMLSliceNode.CenteredJumpSlice
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *centre, mode, -1, None)
