"""The map of what changed: segments of the later CT with terms, shown over it, in the follow-up's folder."""

# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

import vtk
from CovidCTScene import addAnalysisToScene, addFollowUpToScene, sceneStudy, showHeatMap, studiesOfPatient
from CovidCTScene import followup_changes as changes_file
from CovidCTScene.followup_changes import Changes, areChangesShown, changeNodeOf, comparedCts, showChanges
from CovidCTScene.nodes import resultNodesOf
from scene_analysis import phantom_analysis
from scene_maker import added_volume
from vtk.util.numpy_support import vtk_to_numpy

from CovidCTLib.errors import CancelledError, InputError
from CovidCTLib.followup import change_map as change_file
from CovidCTLib.followup.change_map import change_map
from CovidCTLib.followup.result import CHANGE_LABELS


@pytest.fixture(scope="module")
def phantom():
    """Results of the synthetic chest."""
    return phantom_analysis()


@pytest.fixture(scope="module")
def shrunk(phantom):
    """The same chest when the opacities of the right lung are gone."""
    opacities = np.where(phantom.lungs == 1, 0, phantom.opacities).astype(np.uint8)
    axial = replace(phantom.axial, opacities=np.where(phantom.axial.lungs == 1, 0, phantom.axial.opacities))
    return replace(phantom, opacities=opacities, axial=axial)


