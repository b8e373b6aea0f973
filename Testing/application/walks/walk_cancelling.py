"""An analysis that is cancelled at three moments leaves the scene as it was."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import slicer
from walking import loadSample, openPanel, walk

MOMENTS = (0.0, 2.0, 5.0)
"""Seconds after the start; a click within the first half second counts as the second of a double click."""


def contents():
    scene = slicer.mrmlScene
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return sorted((node.GetID(), node.GetName()) for node in nodes)


def take(walk):
    panel = openPanel()
    loadSample("Synthetic chest CT")
    walk.rest(1.0)
    before = contents()
    for moment in MOMENTS:
        panel.ui.analyzeButton.click()
        walk.rest(0.6 + moment)
        walk.step(f"it runs after {moment} s", panel.controller.running)
        walk.standstill()
        panel.ui.analyzeButton.click()
        walk.step("it comes to rest", walk.until(lambda: not panel.controller.busy, 60))
        walk.measure(f"standstill_cancel_{moment}_s", walk.standstill())
        walk.step("the scene is as it was", contents() == before)
        walk.step("it says so", "Cancelled" in panel.ui.messageLabel.text, panel.ui.messageLabel.text)


walk(take)
