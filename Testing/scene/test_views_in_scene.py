# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

import vtk
from CovidCTScene import (
    WINDOW_PRESETS,
    addAnalysisToScene,
    applyWindowPreset,
    is3DShown,
    isHeatMapShown,
    jumpToSlice,
    rasOfSlice,
    show3D,
    showAnalysis,
    showCt,
    showHeatMap,
    sliceOfRow,
)
from CovidCTScene.layout import fit3DViews
from CovidCTScene.scan import geometryOfVolumeNode
from scene_maker import added_volume

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid


@pytest.fixture
def nodes(scene, volume_node, analysis):
    """The results in the scene."""
    return addAnalysisToScene(scene, volume_node, analysis)


@pytest.fixture
def composites(scene):
    """Three slice views."""
    return [scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode") for _ in range(3)]


@pytest.fixture
def slice_node(scene):
    """One axial slice view."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    node = scene.AddNewNodeByClass("vtkMRMLSliceNode")
    node.SetOrientation("Axial")
    return node


@pytest.fixture
def crosshair(scene):
    """The scene's crosshair, hidden."""
    return scene.AddNewNodeByClass("vtkMRMLCrosshairNode")


def test_the_heat_map_can_be_taken_away_and_laid_on_again(scene, volume_node, nodes, composites):
    showAnalysis(scene, volume_node, nodes)
    assert not isHeatMapShown(scene, nodes), "its colours are those of the segments until it is asked for"
    showHeatMap(scene, volume_node, nodes, True)
    assert isHeatMapShown(scene, nodes)
    showHeatMap(scene, volume_node, nodes, False)
    assert not isHeatMapShown(scene, nodes)
    assert {view.GetBackgroundVolumeID() for view in composites} == {volume_node.GetID()}
    showHeatMap(scene, volume_node, nodes, True)
    assert isHeatMapShown(scene, nodes)


def test_views_of_another_ct_and_other_overlays_are_left_alone(scene, volume_node, nodes, composites, analysis):
    other = added_volume(scene, analysis.scan.hu, analysis.scan.geometry, "other")
    showAnalysis(scene, volume_node, nodes)
    composites[0].SetBackgroundVolumeID(other.GetID())
    composites[0].SetForegroundVolumeID(None)
    composites[1].SetForegroundVolumeID(other.GetID())
    showHeatMap(scene, volume_node, nodes, False)
    assert composites[1].GetForegroundVolumeID() == other.GetID()
    assert composites[2].GetForegroundVolumeID() is None
    showHeatMap(scene, volume_node, nodes, True)
    assert composites[0].GetForegroundVolumeID() is None


def test_surfaces_are_made_on_demand_and_enclose_the_segments_volume(scene, nodes, geometry, analysis):
    segmentation = nodes.segmentation.GetSegmentation()
    assert not segmentation.ContainsRepresentation("Closed surface")
    assert not is3DShown(nodes)
    show3D(scene, nodes)
    assert is3DShown(nodes)
    surface = vtk.vtkPolyData()
    assert nodes.segmentation.GetClosedSurfaceRepresentation("right_lung", surface)
    mass = vtk.vtkMassProperties()
    mass.SetInputData(surface)
    voxels_ml = (analysis.lungs == 1).sum() * geometry.voxel_volume_mm3
    # The lung is a box of 6 x 10 x 5 voxels; smoothing rounds its edges.
    assert mass.GetVolume() == pytest.approx(voxels_ml, rel=0.25)
    show3D(scene, nodes, False)
    assert not is3DShown(nodes)
    assert segmentation.ContainsRepresentation("Closed surface")


def test_surfaces_of_a_removed_segmentation_are_refused(scene, nodes):
    scene.RemoveNode(nodes.segmentation)
    with pytest.raises(InputError, match=r"must be in the scene, but it was removed\. Analyze the CT again"):
        show3D(scene, nodes)


@pytest.mark.parametrize(
    ("name", "level", "width"),
    [
        ("soft tissue", 50, 350),
        ("lungs", -200, 2000),
        ("bone", 400, 1800),
        ("brain", 40, 80),
        ("lung reading", -600, 1500),
    ],
)
def test_a_window_preset_sets_level_and_width(volume_node, name, level, width):
    applyWindowPreset(volume_node, name)
    display = volume_node.GetDisplayNode()
    assert (display.GetLevel(), display.GetWindow()) == (level, width)
    assert not display.GetAutoWindowLevel()
    assert name in WINDOW_PRESETS


def test_an_unknown_window_and_no_volume_are_refused(volume_node):
    with pytest.raises(InputError, match="must be one of soft tissue, lungs, bone, brain, lung reading, not 'liver'"):
        applyWindowPreset(volume_node, "liver")
    with pytest.raises(InputError, match="no volume is selected"):
        applyWindowPreset(None, "bone")


def test_a_row_of_the_table_leads_to_its_slice(scene, volume_node, nodes, slice_node):
    canonical = CanonicalGrid(geometryOfVolumeNode(volume_node)).geometry
    for row in range(nodes.slices.GetTable().GetNumberOfRows()):
        index = sliceOfRow(nodes.slices, row)
        assert index == row
        place = jumpToSlice(scene, volume_node, index)
        assert slice_node.GetSliceOffset() == pytest.approx(place[2])
        z, y, x = canonical.shape_zyx
        ijk = np.linalg.solve(canonical.ijk_to_ras, np.append(place, 1))[:3]
        np.testing.assert_allclose(ijk, ((x - 1) / 2, (y - 1) / 2, index), atol=1e-9)
        assert 0 <= index < z


def test_the_crosshair_keeps_its_place_within_the_slice(scene, volume_node, nodes, slice_node, crosshair):
    crosshair.SetCrosshairMode(slicer.vtkMRMLCrosshairNode.ShowBasic)
    crosshair.SetCrosshairRAS(5000.0, 0.0, 0.0)
    start = jumpToSlice(scene, volume_node, 2)
    assert crosshair.GetCrosshairMode() == slicer.vtkMRMLCrosshairNode.ShowBasic
    np.testing.assert_allclose(crosshair.GetCrosshairRAS(), start)
    aside = start + np.array([4.0, -3.0, 0.0])
    crosshair.SetCrosshairRAS(*aside)
    place = jumpToSlice(scene, volume_node, 5)
    np.testing.assert_allclose(place[:2], aside[:2], atol=1e-9)
    crosshair.SetCrosshairRAS(5000.0, 0.0, 0.0)
    np.testing.assert_allclose(jumpToSlice(scene, volume_node, 5), rasOfSlice(volume_node, 5))


def test_a_hidden_crosshair_stays_hidden(scene, volume_node, nodes, slice_node, crosshair):
    crosshair.SetCrosshairMode(slicer.vtkMRMLCrosshairNode.NoCrosshair)
    place = jumpToSlice(scene, volume_node, 2)
    assert crosshair.GetCrosshairMode() == slicer.vtkMRMLCrosshairNode.NoCrosshair
    np.testing.assert_allclose(place, rasOfSlice(volume_node, 2))


def test_slices_and_rows_that_are_not_there_are_refused(scene, volume_node, nodes):
    with pytest.raises(InputError, match=r"slice must be from 0 to 8, not 9\. Choose a row"):
        jumpToSlice(scene, volume_node, 9)
    with pytest.raises(InputError, match="slice must be from 0 to 8, not -1"):
        rasOfSlice(volume_node, -1)
    with pytest.raises(InputError, match=r"row must be from 0 to 2, not 3\. Choose a row"):
        sliceOfRow(nodes.slices, 3)
    with pytest.raises(InputError, match="must have the column 'index', but it has none"):
        sliceOfRow(nodes.measures, 0)


def test_the_chart_draws_probability_and_area_over_the_position(nodes, analysis):
    assert nodes.chart.GetNumberOfPlotSeriesNodes() == 2
    assert nodes.chart.GetXAxisTitle() == "position from feet to head (mm)"
    for series, column in ((nodes.probabilitySeries, "probability_percent"), (nodes.areaSeries, "opacity_area_cm2")):
        assert series.GetTableNode() is nodes.chartValues
        assert (series.GetXColumnName(), series.GetYColumnName()) == ("position_mm", column)
    drawn, read = nodes.chartValues.GetTable(), nodes.slices.GetTable()
    assert np.isnan(drawn.GetValueByName(0, "probability_percent").ToDouble())
    assert read.GetValueByName(0, "probability_percent").ToString() == "", "a reader sees an empty cell"
    for table in (drawn, read):
        assert table.GetValueByName(1, "probability_percent").ToDouble() == 87.5
        assert table.GetValueByName(1, "opacity_area_cm2").ToDouble() == pytest.approx(0.30)


def test_without_known_spacing_the_chart_counts_slices_and_shows_no_areas(scene, volume_node, analysis):
    facts = replace(analysis.scan.facts, spacing_known=False)
    unknown = replace(analysis, scan=replace(analysis.scan, facts=facts))
    nodes = addAnalysisToScene(scene, volume_node, unknown)
    assert nodes.chart.GetNumberOfPlotSeriesNodes() == 1
    assert nodes.probabilitySeries.GetXColumnName() == "index"
    table = nodes.slices.GetTable()
    for column in ("position_mm", "lung_area_mm2", "opacity_area_cm2"):
        assert table.GetValueByName(1, column).ToString() == "", column
    assert table.GetValueByName(1, "opacity_percent").ToDouble() == 12.3


def test_every_column_of_both_tables_says_what_it_holds(nodes):
    for node in (nodes.measures, nodes.slices):
        table = node.GetTable()
        for index in range(table.GetNumberOfColumns()):
            name = table.GetColumnName(index)
            assert len(node.GetColumnDescription(name)) > 10, name


def test_a_chosen_ct_is_shown_without_what_belongs_to_another(scene, volume_node, nodes, composites, analysis):
    other = added_volume(scene, analysis.scan.hu, analysis.scan.geometry, "other")
    showAnalysis(scene, volume_node, nodes)
    showHeatMap(scene, volume_node, nodes, True)
    display = nodes.segmentation.GetDisplayNode()
    showCt(scene, other, None)
    assert {view.GetBackgroundVolumeID() for view in composites} == {other.GetID()}
    assert {view.GetForegroundVolumeID() for view in composites} == {None}
    assert not display.GetVisibility()
    showCt(scene, volume_node, nodes)
    assert {view.GetBackgroundVolumeID() for view in composites} == {volume_node.GetID()}
    assert display.GetVisibility()


def test_a_chosen_ct_keeps_its_own_heat_map_and_what_the_user_laid_over_it(
    scene, volume_node, nodes, composites, analysis
):
    other = added_volume(scene, analysis.scan.hu, analysis.scan.geometry, "other")
    showAnalysis(scene, volume_node, nodes)
    showHeatMap(scene, volume_node, nodes, True)
    composites[0].SetForegroundVolumeID(other.GetID())
    showCt(scene, volume_node, nodes)
    assert composites[0].GetForegroundVolumeID() == other.GetID()
    assert composites[1].GetForegroundVolumeID() == nodes.localization.GetID()
    display = nodes.segmentation.GetDisplayNode()
    display.SetVisibility(False)
    showCt(scene, volume_node, nodes)
    assert not display.GetVisibility(), "the user hid it"


def test_the_3d_view_holds_the_whole_box(scene):
    view = scene.AddNewNodeByClass("vtkMRMLViewNode")
    view.SetLayoutName("1")
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetLayoutName("1")
    camera.SetPosition(0.0, 500.0, 0.0)
    camera.SetFocalPoint(0.0, 0.0, 0.0)
    low, high = np.array([-170.0, -120.0, -900.0]), np.array([150.0, 130.0, -540.0])
    fit3DViews(scene, low, high)
    position, focal = np.array(camera.GetPosition()), np.array(camera.GetFocalPoint())
    np.testing.assert_allclose(focal, (low + high) / 2)
    towards = (focal - position) / np.linalg.norm(focal - position)
    np.testing.assert_allclose(towards, [0, -1, 0], atol=1e-9)
    half = np.radians(camera.GetViewAngle() / 2)
    for corner in np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T:
        aside = corner - position
        depth = aside @ towards
        assert np.arctan2(np.linalg.norm(aside - depth * towards), depth) <= half + 1e-9
