"""Results that are not wanted any more while their nodes come: cancelled, scene closed, application closed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import slicer
from CovidCTScene import is3DShown, resultNodesOf
from CovidCTScene.nodes import COMING_ATTRIBUTE
from walking import analyze, loadSample, openPanel, walk


def nodes():
    scene = slicer.mrmlScene
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]


def contents():
    return sorted((node.GetID(), node.GetName()) for node in nodes())


def coming():
    return [node for node in nodes() if node.GetAttribute(COMING_ATTRIBUTE)]


def analyzeUntil(walk, panel, count):
    """Analyze until so many nodes have come."""
    panel.ui.analyzeButton.click()
    walk.step(f"{count} nodes come", walk.until(lambda: len(coming()) >= count, rest_s=0.0), len(coming()))


def take(walk):
    panel = openPanel()
    ui = panel.ui
    loadSample("Synthetic chest CT")
    walk.rest(1.0)
    before = contents()
    analyzeUntil(walk, panel, 4)
    ui.analyzeButton.click()
    walk.step("it comes to rest", walk.until(lambda: not panel.controller.busy))
    walk.step("cancelled, the scene is as it was", contents() == before, set(contents()) ^ set(before))
    walk.step("it says so", "Cancelled" in ui.messageLabel.text, ui.messageLabel.text)
    walk.step("an analysis ends", analyze(walk, panel))
    ui.show3DButton.click()
    walk.until(lambda: not panel.controller.surfaces.running, rest_s=1.0)
    volume = slicer.mrmlScene.GetNodeByID(panel.volumeId())
    earlier = resultNodesOf(slicer.mrmlScene, volume)
    before = contents()
    analyzeUntil(walk, panel, 8)
    ui.analyzeButton.click()
    walk.step("it comes to rest again", walk.until(lambda: not panel.controller.busy, rest_s=1.0))
    walk.step("a second one leaves the first as it was", contents() == before, set(contents()) ^ set(before))
    walk.step("its results are there", resultNodesOf(slicer.mrmlScene, volume) == earlier and ui.resultsWidget.visible)
    walk.step("its surfaces are seen", is3DShown(earlier) and ui.show3DButton.checked)
    walk.picture("1-as-it-was")
    analyzeUntil(walk, panel, 5)
    slicer.mrmlScene.Clear(0)
    walk.step("it comes to rest in an empty scene", walk.until(lambda: not panel.controller.busy, rest_s=1.0))
    left = [node.GetName() for node in nodes() if node.GetAttribute("CovidCT.Result")]
    walk.step("a scene that was closed holds nothing of it", not left and not coming(), left)
    walk.step("it says that too", "closed" in ui.messageLabel.text, ui.messageLabel.text)
    loadSample("Synthetic chest CT")
    walk.rest(1.0)
    # Then the application closes, and must end by itself.
    analyzeUntil(walk, panel, 3)


walk(take)
