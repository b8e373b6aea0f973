# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Results that come into the scene in small steps: hidden until all are there, and gone where they are not wanted."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from CovidCTScene import is3DShown, resultNodesOf
from CovidCTScene import results as results_file
from CovidCTScene.nodes import COMING_ATTRIBUTE, markedNodes
from panel_case import ANALYSIS, GEOMETRY, SEGMENTATION, contents, message, start, wait
from scene_maker import added_volume

MOMENTS = (1, 2, 6, 10)
"""After so many nodes of ten: colours, segmentation, values of the chart, all but shown."""

CANCELLED = "Cancelled; the scene is as it was."


def coming(scene):
    """The nodes of results that are not all there yet."""
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return [node for node in nodes if node.GetAttribute(COMING_ATTRIBUTE)]


def replaced(scene, volume):
    """The nodes of a CT whose place newer ones have taken."""
    return [node for nodes in markedNodes(scene, volume).values() for node in nodes[:-1]]


def go_on(application, reached):
    """Let the panel work until something is the case, and not a moment longer."""
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        application.turn()


def adding(application, panel, count):
    """Analyze until so many nodes have come."""
    start(application, panel)
    go_on(application, lambda: len(coming(application.scene)) == count)


def analyzed_in_3d(application, panel, volume):
    """Analyze, and show the surfaces; gives the nodes."""
    start(application, panel)
    wait(application, panel)
    application.click(panel.ui.show3DButton)
    wait(application, panel)
    nodes = resultNodesOf(application.scene, volume)
    assert is3DShown(nodes)
    return nodes


def test_a_node_comes_a_turn_and_nothing_is_seen_until_all_are_there(application, panel, volume):
    scene = application.scene
    start(application, panel)
    counts = [0]

    def shown():
        counts.append(len(coming(scene)))
        assert scene.GetStates() == 0, "no batch, at whose end the application sets its layout anew"
        assert not application.pauses, "the views are never paused, for then all are drawn in one turn"
        if counts[-1]:
            assert resultNodesOf(scene, volume) is None
            assert not panel.ui.resultsWidget.visible
            assert not any(node.GetDisplayVisibility() for node in coming(scene) if node.IsA("vtkMRMLSegmentationNode"))
            assert panel.ui.inputVolumeSelector.currentNode() is volume
        return resultNodesOf(scene, volume) is not None

    go_on(application, shown)
    assert max(counts) == len(results_file.ADDING_ORDER)
    assert {later - earlier for earlier, later in itertools.pairwise(counts[:-1])} == {0, 1}
    assert coming(scene) == []
    nodes = resultNodesOf(scene, volume)
    assert nodes.segmentation.GetDisplayNode().GetVisibility()
    wait(application, panel)
    assert panel.ui.resultsWidget.visible


def test_a_heat_map_that_comes_is_no_ct_to_choose(application, panel):
    adding(application, panel, 3)
    application.rest()
    assert [node.GetClassName() for node in coming(application.scene)][2] == "vtkMRMLScalarVolumeNode"
    panel.controller.showState()
    hidden = panel.ui.inputVolumeSelector.sortFilterProxyModel().hiddenNodeIDs
    assert list(hidden) == [coming(application.scene)[2].GetID()]


@pytest.mark.parametrize("count", MOMENTS)
def test_cancel_between_two_nodes_leaves_the_scene_as_it_was(application, panel, count):
    before = contents(application.scene)
    adding(application, panel, count)
    start(application, panel)
    wait(application, panel)
    assert message(panel) == CANCELLED
    assert contents(application.scene) == before
    assert not panel.ui.resultsWidget.visible
    assert panel.ui.analyzeButton.enabled


@pytest.mark.parametrize("count", MOMENTS)
def test_cancel_of_a_second_analysis_leaves_the_first_as_it_was_seen(application, panel, volume, count):
    earlier = analyzed_in_3d(application, panel, volume)
    before = contents(application.scene)
    adding(application, panel, count)
    assert resultNodesOf(application.scene, volume) == earlier
    start(application, panel)
    wait(application, panel)
    assert message(panel) == CANCELLED
    assert contents(application.scene) == before
    assert resultNodesOf(application.scene, volume) == earlier
    assert is3DShown(earlier)
    assert panel.ui.resultsWidget.visible
    assert panel.ui.show3DButton.checked


def test_who_cancels_when_the_results_are_shown_comes_too_late(application, panel, volume):
    start(application, panel)
    go_on(application, lambda: resultNodesOf(application.scene, volume) is not None)
    panel.controller.cancel(CANCELLED)
    wait(application, panel)
    assert message(panel) == ""
    assert resultNodesOf(application.scene, volume) is not None
    assert panel.ui.resultsWidget.visible


@pytest.mark.parametrize("count", MOMENTS)
def test_a_scene_that_is_closed_between_two_nodes_stays_empty(application, panel, count):
    adding(application, panel, count)
    application.scene.Clear(0)
    after = contents(application.scene)
    wait(application, panel)
    assert message(panel) == "The scene was closed, so the analysis was stopped."
    assert contents(application.scene) == after


@pytest.mark.parametrize("count", MOMENTS)
def test_a_ct_of_the_next_scene_with_the_same_identifier_gets_nothing(application, panel, volume, count):
    adding(application, panel, count)
    identifier = volume.GetID()
    application.scene.Clear(0)
    other = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY)
    assert other.GetID() == identifier
    after = contents(application.scene)
    wait(application, panel)
    assert contents(application.scene) == after
    assert resultNodesOf(application.scene, other) is None


