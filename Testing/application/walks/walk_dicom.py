"""A CT that came as DICOM: its results exported into its study, and shown from there without a new analysis."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import slicer
from walking import FOLDER, analyze, openPanel, walk

CT = os.environ["COVIDCT_WALK_CT"]
"""Folder of a DICOM series."""


def loadCt(database):
    from DICOMLib import DICOMUtils

    series = [
        series
        for patient in database.patients()
        for study in database.studiesForPatient(patient)
        for series in database.seriesForStudy(study)
        if database.fieldForSeries("Modality", series) == "CT"
    ]
    return slicer.mrmlScene.GetNodeByID(DICOMUtils.loadSeriesByUID(series)[0])


def take(walk):
    from DICOMLib import DICOMUtils

    panel = openPanel()
    ui = panel.ui
    with DICOMUtils.TemporaryDICOMDatabase() as database:
        DICOMUtils.importDicom(CT, database)
        loadCt(database)
        walk.rest(1.0)
        walk.step("a study without results has no button for them", not ui.earlierButton.visible)
        walk.step("the analysis ends", analyze(walk, panel) and ui.resultsWidget.visible, ui.messageLabel.text)
        first = panel.controller._actions.record(panel.volumeId())
        walk.step("DICOM results can be made", ui.dicomCheckBox.enabled, ui.dicomCheckBox.toolTip)
        ui.dicomCheckBox.click()
        walk.picture("1-export")
        folder = FOLDER / "exported"
        sys.modules["CovidCTPanel.result_files"].chooseFolder = lambda *_given: str(folder)
        ui.exportButton.click()
        walk.until(lambda: not panel.controller.busy)
        written = sorted(path.name for path in (folder / "dicom").glob("*.dcm"))
        walk.step("DICOM results are written", "segmentation.dcm" in written, (written, ui.messageLabel.text))
        slicer.mrmlScene.Clear(0)
        DICOMUtils.importDicom(str(folder / "dicom"), database)
        loadCt(database)
        walk.rest(1.0)
        walk.step("earlier results are found", ui.earlierButton.visible)
        walk.picture("2-found")
        ui.earlierButton.click()
        walk.until(lambda: not panel.controller.busy)
        walk.step("they are shown", ui.resultsWidget.visible, ui.messageLabel.text)
        second = panel.controller._actions.record(panel.volumeId())
        walk.step("with the same numbers", second is not None and first["measures"] == second["measures"])
        walk.picture("3-shown")
        slicer.mrmlScene.Clear(0)
        walk.rest(1.0)


walk(take)
