# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Segments that were corrected by hand are measured again, without a process and without networks."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import SEGMENTATION, message, start, wait
from test_edits_in_panel import paint, rest, segments, told
from vtk.util.numpy_support import vtk_to_numpy


@pytest.fixture
def analyzed(application, panel, monkeypatch):
    """The panel with results of its CT, whose lungs may be small, measured once as they came."""
    monkeypatch.setattr("CovidCTLib.checks.chest.MIN_LUNG_VOLUME_ML", 0.001)
    monkeypatch.setattr(application.panels.edit_notice, "REST_MS", 50)
    start(application, panel)
    wait(application, panel)
    rest(application, panel)
    measure(application, panel)
    return panel


def measure(application, panel):
    application.click(panel.ui.measureAgainButton)
    assert panel.controller.busy
    application.until(lambda: not panel.controller.busy)
    rest(application, panel)


def record(application):
    texts = application.scene.GetNodesByClass("vtkMRMLTextNode")
    return json.loads(next(node.GetText() for node in texts if '"measures"' in (node.GetText() or "")))


def value(application, name, region="both_lungs"):
    entries = record(application)["measures"]
    return next(entry["value"] for entry in entries if (entry["region"], entry["name"]) == (region, name))


def table(application, ending):
    nodes = application.scene.GetNodesByClass("vtkMRMLTableNode")
    node = next(node for node in nodes if node.GetName().endswith(ending))
    return [[node.GetCellText(row, column) for column in range(node.GetNumberOfColumns())]
            for row in range(node.GetNumberOfRows())]  # fmt: skip


def add_segment(application, volume, name, mask):
    """Add a segment as an effect of the Segment Editor does."""
    prepared = importlib.import_module("CovidCTScene.prepared_results")
    scan = importlib.import_module("CovidCTScene.scan")
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.AddRepresentation("Binary labelmap", prepared.orientedImage(mask, scan.ijkToRasOfVolumeNode(volume)))
    segment.SetLabelValue(1)
    segments(application).AddSegment(segment, name)


def test_corrected_opacities_give_new_numbers_and_undo_the_old_ones_to_the_last_digit(application, analyzed):
    first, tables = record(application), [table(application, name) for name in ("Corona Score", "slices")]
    before = paint(application, lambda voxels: voxels.__setitem__(slice(0, voxels.size // 2), 0))
    assert told(analyzed)
    measure(application, analyzed)
    assert not told(analyzed)
    assert message(analyzed).startswith("Measured again")
    changed = record(application)
    assert changed["measures"] != first["measures"]
    assert changed["provenance"]["opacities"] == "corrected"
    assert changed["provenance"]["lungs"] == first["provenance"]["lungs"]
    assert "Opacities corrected by hand" in analyzed.ui.warningsLabel.text
    assert table(application, "Corona Score") != tables[0]
    paint(application, lambda voxels: np.copyto(voxels, before))
    assert told(analyzed)
    measure(application, analyzed)
    again = record(application)
    assert again["measures"] == first["measures"]
    assert again["slices"] == first["slices"]
    assert again["provenance"] == first["provenance"]
    assert [table(application, name) for name in ("Corona Score", "slices")] == tables
    assert "corrected by hand" not in analyzed.ui.warningsLabel.text


def test_the_segments_stay_as_they_are(application, analyzed):
    paint(application, lambda voxels: voxels.__setitem__(slice(0, voxels.size // 2), 0))
    image = segments(application).GetSegment("ggo").GetRepresentation("Binary labelmap")
    stamp, count = image.GetMTime(), application.scene.GetNumberOfNodes()
    measure(application, analyzed)
    assert image.GetMTime() == stamp
    assert application.scene.GetNumberOfNodes() == count


def test_an_area_that_was_added_is_measured_and_what_is_not_known_is_named(application, analyzed):
    volume = analyzed.ui.inputVolumeSelector.currentNode()
    mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    mask[2:4, 2:5, 2:6] = 1
    for name in ("area A", "Segment_1"):
        add_segment(application, volume, name, mask)
    measure(application, analyzed)
    spacing = np.prod(volume.GetSpacing())
    assert value(application, "area_volume_ml", "area:area A") == pytest.approx(mask.sum() * spacing / 1000)
    assert "left out: Segment_1" in message(analyzed)
    assert not told(analyzed)


def test_an_emptied_segment_counts_nothing(application, analyzed):
    paint(application, lambda voxels: voxels.__setitem__(slice(None), 0))
    measure(application, analyzed)
    assert value(application, "opacity_volume_ml") == 0


def test_a_removed_segment_is_as_good_as_an_emptied_one(application, analyzed):
    segments(application).RemoveSegment("ggo")
    segments(application).RemoveSegment("consolidation")
    measure(application, analyzed)
    assert value(application, "opacity_volume_ml") == 0


def test_split_segments_count_together(application, analyzed):
    whole = value(application, "ggo_volume_ml")
    segmentation = segments(application)
    part = slicer.vtkSegment()
    part.DeepCopy(segmentation.GetSegment("ggo"))
    part.SetName("ground-glass opacity_2")
    part.RemoveTag(slicer.vtkSegment.GetTerminologyEntryTagName())
    segmentation.AddSegment(part, "other")
    image = part.GetRepresentation("Binary labelmap")
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    label = part.GetLabelValue()
    half = np.flatnonzero(voxels == label)[::2]
    rest_of_it = np.setdiff1d(np.flatnonzero(voxels == label), half)
    voxels[half] = 0
    image.Modified()
    paint(application, lambda own: own.__setitem__(rest_of_it, 0))
    measure(application, analyzed)
    assert value(application, "ggo_volume_ml") == pytest.approx(whole)


def test_a_new_analysis_keeps_what_was_corrected(application, analyzed):
    paint(application, lambda voxels: voxels.__setitem__(slice(None), 0))
    measure(application, analyzed)
    start(application, analyzed)
    wait(application, analyzed)
    names = [node.GetName() for node in application.scene.GetNodesByClass(SEGMENTATION)]
    assert any(name.endswith("(edited)") for name in names)


def test_surfaces_only_and_a_transform_are_refused_in_words(application, analyzed):
    node = application.scene.GetFirstNodeByClass(SEGMENTATION)
    transform = application.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetAndObserveTransformNodeID(transform.GetID())
    application.click(analyzed.ui.measureAgainButton)
    assert message(analyzed).startswith("Harden or remove the transform first: the segmentation")
    node.SetAndObserveTransformNodeID(None)
    segments(application).GetSegment("ggo").RemoveRepresentation("Binary labelmap")
    application.click(analyzed.ui.measureAgainButton)
    assert "must be stored as voxels" in message(analyzed)


def test_the_report_after_measuring_again_says_nothing_of_old_numbers(application, analyzed):
    paint(application, lambda voxels: voxels.__setitem__(slice(None), 0))
    measure(application, analyzed)
    volume = analyzed.ui.inputVolumeSelector.currentNode()
    scenes = importlib.import_module("CovidCTScene")
    analysis = scenes.analysisFromScene(application.scene, volume)
    codes = [notice.code for notice in analysis.notices]
    assert "segments-corrected" in codes
    assert "segments-edited" not in codes
    assert not (analysis.opacities == 1).any()
    paint(application, lambda voxels: voxels.__setitem__(slice(0, 1), 1))
    analysis = scenes.analysisFromScene(application.scene, volume)
    assert "segments-edited" in [notice.code for notice in analysis.notices]
