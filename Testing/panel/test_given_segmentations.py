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


def test_results_with_lobes_keep_them_show_their_score_and_are_not_called_edited(
    application, panel, volume, monkeypatch
):
    from dataclasses import replace

    from panel_case import start
    from test_measuring_again import record

    from CovidCTLib.pipeline import measure
    from CovidCTLib.segments import GivenLabels

    monkeypatch.setattr("CovidCTLib.checks.chest.MIN_LUNG_VOLUME_ML", 0.001)
    z = np.arange(SHAPE[0])[:, None, None]
    lungs = ANALYSIS.lungs
    parts = ((1, z >= 6), (1, (z >= 4) & (z < 6)), (1, z < 4), (2, z >= 5), (2, z < 5))
    lobes = sum(
        (np.uint8(value) * ((lungs == side) & part) for value, (side, part) in enumerate(parts, start=1)),
        np.zeros(SHAPE, np.uint8),
    )
    area = lungs == 1
    analysis = measure(
        replace(ANALYSIS.scan, facts=replace(ANALYSIS.scan.facts, source_format="Slicer")),
        GivenLabels(lungs, ANALYSIS.opacities, lobes=lobes, areas={"area A": area}),
        before=ANALYSIS,
    )
    panel.controller._actions.add(volume.GetID(), analysis)
    panel.controller.showState()
    application.until(lambda: panel.controller._edits._comparing is None)
    assert "by hand" not in panel.ui.warningsLabel.text
    assert "Severity of five lobes (0 to 25)" in panel.ui.scoresLabel.text
    assert "right upper lobe" in panel.ui.scoresLabel.text
    assert "Measured from: lobes given" in panel.ui.scoresLabel.text
    first = record(application)["measures"]
    application.click(panel.ui.measureAgainButton)
    wait(application, panel)
    assert record(application)["measures"] == first
    scenes = importlib.import_module("CovidCTScene")
    back = scenes.analysisFromScene(application.scene, volume)
    assert np.array_equal(back.lobes, analysis.lobes)
    assert np.array_equal(back.areas["area A"], area)
    start(application, panel)
    wait(application, panel)
    names = [node.GetName() for node in application.scene.GetNodesByClass(SEGMENTATION)]
    assert not any(name.endswith("(edited)") for name in names)
