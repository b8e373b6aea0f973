"""Results are taken out of the scene in pieces of a known size, whole or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

import vtk  # noqa: E402
from CovidCTScene import Snapshot, addAnalysisToScene, analysisFromScene, handover, segment_voxels  # noqa: E402
from scene_analysis import made_analysis  # noqa: E402
from scene_maker import added_volume  # noqa: E402
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy  # noqa: E402

from CovidCTLib.errors import InputError  # noqa: E402

SLICE_BYTES = 20 * 24


@pytest.fixture
def analysis(geometry):
    """An analysis whose slices fit to their measures."""
    made = made_analysis(geometry, effusion=True)
    return replace(made, slices=tuple(replace(made.slices[1], index=index) for index in range(9)))


@pytest.fixture
def analyzed(scene, analysis):
    """A CT in the scene, with its results."""
    node = added_volume(scene, analysis.scan.hu, analysis.scan.geometry)
    return node, addAnalysisToScene(scene, node, analysis)


def test_no_piece_is_larger_than_told_and_all_together_are_everything(scene, analyzed, analysis, monkeypatch):
    monkeypatch.setattr(handover, "PIECE_BYTES", 2 * SLICE_BYTES)
    sizes = []
    slab = segment_voxels.Layer.slab

    def measured(layer, low, high):
        found = slab(layer, low, high)
        sizes.append(found.nbytes)
        return found

    monkeypatch.setattr(segment_voxels.Layer, "slab", measured)
    snapshot = Snapshot(scene, analyzed[0])
    shares = []
    for share in snapshot.steps():
        shares.append(share)
        copied = np.count_nonzero(snapshot._localization)
        if share <= 0.5:
            assert copied == 0, "segments and localization are never in one piece"
    assert max(sizes) == 2 * SLICE_BYTES
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    # Two slices at a time for each of five segments, then the localization, four bytes a voxel, slice by slice.
    assert len(shares) == 5 * 5 + 9
    back = snapshot.analysis()
    for name in ("lungs", "opacities", "localization"):
        np.testing.assert_array_equal(getattr(back, name), getattr(analysis, name))


def test_an_analysis_is_not_given_before_all_steps_were_taken(scene, analyzed):
    snapshot = Snapshot(scene, analyzed[0])
    next(snapshot.steps())
    with pytest.raises(InputError, match="All steps must be taken before the analysis is complete"):
        snapshot.analysis()


def paint(scene, volume, nodes):
    layer = nodes.segmentation.GetSegmentation().GetSegment("ggo").GetRepresentation("Binary labelmap")
    vtk_to_numpy(layer.GetPointData().GetScalars())[:] = 0
    layer.GetPointData().GetScalars().Modified()


def replace_layer(scene, volume, nodes):
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(nodes.segmentation.GetSegmentation().GetSegment("ggo").GetRepresentation("Binary labelmap"))
    nodes.segmentation.GetSegmentation().GetSegment("ggo").AddRepresentation("Binary labelmap", image)


def remove_results(scene, volume, nodes):
    scene.RemoveNode(nodes.localization)


def remove_ct(scene, volume, nodes):
    scene.RemoveNode(volume)


def close(scene, volume, nodes):
    scene.Clear(0)


def change_ct(scene, volume, nodes):
    volume.GetImageData().Modified()


@pytest.mark.parametrize("change", [paint, replace_layer, remove_results, remove_ct, close, change_ct])
def test_what_changes_while_it_is_read_is_told(scene, analyzed, monkeypatch, change):
    monkeypatch.setattr(handover, "PIECE_BYTES", SLICE_BYTES)
    steps = Snapshot(scene, analyzed[0]).steps()
    next(steps)
    change(scene, *analyzed)
    with pytest.raises(InputError, match="must stay as they are while they are read, but they were changed or removed"):
        list(steps)


def test_a_segment_removed_while_it_is_read_is_named(scene, analyzed):
    steps = Snapshot(scene, analyzed[0]).steps()
    next(steps)
    analyzed[1].segmentation.GetSegmentation().RemoveSegment("ggo")
    with pytest.raises(InputError, match="must hold the segment 'ggo', but it was removed"):
        list(steps)


def test_a_segment_without_voxels_of_its_own_is_named(scene, analyzed):
    analyzed[1].segmentation.GetSegmentation().GetSegment("ggo").RemoveRepresentation("Binary labelmap")
    with pytest.raises(InputError, match="'ggo' must be stored as voxels, but has no representation"):
        Snapshot(scene, analyzed[0])


def test_a_ct_under_a_transform_is_refused(scene, analyzed):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    analyzed[0].SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="Harden or remove the transform first"):
        Snapshot(scene, analyzed[0])


def stored_on(nodes, shape, matrix, value):
    """Store the GGO in a layer of its own with another grid, all of whose voxels have a value."""
    z, y, x = shape
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, x - 1, 0, y - 1, 0, z - 1)
    image.SetImageToWorldMatrix(matrix)
    image.GetPointData().SetScalars(numpy_to_vtk(np.full(z * y * x, value, np.uint8), deep=True))
    segment = nodes.segmentation.GetSegmentation().GetSegment("ggo")
    segment.AddRepresentation("Binary labelmap", image)
    segment.SetLabelValue(value)


def test_a_segment_with_larger_voxels_is_resampled_and_one_that_is_shifted_is_not(scene, analyzed, analysis):
    node, nodes = analyzed
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    coarse = vtk.vtkMatrix4x4()
    coarse.DeepCopy(matrix)
    for row in range(3):
        for column in range(3):
            coarse.SetElement(row, column, 2 * matrix.GetElement(row, column))
        # Centres of the eight small voxels from 2 to 3 are at 2.5.
        shift = sum(matrix.GetElement(row, column) for column in range(3)) * 2.5
        coarse.SetElement(row, 3, matrix.GetElement(row, 3) + shift)
    stored_on(nodes, (2, 3, 4), coarse, 1)
    expected = np.zeros(analysis.opacities.shape, bool)
    expected[2:6, 2:8, 2:10] = True
    expected &= ~np.isin(analysis.opacities, (2, 3))
    np.testing.assert_array_equal(analysisFromScene(scene, node).opacities == 1, expected)
    shifted = vtk.vtkMatrix4x4()
    shifted.DeepCopy(matrix)
    for row in range(3):
        shifted.SetElement(row, 3, matrix.GetElement(row, 3) + sum(matrix.GetElement(row, c) for c in range(3)) * -1)
    stored_on(nodes, (3, 4, 5), shifted, 7)
    expected = np.zeros(analysis.opacities.shape, bool)
    expected[:2, :3, :4] = True
    np.testing.assert_array_equal(analysisFromScene(scene, node).opacities == 1, expected)


def test_a_segment_without_any_voxel_is_empty(scene, analyzed):
    nodes = analyzed[1]
    nodes.segmentation.GetSegmentation().GetSegment("ggo").AddRepresentation(
        "Binary labelmap", slicer.vtkOrientedImageData()
    )
    assert not (analysisFromScene(scene, analyzed[0]).opacities == 1).any()
