"""Three studies of a patient: analyzed, compared, saved as one file, closed, and loaded again, twice."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import slicer
from walking import FOLDER, analyze, loadSample, openPanel, walk


def treeOf(item, depth=0):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    children = []
    hierarchy.GetItemChildren(item, children)
    lines = []
    for child in children:
        lines.append("  " * depth + hierarchy.GetItemName(child))
        lines += treeOf(child, depth + 1)
    return lines


def take(walk):
    panel = openPanel()
    nodes = loadSample("Synthetic course of three studies")
    walk.rest(1.0)
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    walk.step("panel and views show the same study", red.GetBackgroundVolumeID() == panel.volumeId())
    for node in nodes:
        panel.ui.inputVolumeSelector.setCurrentNode(node)
        walk.rest()
        walk.step("the chosen study is in the views", red.GetBackgroundVolumeID() == node.GetID())
        walk.step(f"{node.GetName()} is analyzed", analyze(walk, panel) and panel.ui.resultsWidget.visible)
    panel.ui.followUpSection.collapsed = False
    walk.until(lambda: not panel.controller.followUp.busy)
    walk.rest(1.0)
    walk.step("all three are ticked", len(panel.controller.followUp._section.chosen()) == len(nodes))
    panel.ui.followUpButton.click()
    walk.until(lambda: not panel.controller.busy)
    walk.rest(1.0)
    sentences = panel.ui.followUpMessageLabel.text
    walk.step("the change is told", bool(sentences), sentences)
    walk.picture("1-follow-up")
    scene = slicer.mrmlScene
    root = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene).GetSceneItemID()
    (FOLDER / "tree.txt").write_text("\n".join(treeOf(root)))
    slicer.util.selectModule("Data")
    walk.rest(1.0)
    walk.picture("2-data")
    for turn in (1, 2):
        path = FOLDER / f"course-{turn}.mrb"
        walk.step("the scene is saved", slicer.util.saveScene(str(path)))
        slicer.mrmlScene.Clear(0)
        walk.rest(1.0)
        walk.step("the scene is loaded", slicer.util.loadScene(str(path)))
        walk.rest(1.0)
        slicer.util.selectModule("CovidCT")
        walk.rest(1.0)
        walk.step("results come back", panel.ui.resultsWidget.visible, panel.volumeId())
        studies = panel.controller._actions.studies(panel.volumeId())
        walk.step("all studies come back", len(studies) == len(nodes), studies)
        walk.picture(f"3-loaded-{turn}")


walk(take)
