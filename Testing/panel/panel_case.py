"""The CT of the panel's tests, its analysis made by hand with a finding for each slice, and what a user does and sees.

Slicer and Qt must be there: a test file skips itself without them before it imports this one.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from scene_analysis import made_analysis

from CovidCTLib.geometry import Geometry

GEOMETRY = Geometry((9, 20, 24), (1.5, 1.25, 4.0))

_MADE = made_analysis(GEOMETRY)

ANALYSIS = replace(
    _MADE,
    slices=tuple(
        replace(_MADE.slices[1], index=index, position_mm=4.0 * index, representative=index == 4) for index in range(9)
    ),
)

SEGMENTATION = "vtkMRMLSegmentationNode"


def start(application, widget):
    """Press Analyze, which reads Cancel while an analysis runs."""
    application.click(widget.ui.analyzeButton)


def wait(application, widget):
    """Wait until nothing runs any more."""
    application.until(lambda: not (widget.controller.busy or widget.controller.surfaces.running))


def reach(application, widget, stage):
    """Wait until the panel shows a stage."""
    application.until(lambda: stage in widget.ui.progressLabel.text)


def message(widget):
    """The sentence that the panel shows, or nothing."""
    return widget.ui.messageLabel.text if widget.ui.messageLabel.visible else ""


def contents(scene):
    """Identifier and name of every node, the parameter node left out."""
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {(node.GetID(), node.GetName()) for node in nodes if not node.IsA("vtkMRMLScriptedModuleNode")}


def height(view):
    """Where a slice view cuts the patient, in mm towards the head."""
    return view.GetSliceToRAS().GetElement(2, 3)


def panel_qt():
    """Slicer's Qt, which is there only while an application is."""
    import qt

    return qt


def without(monkeypatch, *absent):
    """Make packages look as if they were not installed; gives the set, from which they can be taken."""
    gone = set(absent)
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else original(name))
    return gone
