# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""The results as MRML's own displayable managers draw them; pictures go to the folder named in COVIDCT_PICTURES."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, applyWindowPreset, jumpToSlice, show3D, showAnalysis, showHeatMap
from scene_analysis import phantom_analysis
from scene_maker import SceneWithLogics, added_volume
from scene_views import SliceView, ThreeDView, chart_pixels, keep, require_rendering

from CovidCTLib.geometry import CanonicalGrid
from CovidCTLib.labels import CONSOLIDATION, GGO, LEFT_LUNG, RIGHT_LUNG

GREY_TOLERANCE = 12
"""Largest difference of the three channels of a pixel that counts as grey (of 255)."""


@pytest.fixture(scope="module")
def shown():
    """A scene in which the synthetic chest and its results are shown."""
    require_rendering()
    logics = SceneWithLogics(colours=True)
    analysis = phantom_analysis()
    volume = added_volume(logics.scene, analysis.scan.hu, analysis.scan.geometry)
    nodes = addAnalysisToScene(logics.scene, volume, analysis)
    applyWindowPreset(volume, "lung reading")
    yield logics, volume, nodes, analysis
    logics.close()


@pytest.fixture(scope="module")
def axial_view(shown):
    """An axial slice view, which lives as long as the scene, as Slicer's do."""
    view = SliceView(shown[0])
    yield view
    view.close()


@pytest.fixture
def axial(shown, axial_view):
    """The axial slice view with CT, segments and heat map, and without crosshair."""
    logics, volume, nodes, _analysis = shown
    showAnalysis(logics.scene, volume, nodes)
    showHeatMap(logics.scene, volume, nodes, True)
    nodes.segmentation.GetDisplayNode().SetVisibility2D(True)
    hide_crosshair(logics.scene)
    axial_view.fit()
    return axial_view


def hide_crosshair(scene):
    """Take the crosshair away, so that pixels can be compared."""
    scene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCrosshairMode(slicer.vtkMRMLCrosshairNode.NoCrosshair)


def worst_slice(analysis):
    """The axial slice with the largest opacities."""
    return max(analysis.slices, key=lambda entry: entry.ggo_area_mm2 + entry.consolidation_area_mm2).index


