# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""What a user made of the results, by hand or by cloning them, stays the user's when the CT is analyzed again."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, analyzedCts, resultNodesOf
from CovidCTScene.actions import SceneActions
from CovidCTScene.nodes import CLASSES_AND_NAMES, RESULT_ATTRIBUTE, markedNodes
from scene_maker import SceneWithLogics, added_volume
from vtk.util.numpy_support import vtk_to_numpy


@pytest.fixture
def nodes(scene, volume_node, analysis):
    """The results in the scene."""
    return addAnalysisToScene(scene, volume_node, analysis)


def image_of(segmentation_node, segment_id="ggo"):
    return segmentation_node.GetSegmentation().GetSegment(segment_id).GetRepresentation("Binary labelmap")


def erase_a_voxel(nodes):
    image = image_of(nodes.segmentation)
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    voxels[np.flatnonzero(voxels == 1)[0]] = 0
    image.Modified()


def add_a_segment(nodes):
    nodes.segmentation.GetSegmentation().AddEmptySegment("nodule", "nodule")


def remove_a_segment(nodes):
    nodes.segmentation.GetSegmentation().RemoveSegment("consolidation")


@pytest.mark.parametrize("edit", [erase_a_voxel, add_a_segment, remove_a_segment])
def test_a_segmentation_that_was_edited_stays_the_users(scene, volume_node, analysis, nodes, edit):
    edit(nodes)
    kept, others = nodes.segmentation, [node for name, node in vars(nodes).items() if name != "segmentation"]
    segments = list(kept.GetSegmentation().GetSegmentIDs())
    voxels = vtk_to_numpy(image_of(kept).GetPointData().GetScalars()).copy()
    again = addAnalysisToScene(scene, volume_node, analysis)
    assert kept.GetScene() is scene
    assert kept.GetName() == "chest segmentation (edited)"
    assert list(kept.GetSegmentation().GetSegmentIDs()) == segments
    np.testing.assert_array_equal(vtk_to_numpy(image_of(kept).GetPointData().GetScalars()), voxels)
    assert kept.GetDisplayNode() is not None
    assert not kept.GetDisplayNode().GetVisibility(), "it lies under the new one"
    assert kept.GetAttribute(RESULT_ATTRIBUTE) is None
    assert [node.GetScene() for node in others] == [None] * len(others)
    assert resultNodesOf(scene, volume_node) == again
    addAnalysisToScene(scene, volume_node, analysis)
    assert kept.GetScene() is scene
    assert kept.GetName() == "chest segmentation (edited)"


def test_colours_names_and_surfaces_alone_are_no_edit(scene, volume_node, analysis, nodes):
    segment = nodes.segmentation.GetSegmentation().GetSegment("ggo")
    segment.SetColor(1.0, 0.0, 0.0)
    segment.SetName("mine")
    nodes.segmentation.CreateClosedSurfaceRepresentation()
    addAnalysisToScene(scene, volume_node, analysis)
    assert nodes.segmentation.GetScene() is None


def test_a_failure_leaves_an_edited_segmentation_with_its_results(scene, volume_node, analysis, nodes, monkeypatch):
    from CovidCTScene import results

    def broken(*_given):
        raise KeyboardInterrupt

    add_a_segment(nodes)
    monkeypatch.setattr(results, "fillMeasureTable", broken)
    with pytest.raises(KeyboardInterrupt):
        addAnalysisToScene(scene, volume_node, analysis)
    assert resultNodesOf(scene, volume_node) == nodes
    assert nodes.segmentation.GetName() == "chest segmentation"


def test_the_user_is_told_that_edited_segments_were_kept(scene, volume_node, analysis):
    nothing = [lambda *_nodes: None] * 4
    actions = SceneActions(scene, *nothing)
    assert actions.add(volume_node.GetID(), analysis) == ""
    assert actions.add(volume_node.GetID(), analysis) == ""
    add_a_segment(resultNodesOf(scene, volume_node))
    message = actions.add(volume_node.GetID(), analysis)
    assert message.startswith("The earlier segments had been edited by hand, so they were kept")
    assert message.endswith("whose name ends in (edited).")
    assert "chest" not in message, "the name of a node may be the patient's"


