"""The batch section: a folder of CTs, one after the other, that goes on, ends early or has nothing to do."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import wait


def filled(panel, tmp_path, *names):
    """Choose a folder with these files, and one for the results."""
    (tmp_path / "in").mkdir(exist_ok=True)
    for name in names:
        (tmp_path / "in" / name).touch()
    panel.ui.batchSection.collapsed = False
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")


def lines(panel):
    """Lines of the log."""
    return panel.ui.batchLog.toPlainText().splitlines()


def test_a_batch_goes_on_after_a_case_that_fails(application, panel, program, tmp_path):
    panel.ui.batchSection.collapsed = False
    assert "Choose the folder with the CTs" in panel.ui.batchButton.toolTip
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    assert "Choose a folder for the results" in panel.ui.batchButton.toolTip
    panel.ui.batchOutputEdit.text = str(tmp_path / "in")
    assert "must not be the folder with the CTs" in panel.ui.batchButton.toolTip.replace("\n", " ")
    filled(panel, tmp_path, "a.nii.gz", "b_bad.nrrd", "c.zip", "notes.txt")
    assert "cases.csv" in panel.ui.batchButton.toolTip.replace("\n", " ")
    assert "names of patients" in panel.ui.batchButton.toolTip.replace("\n", " ")
    application.click(panel.ui.batchButton)
    assert panel.ui.batchButton.text == "Cancel"
    assert "Wait until" in panel.ui.analyzeButton.toolTip
    wait(application, panel)
    assert lines(panel) == [
        "Case 1 of 3: done, case_0001",
        "Case 2 of 3: failed. The file is damaged. Copy it again.",
        "Case 3 of 3: done, case_0003",
        "2 of 3 CTs analyzed. cases.csv says which file is which case.",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_0001", "case_0003"]
    assert json.loads((tmp_path / "out" / "case_0003" / "analysis.json").read_text())
    assert len(program.calls) == 1, "all CTs go through one process"
    application.picture(panel, "8-batch")
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert lines(panel)[0] == "Case 1 of 3: finished before, case_0001"


def test_a_process_that_ends_in_a_case_costs_that_case_alone(application, panel, program, tmp_path):
    filled(panel, tmp_path, "a.nii", "b_crash.nii", "c.nii")
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert [line.split(".")[0] for line in lines(panel)] == [
        "Case 1 of 3: done, case_0001",
        "Case 2 of 3: failed",
        "Case 3 of 3: done, case_0003",
        "2 of 3 CTs analyzed",
    ]
    assert "perhaps for lack of memory" in lines(panel)[1]
    assert len(program.calls) == 2
    assert program.calls[1]["arguments"][-4:-2] == ["--skip", "2"]


def test_what_stops_every_case_ends_the_batch_with_its_reason(application, panel, program, tmp_path):
    filled(panel, tmp_path, "a.nii", "b_full.nii", "c.nii")
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert lines(panel) == ["Case 1 of 3: done, case_0001", "The disk is full."]
    program.behave("refuse")
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert lines(panel) == ["The networks are damaged. Install them again."]


def test_a_batch_can_be_cancelled_and_the_panel_closed_in_it(application, panel, program, tmp_path):
    filled(panel, tmp_path, "a.nii", "b.nii")
    program.behave("lungs")
    application.click(panel.ui.batchButton)
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert lines(panel) == ["Cancelled before the first CT."]
    application.click(panel.ui.batchButton)
    application.until(lambda: panel.ui.batchProgressBar.value > 50)
    assert "can go on later" in panel.ui.batchButton.toolTip
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert "Cancelled in case 1 of 2" in panel.ui.batchLog.toPlainText()
    application.click(panel.ui.batchButton)
    application.until(lambda: panel.ui.batchProgressBar.value > 50)
    panel.cleanup()
    assert not panel.controller.busy


def test_the_real_program_tells_each_case_and_writes_the_table(application, volume, tmp_path, monkeypatch):
    widget = application.opened()
    filled(widget, tmp_path, "Jane Doe.nii.gz", "b.zip")
    application.click(widget.ui.batchButton)
    wait(application, widget)
    said = lines(widget)
    assert [line.split(".")[0] for line in said] == [
        "Case 1 of 2: failed",
        "Case 2 of 2: failed",
        "0 of 2 CTs analyzed",
    ]
    assert "Jane" not in "".join(said)
    table = (tmp_path / "out" / "cases.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "file,folder,state,reason,grid,content"
    assert table[1].startswith("Jane Doe.nii.gz,case_0001,failed,")


def test_a_batch_without_cts_is_told(application, panel, tmp_path):
    (tmp_path / "in").mkdir()
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")
    application.click(panel.ui.batchButton)
    assert "this one holds none" in panel.ui.batchLog.toPlainText()