@pytest.mark.parametrize("count", MOMENTS)
def test_a_ct_that_is_removed_between_two_nodes_takes_them_along(application, panel, volume, count):
    application.scene.AddNewNodeByClass("vtkMRMLTextNode", "mine")
    before = contents(application.scene)
    adding(application, panel, count)
    gone = (volume.GetID(), volume.GetName())
    application.scene.RemoveNode(volume)
    wait(application, panel)
    assert message(panel) == "The CT was removed from the scene, so its analysis was stopped."
    assert gone not in contents(application.scene)
    assert contents(application.scene) <= before


@pytest.mark.parametrize("count", MOMENTS)
def test_an_application_that_closes_between_two_nodes_leaves_the_scene_as_it_was(
    application, panel, monkeypatch, count
):
    before = contents(application.scene)
    adding(application, panel, count)
    application.widgets.remove(panel)
    panel.cleanup()
    assert contents(application.scene) == before
    looks = []
    monkeypatch.setattr(panel.controller, "showState", lambda: looks.append(1))
    application.rest()
    assert looks == [], "the application has deleted the widgets by then"
    assert contents(application.scene) == before
    assert not panel.controller.busy


@pytest.mark.parametrize("result", ["colours", "segmentation", "slices", "chart"])
def test_a_node_that_cannot_be_made_is_told_and_leaves_the_scene_as_it_was(
    application, panel, volume, monkeypatch, result
):
    earlier = analyzed_in_3d(application, panel, volume)
    before = contents(application.scene)
    fill = results_file.Adding._fill

    def failing(self, name, node):
        if name == result:
            raise ZeroDivisionError
        fill(self, name, node)

    monkeypatch.setattr(results_file.Adding, "_fill", failing)
    start(application, panel)
    wait(application, panel)
    assert "CovidCT made a mistake (ZeroDivisionError)" in message(panel)
    assert contents(application.scene) == before
    assert is3DShown(earlier)


def test_a_view_that_cannot_show_the_results_is_told_and_they_stay(application, panel, volume, monkeypatch):
    from CovidCTScene import actions

    def failing(*_given):
        raise ZeroDivisionError

    monkeypatch.setattr(actions, "showAnalysis", failing)
    start(application, panel)
    wait(application, panel)
    assert "CovidCT made a mistake (ZeroDivisionError)" in message(panel)
    assert resultNodesOf(application.scene, volume) is not None


def test_segments_that_are_edited_while_new_ones_come_are_kept(application, panel, volume):
    start(application, panel)
    wait(application, panel)
    earlier = resultNodesOf(application.scene, volume).segmentation
    adding(application, panel, 9)
    image = earlier.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    image.GetPointData().GetScalars().Fill(0)
    image.Modified()
    wait(application, panel)
    assert "had been edited by hand, so they were kept" in message(panel)
    assert earlier.GetScene() is application.scene
    assert earlier.GetName().endswith("(edited)")
    assert resultNodesOf(application.scene, volume).segmentation is not earlier


@pytest.mark.parametrize("end", ["clear", "stop", "remove"])
def test_replaced_results_go_safely_whatever_happens_meanwhile(application, panel, volume, end):
    scene = application.scene
    analyzed_in_3d(application, panel, volume)
    start(application, panel)
    go_on(application, lambda: len(replaced(scene, volume)) == 5)
    new = resultNodesOf(scene, volume)
    if end == "clear":
        scene.Clear(0)
    elif end == "stop":
        panel.controller.stop()
    else:
        scene.RemoveNode(volume)
    wait(application, panel)
    assert not panel.controller.surfaces.running
    if end == "stop":
        assert resultNodesOf(scene, volume) == new
    elif end == "clear":
        assert scene.GetNumberOfNodesByClass(SEGMENTATION) == 0


def test_surfaces_of_the_new_results_take_the_place_of_the_earlier_ones(application, panel, volume):
    earlier = analyzed_in_3d(application, panel, volume)
    start(application, panel)
    wait(application, panel)
    nodes = resultNodesOf(application.scene, volume)
    assert nodes.segmentation is not earlier.segmentation
    assert is3DShown(nodes)
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 1


def test_another_ct_that_is_chosen_meanwhile_gets_no_surfaces(application, panel, volume):
    scene = application.scene
    analyzed_in_3d(application, panel, volume)
    other = added_volume(scene, ANALYSIS.scan.hu, GEOMETRY, "other")
    application.rest()
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    application.rest()
    start(application, panel)
    go_on(application, lambda: len(replaced(scene, volume)) == 5)
    panel.ui.inputVolumeSelector.setCurrentNode(other)
    wait(application, panel)
    assert not is3DShown(resultNodesOf(scene, volume))


def test_the_panel_looks_at_the_scene_once_for_all_nodes(application, panel, volume, monkeypatch):
    """A look takes about 10 ms, and 20 nodes come and go."""
    looks = []
    show = panel.controller.showState
    monkeypatch.setattr(panel.controller, "showState", lambda: looks.append(len(coming(application.scene))) or show())
    analyzed_in_3d(application, panel, volume)
    start(application, panel)
    go_on(application, lambda: bool(coming(application.scene)))
    looks.clear()
    go_on(application, lambda: not panel.controller.busy)
    application.rest()
    assert not any(looks), "none while they come"
    assert 1 <= len(looks) <= 4


def test_the_numbers_of_a_node_are_those_of_the_analysis_however_it_came(application, panel, volume):
    start(application, panel)
    wait(application, panel)
    nodes = resultNodesOf(application.scene, volume)
    heat = slicer.util.arrayFromVolume(nodes.localization)
    np.testing.assert_array_equal(heat, ANALYSIS.localization)
    assert nodes.chart.GetNumberOfPlotSeriesNodes() == 2