def cloned(scene, node):
    """A copy of a node with its references and attributes, as other modules make it."""
    made = scene.AddNewNodeByClass(node.GetClassName(), f"{node.GetName()} copy")
    made.Copy(node)
    return made


def test_clones_of_results_are_the_users(scene, volume_node, analysis, nodes):
    clones = [cloned(scene, node) for node in vars(nodes).values()]
    assert all(clone.GetAttribute(RESULT_ATTRIBUTE) for clone in clones), "they carry the mark of the original"
    assert resultNodesOf(scene, volume_node) == nodes
    again = addAnalysisToScene(scene, volume_node, analysis)
    assert [clone.GetScene() for clone in clones] == [scene] * len(clones)
    assert resultNodesOf(scene, volume_node) == again
    scene.RemoveNode(again.record)
    assert resultNodesOf(scene, volume_node) is None, "a clone takes no result's place"
    assert analyzedCts(scene) == []


def test_a_clone_from_the_data_module_keeps_display_and_voxels(scene, volume_node, analysis, nodes):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in (nodes.segmentation, nodes.localization):
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        slicer.vtkSlicerSubjectHierarchyModuleLogic.CloneSubjectHierarchyItem(hierarchy, item, "mine")
    clones = [scene.GetFirstNode("mine", node.GetClassName()) for node in (nodes.segmentation, nodes.localization)]
    again = addAnalysisToScene(scene, volume_node, analysis)
    segmentation, localization = clones
    assert resultNodesOf(scene, volume_node) == again
    assert segmentation.GetScene() is localization.GetScene() is scene
    assert segmentation.GetDisplayNode() is not None
    assert image_of(segmentation) is not None
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(localization), analysis.localization)
    assert localization.GetDisplayNode().GetColorNode() is not None, "the heat map keeps its colours"


@pytest.fixture
def scene_file(tmp_path, scene, volume_node, nodes):
    """A scene on disk with the CT and its results, and a clone of the segmentation."""
    cloned(scene, nodes.segmentation)
    bundle = tmp_path / "results.mrb"
    assert scene.WriteToMRB(str(bundle))
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    return next(tmp_path.glob("*/*.mrml"))


def cts_of(scene):
    return [node for node in scene.GetNodesByClass("vtkMRMLScalarVolumeNode") if node.GetName() == "chest"]


def test_marks_and_clones_come_back_from_a_scene_file(scene_file, analysis):
    fresh = SceneWithLogics()
    fresh.scene.SetURL(str(scene_file))
    assert fresh.scene.Connect()
    (volume,) = cts_of(fresh.scene)
    back = resultNodesOf(fresh.scene, volume)
    assert back is not None
    assert {name: len(found) for name, found in markedNodes(fresh.scene, volume).items()} == dict.fromkeys(
        CLASSES_AND_NAMES, 1
    )
    addAnalysisToScene(fresh.scene, volume, analysis)
    assert back.segmentation.GetScene() is None, "nobody edited it"
    fresh.close()


def test_an_import_with_clashing_identifiers_tells_both_cts_results_apart(scene_file, analysis):
    fresh = SceneWithLogics()
    first = added_volume(fresh.scene, analysis.scan.hu, analysis.scan.geometry, "chest")
    own = addAnalysisToScene(fresh.scene, first, analysis)
    fresh.scene.SetURL(str(scene_file))
    assert fresh.scene.Import()
    second = next(node for node in cts_of(fresh.scene) if node is not first)
    imported = resultNodesOf(fresh.scene, second)
    assert resultNodesOf(fresh.scene, first) == own
    assert imported is not None
    assert not {node.GetID() for node in vars(own).values()} & {node.GetID() for node in vars(imported).values()}
    assert imported.segmentation.GetName() == "chest segmentation"
    for volume in (first, second):
        assert {len(found) for found in markedNodes(fresh.scene, volume).values()} == {1}
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(imported.localization), analysis.localization)
    addAnalysisToScene(fresh.scene, second, analysis)
    assert imported.segmentation.GetScene() is None
    assert resultNodesOf(fresh.scene, first) == own
    fresh.close()
