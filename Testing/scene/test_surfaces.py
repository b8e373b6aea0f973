"""Surfaces made beside the user interface are those that Slicer's own converter makes."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import Surfaces, addAnalysisToScene, handover, is3DShown, show3D  # noqa: E402
from scene_analysis import phantom_analysis  # noqa: E402
from scene_maker import added_volume  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from CovidCTLib.errors import InputError  # noqa: E402

CLOSED_SURFACE = "Closed surface"


@pytest.fixture(scope="module")
def phantom():
    """A coarse synthetic chest, whose lungs touch the edge of the CT, for surfaces must be closed there too."""
    return phantom_analysis((38, 46, 46), (8.0, 8.0, 8.0))


@pytest.fixture
def nodes(scene, phantom):
    """Results of the chest in the scene."""
    node = added_volume(scene, phantom.scan.hu, phantom.scan.geometry)
    return addAnalysisToScene(scene, node, phantom)


def made(scene, nodes):
    """Surfaces that are computed, and not shown yet."""
    surfaces = Surfaces(scene, nodes)
    for _share in surfaces.steps():
        continue
    surfaces.make()
    return surfaces


def points_of(nodes):
    segmentation = nodes.segmentation.GetSegmentation()
    found = {}
    for index in range(segmentation.GetNumberOfSegments()):
        surface = segmentation.GetNthSegment(index).GetRepresentation(CLOSED_SURFACE)
        points = vtk_to_numpy(surface.GetPoints().GetData()).copy()
        found[segmentation.GetNthSegmentID(index)] = (
            points,
            vtk_to_numpy(surface.GetPointData().GetNormals()).copy(),
            surface.GetNumberOfPolys(),
        )
    return found


@pytest.mark.parametrize("smoothing", ["0.0", "0.13", "0.5", "1.0"])
def test_surfaces_are_those_of_slicer(scene, nodes, smoothing):
    nodes.segmentation.GetSegmentation().SetConversionParameter("Smoothing factor", smoothing)
    made(scene, nodes).show()
    assert is3DShown(nodes)
    ours = points_of(nodes)
    nodes.segmentation.RemoveClosedSurfaceRepresentation()
    show3D(scene, nodes)
    slicers = points_of(nodes)
    assert list(ours) == list(slicers) == ["right_lung", "left_lung", "ggo", "consolidation"]
    for name, expected in slicers.items():
        assert len(expected[0]) > 100
        np.testing.assert_allclose(ours[name][0], expected[0], atol=1e-4)
        np.testing.assert_allclose(ours[name][1], expected[1], atol=1e-4)
        assert ours[name][2] == expected[2]


def test_the_volume_in_a_surface_is_that_of_the_segment(scene, nodes, phantom):
    import vtk

    nodes.segmentation.GetSegmentation().SetConversionParameter("Smoothing factor", "0.0")
    made(scene, nodes).show()
    mass = vtk.vtkMassProperties()
    mass.SetInputData(nodes.segmentation.GetSegmentation().GetSegment("right_lung").GetRepresentation(CLOSED_SURFACE))
    voxels_mm3 = (phantom.lungs == 1).sum() * phantom.scan.geometry.voxel_volume_mm3
    assert mass.GetVolume() == pytest.approx(voxels_mm3, rel=0.15)


def test_an_empty_segment_has_an_empty_surface(scene, nodes):
    layer = nodes.segmentation.GetSegmentation().GetSegment("ggo").GetRepresentation("Binary labelmap")
    voxels = vtk_to_numpy(layer.GetPointData().GetScalars())
    voxels[voxels == 1] = 0
    empty = slicer.vtkOrientedImageData()
    nodes.segmentation.GetSegmentation().GetSegment("consolidation").AddRepresentation("Binary labelmap", empty)
    surfaces = made(scene, nodes)
    surfaces.show()
    for name in ("ggo", "consolidation"):
        surface = nodes.segmentation.GetSegmentation().GetSegment(name).GetRepresentation(CLOSED_SURFACE)
        assert surface.GetNumberOfPoints() == 0


def test_surfaces_are_computed_from_the_copies_alone(scene, nodes):
    surfaces = Surfaces(scene, nodes)
    for _share in surfaces.steps():
        continue
    expected = made(scene, nodes)._surfaces["ggo"].GetBounds()
    layer = nodes.segmentation.GetSegmentation().GetSegment("ggo").GetRepresentation("Binary labelmap")
    layer.SetOrigin(1000.0, 1000.0, 1000.0)
    vtk_to_numpy(layer.GetPointData().GetScalars())[:] = 0
    surfaces.make()
    assert surfaces._surfaces["ggo"].GetBounds() == expected


def test_no_piece_is_larger_than_told(scene, nodes, monkeypatch):
    layer = nodes.segmentation.GetSegmentation().GetSegment("ggo").GetRepresentation("Binary labelmap")
    x, y, z = layer.GetDimensions()
    monkeypatch.setattr(handover, "PIECE_BYTES", 2 * x * y)
    surfaces = Surfaces(scene, nodes)
    before = 0
    for _share in surfaces.steps():
        copy = surfaces._copies.get(layer)
        now = 0 if copy is None else np.flatnonzero(copy.voxels.any(axis=(1, 2))).size
        assert now - before <= 2
        before = now
    assert before == z


def test_where_slicer_is_to_make_them_otherwise_its_own_converter_does(scene, nodes):
    segmentation = nodes.segmentation.GetSegmentation()
    assert Surfaces.areNeeded(nodes)
    segmentation.SetConversionParameter("Decimation factor", "0.5")
    assert not Surfaces.areNeeded(nodes)
    segmentation.SetConversionParameter("Decimation factor", "0.0")
    assert Surfaces.areNeeded(nodes)
    show3D(scene, nodes)
    assert not Surfaces.areNeeded(nodes)


def test_a_segmentation_that_is_gone_is_told(scene, nodes):
    scene.RemoveNode(nodes.segmentation)
    with pytest.raises(InputError, match="segmentation must be in the scene, but it was removed"):
        Surfaces(scene, nodes)


def test_segments_that_change_meanwhile_are_told(scene, nodes):
    surfaces = made(scene, nodes)
    nodes.segmentation.GetSegmentation().RemoveSegment("ggo")
    with pytest.raises(InputError, match="must stay as they are while their surfaces are made, but they were changed"):
        surfaces.show()
    surfaces = made(scene, nodes)
    scene.RemoveNode(nodes.segmentation)
    with pytest.raises(InputError, match="must stay as they are while their surfaces are made"):
        surfaces.show()