def middle_of(analysis, labels, value, index):
    """RAS of a voxel well inside a label of an axial slice: the one farthest from everything else."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(labels[index] == value)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return (analysis.axial.geometry.ijk_to_ras @ (column, row, index, 1))[:3]


def towards(colour, pixel, grey):
    """How much of a colour was laid over a grey value: least squares over the three channels."""
    direction = np.asarray(colour, float) - grey
    return float((pixel.astype(float) - grey) @ direction / (direction @ direction))


def test_opacities_and_lungs_have_their_colours_where_they_lie(shown, axial):
    logics, volume, nodes, analysis = shown
    index = worst_slice(analysis)
    showHeatMap(logics.scene, volume, nodes, False)
    jumpToSlice(logics.scene, volume, index)
    hide_crosshair(logics.scene)
    display = nodes.segmentation.GetDisplayNode()
    display.SetVisibility2D(False)
    bare = axial.pixels()
    keep("slice-axial-ct", bare)
    assert (np.ptp(bare.astype(int), axis=-1) <= GREY_TOLERANCE).all(), "the CT alone is grey"
    assert len(np.unique(bare)) > 50
    display.SetVisibility2D(True)
    drawn = axial.pixels()
    keep("slice-axial-segments", drawn)
    places = (
        (GGO, analysis.axial.opacities, 1, 0.3),
        (CONSOLIDATION, analysis.axial.opacities, 2, 0.3),
        (RIGHT_LUNG, np.where(analysis.axial.opacities > 0, 0, analysis.axial.lungs), 1, 0.05),
        (LEFT_LUNG, np.where(analysis.axial.opacities > 0, 0, analysis.axial.lungs), 2, 0.05),
    )
    for label, labels, value, least in places:
        row, column = axial.pixel_of(middle_of(analysis, labels, value, index))
        share = towards(label.colour, drawn[row, column], bare[row, column])
        assert least < share < 0.95, (label.segment_id, drawn[row, column], bare[row, column])
    outside = drawn[:20, :20]
    np.testing.assert_array_equal(outside, bare[:20, :20], err_msg="nothing is drawn outside the body")


def test_the_heat_map_is_warm_where_the_classifier_looked_and_can_be_taken_away(shown, axial):
    logics, volume, nodes, analysis = shown
    index = worst_slice(analysis)
    jumpToSlice(logics.scene, volume, index)
    hide_crosshair(logics.scene)
    nodes.segmentation.GetDisplayNode().SetVisibility2D(False)
    warm = axial.pixels()
    keep("slice-axial-heat", warm)
    heat = analysis.axial.localization[index]
    hottest = np.unravel_index(int(heat.argmax()), heat.shape)
    row, column = axial.pixel_of((analysis.axial.geometry.ijk_to_ras @ (hottest[1], hottest[0], index, 1))[:3])
    red, _green, blue = warm[row, column].astype(int)
    showHeatMap(logics.scene, volume, nodes, False)
    cold = axial.pixels()
    assert red - blue > 30
    assert np.ptp(cold[row, column].astype(int)) <= GREY_TOLERANCE


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal"])
def test_every_plane_shows_ct_segments_and_heat_map(shown, orientation):
    logics, volume, nodes, analysis = shown
    nodes.segmentation.GetDisplayNode().SetVisibility2D(True)
    view = SliceView(logics, f"{orientation} view", orientation, (480, 480))
    showAnalysis(logics.scene, volume, nodes)
    view.fit()
    labels = analysis.axial.opacities
    place = middle_of(analysis, labels, 1, worst_slice(analysis))
    slicer.vtkMRMLSliceNode.JumpAllSlices(logics.scene, *place, slicer.vtkMRMLSliceNode.OffsetJumpSlice, -1, None)
    drawn = view.pixels()
    keep(f"slice-{orientation.lower()}", drawn)
    row, column = view.pixel_of(place)
    assert np.ptp(drawn[row, column].astype(int)) > 40, "an opacity is coloured"
    view.close()


def test_the_crosshair_stands_in_the_slice_that_was_jumped_to(shown, axial):
    logics, volume, _nodes, analysis = shown
    for index in (20, 35):
        hide_crosshair(logics.scene)
        without = axial.pixels()
        place = jumpToSlice(logics.scene, volume, index)
        assert axial.logic.GetSliceOffset() == pytest.approx(place[2])
        drawn = axial.pixels()
        row, column = axial.pixel_of(place)
        changed = (drawn != without).any(axis=-1)
        assert changed[row].any()
        assert changed[:, column].any()
        assert changed.sum() > 20
        canonical = CanonicalGrid(analysis.scan.geometry).geometry
        assert place[2] == pytest.approx((canonical.ijk_to_ras @ (0, 0, index, 1))[2])


def test_the_3d_view_shows_opacities_in_the_lungs_and_nothing_when_hidden(shown):
    logics, _volume, nodes, _analysis = shown
    view = ThreeDView(logics, (480, 480))
    show3D(logics.scene, nodes)
    view.fit()
    drawn = view.pixels().astype(int)
    keep("view-3d", drawn.astype(np.uint8))
    red, green, blue = np.moveaxis(drawn, -1, 0)
    bluish = (blue > red + 25) & (blue > 60)
    yellowish = (red > blue + 25) & (green > blue + 25)
    columns = drawn.shape[1]
    assert bluish[:, : columns // 2].sum() > 1000, "the right lung is on the left of a view from the front"
    assert bluish[:, columns // 2 :].sum() > 1000
    assert yellowish.sum() > 200
    assert (drawn[:5].sum() == 0) or (np.ptp(drawn[:5].reshape(-1, 3), axis=0) < 30).all()
    show3D(logics.scene, nodes, False)
    assert np.ptp(view.pixels().reshape(-1, 3).astype(int), axis=0).max() <= 2
    view.close()


def test_the_chart_draws_both_series_in_their_colours(shown):
    logics, _volume, nodes, _analysis = shown
    drawn = chart_pixels(nodes.chart, logics.scene).astype(int)
    keep("chart-slices", drawn.astype(np.uint8))
    for series in (nodes.probabilitySeries, nodes.areaSeries):
        colour = np.rint(np.array(series.GetColor()) * 255)
        near = np.abs(drawn - colour).max(axis=-1) < 30
        assert near.sum() > 150, series.GetName()
