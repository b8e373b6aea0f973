"""The panel with the real program and the real networks, on a small made-up chest; slow, so few."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

import numpy as np  # noqa: E402
from scene_maker import added_volume  # noqa: E402

from CovidCTLib.phantom import make_chest_phantom  # noqa: E402

LONGEST_S = 300
"""Seconds for one run on a machine with other work; about 10 on a quiet one."""

LONGEST_STANDSTILL_S = 10.0
LONGEST_WORK_S = 1.0
"""Seconds between two turns of the event loop, import of the small results included, by the clock and of the processor:
other work on the machine lengthens the first only."""

MIDDLE = slice(14, 28)
"""Slices of the made-up chest that are analyzed, to save time."""


def test_a_small_chest_goes_the_whole_way_and_what_cannot_is_refused(application, monkeypatch, tmp_path):
    monkeypatch.setattr(application.panels.panel, "SECOND_CLICK_S", 0.0)
    phantom = make_chest_phantom((40, 80, 80), (7.5, 4.5, 4.5))
    hu = phantom.scan.hu[MIDDLE]
    volume = added_volume(application.scene, hu, replace(phantom.scan.geometry, shape_zyx=hu.shape))
    widget = application.opened()
    ui = widget.ui
    ui.deviceComboBox.currentIndex = 1
    texts, longest, last = set(), (0.0, 0.0), (time.monotonic(), time.thread_time())

    def ended():
        nonlocal longest, last
        now = (time.monotonic(), time.thread_time())
        longest = tuple(max(most, end - start) for most, start, end in zip(longest, last, now, strict=True))
        last = now
        texts.add(ui.progressLabel.text.split(",")[0])
        return not widget.controller.busy

    application.click(ui.analyzeButton)
    application.until(ended, LONGEST_S)
    assert ui.messageLabel.text == ""
    assert {"Finding the lungs", "Finding opacities", "Judging the slices"} <= {text.strip(".") for text in texts}
    assert longest[0] < LONGEST_STANDSTILL_S
    assert longest[1] < LONGEST_WORK_S
    record = widget.controller._actions.record(volume.GetID())
    assert record["geometry"]["shape_zyx"] == list(hu.shape)
    assert record["options"]["device"] == "cpu"
    segmentation = application.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert segmentation.GetSegmentation().GetSegment("right_lung")
    assert "Case: " in ui.decisionLabel.text

    # A folder of own models that holds none.
    before = contents(application.scene)
    ui.modelsEdit.text = str(tmp_path)
    application.click(ui.analyzeButton)
    application.until(ended, LONGEST_S)
    assert "There is no model in" in ui.messageLabel.text
    assert contents(application.scene) == before
    ui.modelsEdit.text = ""

    hu = np.full((12, 48, 48), -1000, np.int16)
    hu[3:9, 12:36, 12:36] = 40
    added_volume(application.scene, hu, type(phantom.scan.geometry)(hu.shape, (5.0, 5.0, 5.0)), "box")
    application.rest()
    before = contents(application.scene)
    application.click(ui.analyzeButton)
    application.until(ended, LONGEST_S)
    assert "No lungs in view" in ui.messageLabel.text
    assert contents(application.scene) == before
    assert list(application.temporary.iterdir()) == []


def contents(scene):
    """Identifier and name of every node."""
    nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
    return {(node.GetID(), node.GetName()) for node in nodes}
