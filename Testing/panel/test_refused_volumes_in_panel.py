"""Volumes that cannot be analyzed: the panel says why, and nothing starts."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

import vtk
from panel_case import GEOMETRY, contents, message, start
from scene_maker import added_volume

from CovidCTLib.errors import InputError


def transformed(scene, volume):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())


def without_voxels(scene, volume):
    volume.SetAndObserveImageData(None)


def coloured(scene, volume):
    image = vtk.vtkImageData()
    image.SetDimensions(24, 20, 9)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    volume.SetAndObserveImageData(image)


def without_spacing(scene, volume):
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 2, 0.0)
    volume.SetIJKToRASMatrix(matrix)


def sheared(scene, volume):
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 1, 0.5)
    volume.SetIJKToRASMatrix(matrix)


def heat_map(scene, volume):
    volume.SetAttribute("CovidCT.Result", "localization")


def without_sign(scene, volume):
    image = vtk.vtkImageData()
    image.SetDimensions(24, 20, 9)
    image.AllocateScalars(vtk.VTK_UNSIGNED_SHORT, 1)
    volume.SetAndObserveImageData(image)


def frame_of_a_sequence(scene, volume):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    sequence.SetDataNodeAtValue(volume, "0")
    sequence.SetDataNodeAtValue(volume, "1")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(volume, sequence, False)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_sign, "these voxels (unsigned short) cannot be under zero"),
        (frame_of_a_sequence, "frames of a sequence"),
        (transformed, "Harden or remove the transform first"),
        (without_voxels, "has no voxels"),
        (coloured, "one value a voxel, but this volume has 3"),
        (without_spacing, "voxel spacing must be three positive numbers"),
        (sheared, "sheared or missing axes"),
        (heat_map, "this volume is a heat map"),
    ],
)
def test_a_volume_that_cannot_be_analyzed_disables_the_button_with_the_reason(
    application, panel, volume, program, spoil, said
):
    spoil(application.scene, volume)
    before = contents(application.scene)
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    panel.controller.showState()
    assert not panel.ui.analyzeButton.enabled
    assert said in panel.ui.analyzeButton.toolTip.replace("\n", " ")
    start(application, panel)
    assert program.calls == []
    panel.controller.analyze()
    assert said in message(panel)
    assert program.calls == []
    assert contents(application.scene) == before


def test_voxels_without_a_sign_are_not_chosen_by_themselves(application, program):
    import numpy as np

    added_volume(application.scene, np.zeros((9, 20, 24), np.uint8), GEOMETRY)
    widget = application.opened()
    assert widget.volumeId() is None


def test_a_ct_that_cannot_be_handed_over_is_refused(application, volume):
    from CovidCTScene.handover import handOverOfVolumeNode

    transformed(application.scene, volume)
    with pytest.raises(InputError, match="Harden or remove the transform"):
        handOverOfVolumeNode(volume)
