"""The batch section: a folder of CTs, one after the other, that goes on, ends early or has nothing to do."""

from __future__ import annotations

import errno
import json

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import wait

from CovidCTLib.errors import InputError


def test_a_batch_goes_on_after_a_case_that_fails(application, panel, program, tmp_path):
    for name in ("a.nii.gz", "b_bad.nrrd", "c.zip", "notes.txt"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    panel.ui.batchSection.collapsed = False
    assert "Choose the folder with the CTs" in panel.ui.batchButton.toolTip
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    assert "Choose a folder for the results" in panel.ui.batchButton.toolTip
    panel.ui.batchOutputEdit.text = str(tmp_path / "in")
    assert "must not be the folder with the CTs" in panel.ui.batchButton.toolTip.replace("\n", " ")
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")
    application.click(panel.ui.batchButton)
    assert panel.ui.batchButton.text == "Cancel"
    assert "Wait until" in panel.ui.analyzeButton.toolTip
    wait(application, panel)
    assert panel.ui.batchLog.toPlainText().splitlines() == [
        "Case 1 of 3: done, case_0001",
        "Case 2 of 3: failed. The file is damaged. Copy it again.",
        "Case 3 of 3: done, case_0003",
        "2 of 3 CTs analyzed.",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_0001", "case_0003"]
    assert json.loads((tmp_path / "out" / "case_0003" / "analysis.json").read_text())
    application.picture(panel, "8-batch")


def test_a_batch_can_be_cancelled_and_the_panel_closed_in_it(application, panel, program, tmp_path):
    for name in ("a.nii", "b.nii"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")
    program.behave("lungs")
    application.click(panel.ui.batchButton)
    application.until(lambda: panel.ui.batchProgressBar.value > 50)
    application.click(panel.ui.batchButton)
    wait(application, panel)
    assert "Cancelled in case 1 of 2" in panel.ui.batchLog.toPlainText()
    application.click(panel.ui.batchButton)
    application.until(lambda: panel.ui.batchProgressBar.value > 50)
    panel.cleanup()
    assert not panel.controller.busy


def test_a_batch_without_cts_is_told(application, panel, tmp_path):
    (tmp_path / "in").mkdir()
    panel.ui.batchInputEdit.text = str(tmp_path / "in")
    panel.ui.batchOutputEdit.text = str(tmp_path / "out")
    application.click(panel.ui.batchButton)
    assert "this one holds none" in panel.ui.batchLog.toPlainText()
    with pytest.raises(InputError, match="there is none at this path"):
        application.panels.batch_run.casesOfFolder(tmp_path / "nowhere")


def test_a_batch_folder_that_cannot_be_read_is_told(application, monkeypatch, tmp_path):
    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(InputError, match="the system refuses \\(Permission denied\\)"):
        application.panels.batch_run.casesOfFolder(tmp_path)
    monkeypatch.undo()
