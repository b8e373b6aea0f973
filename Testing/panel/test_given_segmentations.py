# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Any segmentation of the scene is measured for the chosen CT: handed over with it, and left as it is."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, SEGMENTATION, message, wait

from CovidCTLib.segments import read_segmentation

SHAPE = (9, 20, 24)


def given(application, volume, name="of another program"):
    """A segmentation of lungs and an unknown organ that overlap, beside the CT."""
    prepared = importlib.import_module("CovidCTScene.prepared_results")
    scan = importlib.import_module("CovidCTScene.scan")
    node = application.scene.AddNewNodeByClass(SEGMENTATION, name)
    for number, words in enumerate(("Lung_Right", "Lung_Left", "liver\nx")):
        mask = np.zeros(SHAPE, np.uint8)
        mask[2:7, 3:9, 2 + 8 * number : 12 + 8 * number] = 1
        segment = slicer.vtkSegment()
        segment.SetName(words)
        segment.AddRepresentation("Binary labelmap", prepared.orientedImage(mask, scan.ijkToRasOfVolumeNode(volume)))
        segment.SetLabelValue(1)
        node.GetSegmentation().AddSegment(segment)
    return node


def calls():
    return [json.loads(line) for line in Path(os.environ["COVIDCT_FAKE_CALLS"]).read_text().splitlines()]


def test_without_a_segmentation_the_button_says_so(panel):
    assert not panel.ui.measureGivenButton.enabled
    assert "Choose the segmentation" in panel.ui.measureGivenButton.toolTip


def test_a_segmentation_is_handed_over_with_the_ct_and_stays_as_it_is(application, panel, volume):
    node = given(application, volume)
    panel.ui.segmentationSelector.setCurrentNode(node)
    assert panel.ui.measureGivenButton.enabled
    stamps = [node.GetSegmentation().GetNthSegment(index).GetMTime() for index in range(3)]
    application.click(panel.ui.measureGivenButton)
    wait(application, panel)
    arguments = calls()[-1]["arguments"]
    assert arguments[2] == "measure"
    assert arguments[4].endswith(".seg.nrrd")
    assert arguments[5] == "-o"
    assert message(panel) == ""
    assert panel.ui.resultsWidget.visible
    assert [node.GetSegmentation().GetNthSegment(index).GetMTime() for index in range(3)] == stamps
    assert node.GetScene() is application.scene
    assert not Path(arguments[4]).exists()


def test_what_is_handed_over_is_what_lies_in_the_scene(application, volume, tmp_path):
    handover = importlib.import_module("CovidCTScene.segments_handover")
    work = handover.SegmentsHandOver(given(application, volume), volume)
    shares = list(work.steps(tmp_path / "labels.seg.nrrd"))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    found = read_segmentation(tmp_path / "labels.seg.nrrd")
    assert [segment.name for segment in found.segments] == ["Lung_Right", "Lung_Left", "liver x"]
    for number, segment in enumerate(found.segments):
        mask, geometry = segment.voxels()
        assert geometry.shape_zyx == SHAPE
        assert mask.sum() == 5 * 6 * min(10, 24 - 2 - 8 * number)


def test_the_segmentation_of_the_results_is_measured_again_without_a_process(application, panel, volume, monkeypatch):
    monkeypatch.setattr("CovidCTLib.checks.chest.MIN_LUNG_VOLUME_ML", 0.001)
    panel.controller._actions.add(volume.GetID(), ANALYSIS)
    panel.controller.showState()
    panel.ui.segmentationSelector.setCurrentNode(application.scene.GetFirstNodeByClass(SEGMENTATION))
    application.click(panel.ui.measureGivenButton)
    wait(application, panel)
    assert message(panel).startswith("Measured again")
    assert not Path(os.environ["COVIDCT_FAKE_CALLS"]).exists() or not calls()


def test_an_empty_segmentation_is_refused_in_words(application, panel):
    panel.ui.segmentationSelector.setCurrentNode(application.scene.AddNewNodeByClass(SEGMENTATION))
    application.click(panel.ui.measureGivenButton)
    assert message(panel).startswith("A segmentation with segments is needed")


def test_a_segmentation_that_is_gone_is_refused_in_words(panel, volume):
    actions = panel.controller._actions
    with pytest.raises(Exception, match="must be in the scene, but it was removed"):
        actions.segmentsHandOver(volume.GetID(), "vtkMRMLSegmentationNode99")
