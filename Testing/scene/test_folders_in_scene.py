"""CovidCT's folders in Slicer's tree: one beside each CT, one a follow-up, gone with what they hold."""

# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, addFollowUpToScene, studiesOfPatient
from CovidCTScene import followup as followup_file
from CovidCTScene import results as results_file
from scene_analysis import phantom_analysis
from scene_maker import added_volume


@pytest.fixture
def hierarchy(scene):
    """The subject hierarchy of the scene."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


@pytest.fixture
def patient(hierarchy):
    """A patient as the tree shows one."""
    return hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe (4711)")


def added_study(hierarchy, patient, day, node):
    """Put a CT into a study of a patient."""
    study = hierarchy.CreateStudyItem(patient, day)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMStudyDateAttributeName()
    hierarchy.SetItemAttribute(study, name, day)
    hierarchy.CreateItem(study, node)
    return study


def folder_of(hierarchy, node):
    """Item under which a node lies."""
    return hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))


def folders_in(hierarchy):
    """Names of all folders."""
    found = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyLevelFolder()
    items = vtk_ids(hierarchy)
    return sorted(hierarchy.GetItemName(item) for item in items if hierarchy.GetItemAttribute(item, "Level") == found)


def vtk_ids(hierarchy):
    """Every item of the tree."""
    import vtk

    found = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), found, True)
    return [found.GetId(index) for index in range(found.GetNumberOfIds())]


def test_the_results_of_a_ct_lie_in_one_folder_beside_it(hierarchy, patient, scene, volume_node, analysis):
    study = added_study(hierarchy, patient, "20200302", volume_node)
    nodes = addAnalysisToScene(scene, volume_node, analysis)
    folder = folder_of(hierarchy, nodes.segmentation)
    assert hierarchy.GetItemParent(folder) == study
    assert hierarchy.GetItemName(folder) == "chest results"
    for name, node in vars(nodes).items():
        if name != "colours":
            assert folder_of(hierarchy, node) == folder, name


def test_a_node_that_is_hidden_from_editors_has_no_item(hierarchy, patient, scene, volume_node, analysis):
    added_study(hierarchy, patient, "20200302", volume_node)
    nodes = addAnalysisToScene(scene, volume_node, analysis)
    assert nodes.colours.GetHideFromEditors()
    assert hierarchy.GetItemByDataNode(nodes.colours) == 0


def test_numbers_that_only_the_chart_needs_are_left_out_of_the_tree(hierarchy, patient, scene, volume_node, analysis):
    added_study(hierarchy, patient, "20200302", volume_node)
    nodes = addAnalysisToScene(scene, volume_node, analysis)
    excluded = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName()
    assert nodes.chartValues.GetAttribute(excluded)
    assert not nodes.slices.GetAttribute(excluded)
    assert not nodes.chartValues.GetHideFromEditors(), "Slicer up to 5.10 does not save hidden tables"


def test_a_second_analysis_keeps_the_folder_with_what_the_user_put_there(
    hierarchy, patient, scene, volume_node, analysis
):
    added_study(hierarchy, patient, "20200302", volume_node)
    first = addAnalysisToScene(scene, volume_node, analysis)
    folder = folder_of(hierarchy, first.segmentation)
    own = scene.AddNewNodeByClass("vtkMRMLTextNode", "my notes")
    hierarchy.CreateItem(folder, own)
    second = addAnalysisToScene(scene, volume_node, analysis)
    assert folder_of(hierarchy, second.segmentation) == folder
    assert folder_of(hierarchy, own) == folder
    assert folders_in(hierarchy) == ["chest results"]


def test_a_folder_that_the_user_moved_away_is_not_filled_again(hierarchy, patient, scene, volume_node, analysis):
    study = added_study(hierarchy, patient, "20200302", volume_node)
    first = addAnalysisToScene(scene, volume_node, analysis)
    folder = folder_of(hierarchy, first.segmentation)
    hierarchy.SetItemParent(folder, patient)
    own = scene.AddNewNodeByClass("vtkMRMLTextNode", "my notes")
    hierarchy.CreateItem(folder, own)
    second = addAnalysisToScene(scene, volume_node, analysis)
    assert hierarchy.GetItemParent(folder_of(hierarchy, second.segmentation)) == study
    assert folder_of(hierarchy, own) == folder, "it holds something of the user's"
    scene.RemoveNode(own)
    addAnalysisToScene(scene, volume_node, analysis)
    assert folders_in(hierarchy) == ["chest results"], "the empty one has gone"


def test_a_failure_leaves_no_folder(hierarchy, patient, scene, volume_node, analysis, monkeypatch):
    added_study(hierarchy, patient, "20200302", volume_node)

    def broken(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(results_file, "putIntoFolder", broken)
    with pytest.raises(KeyboardInterrupt):
        addAnalysisToScene(scene, volume_node, analysis)
    assert folders_in(hierarchy) == []


@pytest.fixture(scope="module")
def phantom():
    """Results of the synthetic chest."""
    return phantom_analysis()


@pytest.fixture
def course(hierarchy, patient, scene, phantom):
    """Two studies of the patient."""
    for day, name in (("20200302", "chest"), ("20200309", "later")):
        node = added_volume(scene, phantom.scan.hu, phantom.scan.geometry, name)
        added_study(hierarchy, patient, day, node)
        addAnalysisToScene(scene, node, phantom)
    return studiesOfPatient(scene, node)


def test_all_nodes_of_a_follow_up_lie_in_one_folder_named_by_patient_and_dates(hierarchy, patient, scene, course):
    before = {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}
    nodes, _followUp = addFollowUpToScene(scene, course)
    added = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    added = [node for node in added if node.GetID() not in before and hierarchy.GetItemByDataNode(node)]
    assert len(added) == 6 + 12
    folders = {folder_of(hierarchy, node) for node in added}
    assert len(folders) == 1
    folder = folders.pop()
    assert hierarchy.GetItemParent(folder) == patient
    assert hierarchy.GetItemName(folder) == "Doe (4711), follow-up 2020-03-02 to 2020-03-09"
    assert not any("4711" in node.GetName() for node in added), "names of nodes become names of files"
    excluded = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName()
    assert nodes.values.GetAttribute(excluded)


def test_the_folder_of_a_follow_up_goes_with_it_but_not_with_something_of_the_users(hierarchy, scene, course):
    addFollowUpToScene(scene, course)
    second, _followUp = addFollowUpToScene(scene, course)
    names = [name for name in folders_in(hierarchy) if "follow-up" in name]
    assert names == ["Doe (4711), follow-up 2020-03-02 to 2020-03-09"]
    own = hierarchy.CreateFolderItem(folder_of(hierarchy, second.table), "mine")
    addFollowUpToScene(scene, course)
    assert len([name for name in folders_in(hierarchy) if "follow-up" in name]) == 2
    assert hierarchy.GetItemName(own) == "mine"


def test_a_clone_of_a_follow_up_is_the_users(hierarchy, scene, course):
    nodes, _followUp = addFollowUpToScene(scene, course)
    clone = scene.AddNewNodeByClass("vtkMRMLTableNode", "copy")
    clone.Copy(nodes.table)
    hierarchy.CreateItem(folder_of(hierarchy, nodes.table), clone)
    addFollowUpToScene(scene, course)
    assert clone.GetScene() is scene
    assert hierarchy.GetItemByDataNode(clone)


def test_a_follow_up_that_fails_leaves_no_folder(hierarchy, scene, course, monkeypatch):
    def broken(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(followup_file, "putIntoFolder", broken)
    with pytest.raises(KeyboardInterrupt):
        addFollowUpToScene(scene, course)
    assert folders_in(hierarchy) == ["chest results", "later results"]


def test_a_folder_with_a_display_node_of_its_own_goes_with_it(hierarchy, scene, course):
    nodes, _followUp = addFollowUpToScene(scene, course)
    folder = folder_of(hierarchy, nodes.table)
    display = scene.AddNewNodeByClass("vtkMRMLFolderDisplayNode")
    hierarchy.SetItemDataNode(folder, display)
    addFollowUpToScene(scene, course)
    assert display.GetScene() is None
