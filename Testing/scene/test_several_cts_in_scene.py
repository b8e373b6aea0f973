# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Several CTs in one scene: only what belongs to the shown one is seen, and it is seen where views can show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import Surfaces, addAnalysisToScene, is3DShown, isHeatMapShown, show3D, showAnalysis, showHeatMap
from scene_analysis import made_analysis
from scene_maker import added_volume
from scene_views import ThreeDView, keep, require_rendering

from CovidCTLib.geometry import Geometry

LAYOUTS = slicer.vtkMRMLLayoutNode


@pytest.fixture
def composites(scene):
    """Three slice views."""
    return [scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode") for _ in range(3)]


@pytest.fixture
def studies(scene, analysis, composites):
    """Three CTs that were analyzed and shown one after the other."""
    made = []
    for number in range(3):
        volume = added_volume(scene, analysis.scan.hu, analysis.scan.geometry, f"study {number}")
        nodes = addAnalysisToScene(scene, volume, analysis)
        showAnalysis(scene, volume, nodes)
        made.append((volume, nodes))
    return made


@pytest.fixture
def layout(scene):
    """The layout node, with Slicer's own layouts behind it."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    yield logic.GetLayoutNode()
    logic.SetMRMLScene(None)


def visible(studies):
    return [bool(nodes.segmentation.GetDisplayNode().GetVisibility()) for _volume, nodes in studies]


def test_only_the_segments_of_the_ct_that_is_shown_are_visible(scene, studies):
    assert visible(studies) == [False, False, True]
    volume, nodes = studies[0]
    showAnalysis(scene, volume, nodes)
    assert visible(studies) == [True, False, False]


def test_the_heat_map_brings_the_segments_of_its_ct_back(scene, studies):
    volume, nodes = studies[1]
    showHeatMap(scene, volume, nodes, False)
    assert visible(studies) == [False, False, True], "taking a heat map away shows nothing else"
    showHeatMap(scene, volume, nodes, True)
    assert visible(studies) == [False, True, False]


def test_surfaces_of_several_cts_do_not_stand_in_each_other(scene, studies):
    for _volume, nodes in studies:
        show3D(scene, nodes)
        assert [is3DShown(other) for _other, other in studies].count(True) == 1
        assert is3DShown(nodes)
    nodes = studies[0][1]
    nodes.segmentation.GetSegmentation().RemoveRepresentation("Closed surface")
    surfaces = Surfaces(scene, nodes)
    list(surfaces.steps())
    surfaces.make()
    surfaces.show()
    assert visible(studies) == [True, False, False]


def test_what_the_user_hid_stays_hidden(scene, studies):
    volume, nodes = studies[2]
    nodes.segmentation.GetDisplayNode().SetVisibility(False)
    showHeatMap(scene, volume, nodes, True)
    assert visible(studies) == [False, False, False]
    showAnalysis(scene, *studies[0])
    showAnalysis(scene, volume, nodes)
    assert visible(studies) == [False, False, False]


def test_segments_that_are_not_covidcts_stay_visible(scene, studies):
    users = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "nodules")
    clone = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "clone")
    clone.Copy(studies[0][1].segmentation)
    for node in (users, clone):
        node.SetAndObserveDisplayNodeID(scene.AddNewNodeByClass("vtkMRMLSegmentationDisplayNode").GetID())
    showAnalysis(scene, *studies[1])
    assert users.GetDisplayNode().GetVisibility()
    assert clone.GetDisplayNode().GetVisibility()


def test_a_heat_map_of_a_ct_that_no_view_shows_brings_the_ct_too(scene, studies, composites):
    volume, nodes = studies[0]
    showHeatMap(scene, volume, nodes, False)
    assert composites[0].GetBackgroundVolumeID() == studies[2][0].GetID(), "there was nothing to take away"
    showHeatMap(scene, volume, nodes, True)
    assert isHeatMapShown(scene, nodes)
    for composite in composites:
        assert composite.GetBackgroundVolumeID() == volume.GetID()
        assert composite.GetForegroundVolumeID() == nodes.localization.GetID()


def test_a_view_that_looks_past_the_ct_moves_to_its_middle(scene, studies, analysis):
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.JumpSliceByCentering(500.0, -400.0, 300.0)
    showHeatMap(scene, *studies[0], True)
    x, y, z = (size - 1 for size in reversed(analysis.scan.geometry.shape_zyx))
    middle = analysis.scan.geometry.ijk_to_ras @ (x / 2, y / 2, z / 2, 1)
    place = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    np.testing.assert_allclose(place, middle[:3], atol=1e-4)
    aside = analysis.scan.geometry.ijk_to_ras @ (x / 3, y / 3, z / 3, 1)
    view.JumpSliceByCentering(*aside[:3])
    showHeatMap(scene, *studies[1], True)
    place = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    np.testing.assert_allclose(place, aside[:3], atol=1e-4, err_msg="where the reader looks is kept")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FourUpPlotView", "ConventionalPlotView"),
        ("FourUpPlotTableView", "ConventionalPlotView"),
        ("OneUpRedSliceView", "FourUpView"),
        ("ThreeOverThreeView", "FourUpView"),
        ("FourUpView", "FourUpView"),
        ("ConventionalView", "ConventionalView"),
        ("FourUpTableView", "FourUpTableView"),
    ],
)
def test_surfaces_get_a_layout_with_a_3d_view(scene, studies, layout, before, after):
    layout.SetViewArrangement(getattr(LAYOUTS, f"SlicerLayout{before}"))
    show3D(scene, studies[2][1])
    assert layout.GetViewArrangement() == getattr(LAYOUTS, f"SlicerLayout{after}")
    assert "vtkMRMLViewNode" in layout.GetCurrentLayoutDescription()


def test_a_slice_view_that_fills_the_layout_makes_room_for_the_surfaces(scene, studies, layout):
    if not hasattr(layout, "AddMaximizedViewNode"):
        pytest.skip("this slicer-core has no maximized views")
    layout.SetViewArrangement(LAYOUTS.SlicerLayoutFourUpView)
    layout.AddMaximizedViewNode(scene.GetNodeByID("vtkMRMLSliceNodeRed"))
    show3D(scene, studies[2][1])
    assert layout.GetNumberOfMaximizedViewNodes() == 0
    layout.AddMaximizedViewNode(scene.GetNodeByID("vtkMRMLViewNode1"))
    show3D(scene, studies[2][1])
    assert layout.GetNumberOfMaximizedViewNodes() == 1, "it is the 3D view that fills the layout"


def test_the_first_surfaces_of_a_far_ct_stand_in_the_middle_of_the_3d_view(logics):
    require_rendering()
    far = Geometry((9, 20, 24), (1.5, 1.25, 4.0), (-300.0, 250.0, -1400.0))
    analysis = made_analysis(far)
    volume = added_volume(logics.scene, analysis.scan.hu, far)
    nodes = addAnalysisToScene(logics.scene, volume, analysis)
    view = ThreeDView(logics, (300, 300))
    users = logics.scene.AddNewNodeByClass("vtkMRMLCameraNode", "mine")
    users.SetLayoutName("nobody's")
    users.SetFocalPoint(1.0, 2.0, 3.0)
    show3D(logics.scene, nodes)
    drawn = view.pixels().astype(int)
    keep("view-3d-centered", drawn.astype(np.uint8))
    seen = np.argwhere(drawn.max(axis=-1) > 20)
    assert len(seen) > 50
    np.testing.assert_allclose((seen.min(axis=0) + seen.max(axis=0)) / 2, (150, 150), atol=6)
    assert users.GetFocalPoint() == (1.0, 2.0, 3.0)
    camera = view.renderer.GetActiveCamera()
    camera.SetFocalPoint(0.0, 0.0, 0.0)
    for shown in (False, True):
        show3D(logics.scene, nodes, shown)
    assert camera.GetFocalPoint() == (0.0, 0.0, 0.0), "only the first time; then the reader has turned the view"
    view.close()


def test_surfaces_of_nothing_leave_the_3d_views_where_they_are(logics, geometry):
    analysis = made_analysis(geometry, empty=True)
    volume = added_volume(logics.scene, analysis.scan.hu, geometry)
    nodes = addAnalysisToScene(logics.scene, volume, replace(analysis))
    camera = logics.scene.AddNewNodeByClass("vtkMRMLCameraNode")
    logics.scene.AddNewNodeByClass("vtkMRMLViewNode").SetLayoutName("1")
    camera.SetLayoutName("1")
    before = camera.GetPosition()
    show3D(logics.scene, nodes)
    assert np.isfinite(camera.GetFocalPoint()).all()
    assert camera.GetPosition() == before