@pytest.fixture
def course(scene, quick, phantom, shrunk):
    """Both as two studies of a patient, compared."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    names = slicer.vtkMRMLSubjectHierarchyConstants
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe")
    made = []
    for day, analysis in (("20200302", phantom), ("20200309", shrunk)):
        study = hierarchy.CreateStudyItem(patient, day)
        hierarchy.SetItemAttribute(study, names.GetDICOMStudyDateAttributeName(), day)
        node = added_volume(scene, analysis.scan.hu, analysis.scan.geometry, f"CT {day}")
        hierarchy.CreateItem(study, node)
        addAnalysisToScene(scene, node, analysis)
        made.append(node)
    addFollowUpToScene(scene, studiesOfPatient(scene, made[0]))
    return made


@pytest.fixture(scope="module")
def real_map(phantom, shrunk):
    """What the library finds; the registration takes some seconds."""
    return change_map(phantom, shrunk)


@pytest.fixture
def quick(monkeypatch, real_map):
    """Let the library find at once what it has found before; it is asked whether to stop, as ever."""

    def found_before(first, later, *, cancelled):
        if cancelled():
            raise CancelledError("The follow-up was cancelled; nothing was changed.")
        assert (first.opacities > 0).sum() > (later.opacities > 0).sum(), "in the order of time"
        return real_map

    monkeypatch.setattr(change_file, "change_map", found_before)


def made_changes(scene, first, later):
    """The map, made and shown."""
    changes = Changes(scene, first, later)
    shares = list(changes.steps())
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    changes.make()
    changes.show()
    return changeNodeOf(scene, first, later)


@pytest.fixture
def change_node(scene, course):
    """The map in the scene."""
    return made_changes(scene, *course)


def test_the_ct_itself_is_compared_with_the_first_and_the_first_with_the_last(scene, course, phantom):
    first, later = course
    assert comparedCts(scene, later) == (first, later)
    assert comparedCts(scene, first) == (first, later)
    alone = added_volume(scene, phantom.scan.hu, phantom.scan.geometry, "alone")
    assert comparedCts(scene, alone) is None
    scene.RemoveNode(first)
    assert comparedCts(scene, later) is None


def test_each_change_is_a_segment_of_the_later_ct_with_colour_and_term(scene, course, change_node, phantom, shrunk):
    segmentation = change_node.GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == [label.segment_id for label in CHANGE_LABELS.values()]
    tag = slicer.vtkSegment.GetTerminologyEntryTagName()
    for label in CHANGE_LABELS.values():
        segment = segmentation.GetSegment(label.segment_id)
        np.testing.assert_allclose(segment.GetColor(), np.array(label.colour) / 255)
        text = vtk.mutable("")
        assert segment.GetTag(tag, text)
        assert f"{label.type.scheme}^{label.type.value}" in str(text)
        assert label.modifier.meaning in str(text)
    reference = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert change_node.GetNodeReferenceID(reference) == course[1].GetID()


def test_what_has_gone_is_resolved_and_what_stays_persists(scene, course, change_node, phantom, shrunk):
    image = slicer.vtkOrientedImageData()
    found = {}
    for change, label in CHANGE_LABELS.items():
        change_node.GetBinaryLabelmapRepresentation(label.segment_id, image)
        found[change] = label_count(image)
    kinds = (phantom.opacities > 0) & (phantom.lungs > 0)
    assert found["new"] < 0.05 * kinds.sum(), "a rim at most"
    gone = (kinds & (phantom.lungs == 1)).sum()
    assert found["resolved"] == pytest.approx(gone, rel=0.15)
    stays = (kinds & (phantom.lungs == 2)).sum()
    assert found["persistent"] == pytest.approx(stays, rel=0.15)


def label_count(image):
    """Voxels of a segment."""
    return int((vtk_to_numpy(image.GetPointData().GetScalars()) > 0).sum())


def test_the_map_lies_in_the_folder_of_the_follow_up(scene, course, change_node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(change_node))
    assert hierarchy.GetItemName(folder) == "Doe, follow-up 2020-03-02 to 2020-03-09"
    assert change_node.GetName() == "CT 20200309: change since CT 20200302"


def test_while_the_map_is_shown_the_views_show_the_later_ct_and_no_other_segments(scene, course, change_node):
    first, later = course
    views = [scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode") for _ in range(2)]
    segments = {ct: resultNodesOf(scene, ct).segmentation.GetDisplayNode() for ct in course}
    showHeatMap(scene, first, resultNodesOf(scene, first), True)
    assert not areChangesShown(change_node), "the heat map shows the segments of its CT"
    assert segments[first].GetVisibility()
    showChanges(scene, change_node, True)
    assert areChangesShown(change_node)
    assert {view.GetBackgroundVolumeID() for view in views} == {later.GetID()}
    assert {view.GetForegroundVolumeID() for view in views} == {None}
    assert not any(display.GetVisibility() for display in segments.values())
    showChanges(scene, change_node, False)
    assert not areChangesShown(change_node)
    assert segments[later].GetVisibility()


def test_another_overlay_of_the_users_stays(scene, course, change_node, phantom):
    view = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    own = added_volume(scene, phantom.scan.hu, phantom.scan.geometry, "mine")
    view.SetForegroundVolumeID(own.GetID())
    showChanges(scene, change_node, True)
    assert view.GetForegroundVolumeID() == own.GetID()


def test_a_second_map_replaces_the_first_and_a_clone_is_the_users(scene, course, change_node):
    clone = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
    clone.Copy(change_node)
    again = made_changes(scene, *course)
    assert change_node.GetScene() is None
    assert clone.GetScene() is scene
    assert again.GetScene() is scene


def test_a_new_follow_up_takes_the_map_with_it(scene, course, change_node):
    addFollowUpToScene(scene, [sceneStudy(scene, ct) for ct in course])
    assert change_node.GetScene() is None
    assert changeNodeOf(scene, *course) is None


def test_a_cancel_leaves_the_scene(scene, course):
    before = scene.GetNumberOfNodes()
    changes = Changes(scene, *course)
    list(changes.steps())
    changes.cancel()
    with pytest.raises(CancelledError):
        changes.make()
    assert scene.GetNumberOfNodes() == before


def test_what_is_removed_meanwhile_is_told(scene, course):
    changes = Changes(scene, *course)
    list(changes.steps())
    with pytest.raises(InputError, match="Both CTs must stay in the scene"):
        changes.show()
    changes.make()
    addFollowUpToScene(scene, [sceneStudy(scene, ct) for ct in course])
    for node in scene.GetNodesByClass("vtkMRMLPlotChartNode"):
        if "follow-up" in node.GetName():
            scene.RemoveNode(node)
    with pytest.raises(InputError, match="The follow-up must stay in the scene"):
        changes.show()
    scene.RemoveNode(course[0])
    with pytest.raises(InputError, match="one was removed"):
        changes.show()


def test_a_failure_leaves_no_map(scene, course, monkeypatch):
    changes = Changes(scene, *course)
    list(changes.steps())
    changes.make()
    before = scene.GetNumberOfNodes()

    def broken(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(changes_file, "showChanges", broken)
    with pytest.raises(KeyboardInterrupt):
        changes.show()
    assert scene.GetNumberOfNodes() == before
    assert not scene.IsBatchProcessing()
