"""DICOM results from the panel, and results of an earlier analysis that the study of a CT holds."""

# ruff: noqa: E402
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")
pytest.importorskip("highdicom", reason="highdicom is not installed (pip install 'covidct[dicom]')")
pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install 'covidct[pdf]')")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dicom_results"))

from dicom_database import DicomDatabase
from panel_case import SEGMENTATION, message, wait
from scene_maker import added_volume
from study_maker import NAME, NUMBER, analyzed, write_ct

from CovidCTLib.dicom_results import find_dicom_results, write_dicom


@pytest.fixture
def study(application, tmp_path, monkeypatch):
    """Folder of a study, its CT in the scene as Slicer's DICOM module loads it, and the open panel."""
    folder = tmp_path / "study"
    series = write_ct(folder / "ct")
    return opened(application, monkeypatch, folder, series)


def opened(application, monkeypatch, folder, series):
    database = DicomDatabase(folder)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    analysis = analyzed(folder / "ct")
    node = added_volume(application.scene, analysis.scan.hu, analysis.scan.geometry)
    node.SetAttribute("DICOM.instanceUIDs", database.instances(series))
    return folder, node, analysis, application.opened()


def export(application, panel, monkeypatch, chosen):
    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_given: str(chosen))
    application.click(panel.ui.exportButton)
    wait(application, panel)


def test_export_writes_dicom_results_of_the_same_study_where_they_are_wanted(application, study, tmp_path, monkeypatch):
    _folder, node, analysis, panel = study
    panel.controller._actions.add(node.GetID(), analysis)
    panel.controller.showState()
    box = panel.ui.dicomCheckBox
    assert box.enabled
    assert "keep the patient's name" in " ".join(box.toolTip.split())
    assert not box.checked
    export(application, panel, monkeypatch, tmp_path / "plain")
    assert not (tmp_path / "plain" / "dicom").exists()
    box.checked = True
    export(application, panel, monkeypatch, tmp_path / "out")
    assert "hold the patient's data" in message(panel)
    assert NAME not in message(panel)
    assert NUMBER not in message(panel)
    written = {path.name for path in (tmp_path / "out" / "dicom").iterdir()}
    assert {"segmentation.dcm", "measurements.dcm", "report.dcm", "localization.dcm"} <= written
    plain = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert len(plain) > 5
    for path in plain:
        content = path.read_bytes()
        assert NUMBER.encode() not in content
        assert "ÄNNE".encode() not in content
    expected = tmp_path / "expected"
    write_dicom(analysis, expected)
    database = DicomDatabase(tmp_path / "out", expected)
    series = database.seriesForFile(str(tmp_path / "out" / "dicom" / "segmentation.dcm"))
    reference = database.seriesForFile(str(expected / "segmentation.dcm"))
    assert database.studyForSeries(series) == database.studyForSeries(reference)
    assert database.fieldForSeries("PatientID", series) == NUMBER


def test_a_ct_that_did_not_come_as_dicom_says_why_not(application, panel):
    from panel_case import ANALYSIS

    panel.controller._actions.add(panel.volumeId(), ANALYSIS)
    panel.controller.showState()
    assert not panel.ui.dicomCheckBox.enabled
    assert "Only for a CT that was loaded as DICOM" in " ".join(panel.ui.dicomCheckBox.toolTip.split())
    panel.ui.dicomCheckBox.checked = True
    assert not panel.controller._panel.dicom.wanted


def test_without_a_database_the_box_says_so(application, study):
    _folder, node, analysis, panel = study
    slicer.dicomDatabase.isOpen = False
    panel.controller._actions.add(node.GetID(), analysis)
    panel.controller.showState()
    assert "database" in panel.ui.dicomCheckBox.toolTip
    assert not panel.ui.dicomCheckBox.enabled


def test_files_that_are_gone_are_told_and_nothing_is_written(application, study, tmp_path, monkeypatch):
    folder, node, analysis, panel = study
    panel.controller._actions.add(node.GetID(), analysis)
    panel.controller.showState()
    panel.ui.dicomCheckBox.checked = True
    next((folder / "ct").iterdir()).unlink()
    export(application, panel, monkeypatch, tmp_path / "out")
    assert "but 1 of 12 are gone or damaged" in message(panel)
    assert not (tmp_path / "out").exists()


def test_results_of_an_earlier_analysis_are_found_in_the_study_and_shown(application, tmp_path, monkeypatch):
    folder = tmp_path / "study"
    series = write_ct(folder / "ct")
    analysis = analyzed(folder / "ct")
    write_dicom(analysis, folder / "results")
    _folder, node, _analysis, panel = opened(application, monkeypatch, folder, series)
    assert panel.ui.earlierButton.visible
    assert not panel.ui.resultsWidget.visible
    application.click(panel.ui.earlierButton)
    wait(application, panel)
    assert panel.ui.resultsWidget.visible
    assert not panel.ui.earlierButton.visible
    assert message(panel) == ""
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 1
    record = panel.controller._actions.record(node.GetID())
    shown = {(entry["region"], entry["name"]): entry["value"] for entry in record["measures"]}
    assert shown == {(entry.region, entry.name): entry.value for entry in analysis.measures}
    assert NAME not in json.dumps(record)


def test_a_study_without_results_has_no_button(application, study):
    _folder, _node, _analysis, panel = study
    assert not panel.ui.earlierButton.visible


def test_earlier_results_that_are_damaged_are_told(application, tmp_path, monkeypatch):
    folder = tmp_path / "study"
    series = write_ct(folder / "ct")
    write_dicom(analyzed(folder / "ct"), folder / "results")
    _folder, _node, _analysis, panel = opened(application, monkeypatch, folder, series)
    (found,) = find_dicom_results(folder)
    found.segmentations[0].unlink()
    application.click(panel.ui.earlierButton)
    wait(application, panel)
    assert "segmentations (SEG) were expected" in message(panel)
    assert panel.ui.earlierButton.visible
    for path in (folder / "results").iterdir():
        path.unlink()
    application.click(panel.ui.earlierButton)
    wait(application, panel)
    assert "their files are gone" in message(panel)
