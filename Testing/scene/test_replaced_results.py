# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Results that newer ones replace: hidden at once, taken out of the views and removed in small steps."""

from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, measure_words, resultNodesOf
from CovidCTScene.nodes import markedNodes
from CovidCTScene.replaced import removeReplaced, showInPlace
from CovidCTScene.results import Adding
from CovidCTScene.tables import fillMeasureTable


@pytest.fixture
def replaced(scene, volume_node, analysis):
    """Earlier and new results of one CT, the earlier ones not removed yet."""
    earlier = addAnalysisToScene(scene, volume_node, analysis)
    adding = Adding(scene, volume_node, analysis)
    for _share in adding.steps():
        continue
    return earlier, adding.nodes


def test_earlier_results_are_hidden_until_they_are_removed(scene, volume_node, replaced):
    earlier, new = replaced
    assert not earlier.segmentation.GetDisplayNode().GetVisibility()
    assert new.segmentation.GetDisplayNode().GetVisibility()
    assert resultNodesOf(scene, volume_node) == new


def test_a_segment_or_a_node_goes_a_step_until_the_new_results_are_left(scene, volume_node, replaced):
    earlier, new = replaced
    segments = earlier.segmentation.GetSegmentation()

    def left():
        nodes = sum(len(nodes) - 1 for nodes in markedNodes(scene, volume_node).values())
        return nodes + (max(segments.GetNumberOfSegments() - 1, 0) if earlier.segmentation.GetScene() else 0)

    before = left()
    assert before == len(vars(new)) + 3
    shares = []
    for share in removeReplaced(scene, volume_node):
        shares.append(share)
        assert left() == before - len(shares)
    assert left() == 0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert resultNodesOf(scene, volume_node) == new
    assert new.segmentation.GetSegmentation().GetNumberOfSegments() == 4


def test_a_ct_that_goes_meanwhile_ends_the_steps(scene, volume_node, replaced):
    steps = removeReplaced(scene, volume_node)
    next(steps)
    scene.RemoveNode(volume_node)
    assert list(steps) == []


def test_views_of_earlier_results_show_the_new_ones(scene, volume_node, replaced):
    earlier, new = replaced
    tables, plots = slicer.vtkMRMLTableViewNode(), slicer.vtkMRMLPlotViewNode()
    composite = slicer.vtkMRMLSliceCompositeNode()
    for node in (tables, plots, composite):
        node.SetSingletonTag(node.GetClassName())
    tables, plots, composite = map(scene.AddNode, (tables, plots, composite))
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode") or scene.AddNewNodeByClass("vtkMRMLSelectionNode")
    tables.SetTableNodeID(earlier.slices.GetID())
    plots.SetPlotChartNodeID(earlier.chart.GetID())
    composite.SetForegroundVolumeID(earlier.localization.GetID())
    selection.SetActiveTableID(earlier.measures.GetID())
    showInPlace(scene, volume_node)
    assert tables.GetTableNodeID() == new.slices.GetID()
    assert plots.GetPlotChartNodeID() == new.chart.GetID()
    assert composite.GetForegroundVolumeID() == new.localization.GetID()
    assert selection.GetActiveTableID() == new.measures.GetID()


def test_what_else_the_views_show_stays(scene, volume_node, replaced):
    mine = scene.AddNewNodeByClass("vtkMRMLTableNode", "mine")
    view = slicer.vtkMRMLTableViewNode()
    view.SetSingletonTag("mine")
    view = scene.AddNode(view)
    view.SetTableNodeID(mine.GetID())
    showInPlace(scene, volume_node)
    assert view.GetTableNodeID() == mine.GetID()


def test_each_word_is_translated_once_however_many_rows_a_table_has(scene, analysis, monkeypatch, untranslated):
    """Slicer's translation takes about 30 µs a text, and a table has hundreds of rows."""
    translated = []
    monkeypatch.setattr(measure_words, "_", lambda text: translated.append(text) or text)
    for name in ("first", "second"):
        fillMeasureTable(scene.AddNewNodeByClass("vtkMRMLTableNode", name), analysis)
    assert translated
    assert len(translated) == len(set(translated))
