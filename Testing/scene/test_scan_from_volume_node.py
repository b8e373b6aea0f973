# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

import vtk
from CovidCTScene import refusalOfVolumeNode, scanFromVolumeNode
from scene_maker import added_volume

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import Geometry


def test_a_volume_node_gives_the_scan_that_it_was_made_from(volume_node, analysis):
    scan = scanFromVolumeNode(volume_node)
    np.testing.assert_array_equal(scan.hu, analysis.scan.hu)
    assert scan.geometry.shape_zyx == analysis.scan.geometry.shape_zyx
    np.testing.assert_allclose(scan.geometry.ijk_to_ras, analysis.scan.geometry.ijk_to_ras, atol=1e-9)
    assert scan.facts.source_format == "Slicer scene"
    assert scan.facts.slice_count == 9


def ramp(geometry):
    """Voxels that may be HU."""
    return np.linspace(-1000, 400, int(np.prod(geometry.shape_zyx))).astype(np.int16).reshape(geometry.shape_zyx)


@pytest.mark.parametrize("spacing", [6.0, 0.7, 0.7421879768371582, 1 / 3, 5.0000001])
def test_the_spacing_is_recorded_as_it_was_written(scene, spacing):
    turned = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    geometry = Geometry((17, 18, 19), (spacing, 0.7, 2.5), (0.0, 0.0, 0.0), tuple(turned.ravel()))
    node = added_volume(scene, ramp(geometry), geometry)
    found = scanFromVolumeNode(node).geometry.spacing_xyz_mm
    assert found[1:] == (0.7, 2.5)
    assert found[0] == pytest.approx(spacing, rel=1e-15)
    node.SetSpacing(spacing, 0.7, 2.5)
    assert scanFromVolumeNode(node).geometry.spacing_xyz_mm == (spacing, 0.7, 2.5)


def test_six_mm_stay_six_where_the_matrix_says_a_little_less(scene):
    geometry = Geometry((17, 18, 19), (0.84, 0.84, 6.0))
    node = added_volume(scene, ramp(geometry), geometry)
    node.SetSpacing(0.84, 0.84, 5.999999999999999)
    assert scanFromVolumeNode(node).geometry.spacing_xyz_mm == (0.84, 0.84, 6.0)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_any_flip_and_axis_order_keeps_its_place_in_space(scene, flips, order):
    direction = np.eye(3)[:, list(order)] * flips
    geometry = Geometry((17, 18, 19), (0.7, 0.8, 2.5), (1.0, -2.0, 3.0), tuple(direction.ravel()))
    hu = np.random.default_rng(0).integers(-1000, 100, geometry.shape_zyx).astype(np.int16)
    scan = scanFromVolumeNode(added_volume(scene, hu, geometry))
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.geometry.ijk_to_lps, geometry.ijk_to_lps, atol=1e-9)


def test_the_voxels_in_the_scene_are_never_changed(scene, geometry):
    hu = np.random.default_rng(1).normal(-500, 900, geometry.shape_zyx)
    node = added_volume(scene, hu, geometry)
    scan = scanFromVolumeNode(node)
    assert scan.hu.dtype == np.int16
    assert scan.hu.min() >= -1024
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), hu)


def test_no_volume_is_refused():
    with pytest.raises(InputError, match="no volume is selected"):
        scanFromVolumeNode(None)


def test_a_labelmap_is_refused(scene):
    with pytest.raises(InputError, match="scalar volume is needed, but this is a LabelMapVolume"):
        scanFromVolumeNode(scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode"))


def test_a_volume_without_voxels_is_refused(scene):
    with pytest.raises(InputError, match="has no voxels"):
        scanFromVolumeNode(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))


def test_a_volume_with_colours_is_refused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    image = vtk.vtkImageData()
    image.SetDimensions(20, 20, 5)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(image)
    with pytest.raises(InputError, match="one value a voxel, but this volume has 3"):
        scanFromVolumeNode(node)


def test_a_volume_under_a_transform_is_refused_without_its_name(scene, volume_node):
    volume_node.SetName("SURNAME^GIVEN")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="Harden or remove the transform first") as caught:
        scanFromVolumeNode(volume_node)
    assert "SURNAME" not in str(caught.value)


def test_sheared_axes_are_refused(volume_node):
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 1, 0.3)
    volume_node.SetIJKToRASMatrix(matrix)
    with pytest.raises(InputError, match="three perpendicular unit vectors"):
        scanFromVolumeNode(volume_node)


def test_a_good_volume_has_no_refusal(volume_node):
    assert refusalOfVolumeNode(volume_node) is None
