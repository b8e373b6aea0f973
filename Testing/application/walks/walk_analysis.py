"""A CT from the click on its sample to the report: numbers, views, tables, chart, 3D, files, and a second analysis."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import qt
import slicer
from walking import FOLDER, analyze, loadSample, openPanel, walk


def visibleText(label):
    return label.text if label.visible else ""


def take(walk):
    panel = openPanel()
    ui = panel.ui
    walk.picture("1-empty")
    walk.step("without a CT the button is grey", not ui.analyzeButton.enabled, ui.analyzeButton.toolTip)
    (volume,) = loadSample("Synthetic chest CT")
    walk.rest(1.0)
    walk.step("the new CT is chosen", panel.volumeId() == volume.GetID(), panel.volumeId())
    walk.step("the button can be pressed", ui.analyzeButton.enabled, ui.analyzeButton.toolTip)
    walk.picture("2-loaded")
    walk.standstill()
    walk.step("the analysis ends", analyze(walk, panel))
    walk.measure("standstill_analysis_s", walk.standstill())
    walk.step("results are shown", ui.resultsWidget.visible, visibleText(ui.messageLabel))
    walk.picture("3-results")
    selector = ui.inputVolumeSelector
    names = [selector.nodeFromIndex(index).GetName() for index in range(selector.nodeCount())]
    walk.step("no heat map is a CT to choose", not [name for name in names if "localization" in name], names)
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    walk.step("the heat map waits until it is asked for", not any(c.GetForegroundVolumeID() for c in composites))
    for name in ("heatMapButton", "tableButton", "chartButton", "show3DButton"):
        getattr(ui, name).click()
        walk.until(lambda: not panel.controller.surfaces.running)
        walk.rest(1.0)
        walk.picture(f"4-{name}")
    ui.tableButton.click()
    walk.rest(1.0)
    table = slicer.app.layoutManager().tableWidget(0).tableView()
    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    before = view.GetSliceOffset()
    rows = table.model().rowCount()
    index = table.model().index(rows // 4, 0)
    table.selectionModel().setCurrentIndex(index, qt.QItemSelectionModel.ClearAndSelect)
    walk.rest()
    walk.step("a row of the slice table moves the views", view.GetSliceOffset() != before, view.GetSliceOffset())
    walk.picture("5-row")
    first = panel.controller._actions.record(panel.volumeId())
    layout = slicer.app.layoutManager().layout
    walk.standstill()
    walk.step("the second analysis ends", analyze(walk, panel))
    walk.measure("standstill_second_analysis_s", walk.standstill())
    second = panel.controller._actions.record(panel.volumeId())
    walk.step("the same CT gives the same numbers", first["measures"] == second["measures"])
    walk.step("replaced segments are not called edited", "by hand" not in ui.warningsLabel.text, ui.warningsLabel.text)
    walk.step("the layout stays", slicer.app.layoutManager().layout == layout)
    shown = slicer.app.layoutManager().tableWidget(0).tableView().mrmlTableNode()
    results = panel.controller._actions._results(panel.volumeId())
    walk.step("the table shows the new results", shown is not None and shown.GetID() == results.slices.GetID())
    walk.picture("6-second")
    opened = []
    files = sys.modules["CovidCTPanel.result_files"]
    files.openFile = lambda path: opened.append(Path(path).exists()) or True
    ui.reportButton.click()
    walk.until(lambda: not panel.controller.busy)
    walk.step("the report is opened", opened == [True], visibleText(ui.messageLabel))
    folder = FOLDER / "exported"
    files.chooseFolder = lambda *_given: str(folder)
    ui.exportButton.click()
    walk.until(lambda: not panel.controller.busy)
    walk.step("all files are exported", (folder / "report.html").is_file(), visibleText(ui.messageLabel))
    exported = json.loads((folder / "analysis.json").read_text())
    walk.step("the exported numbers are those of the panel", exported["measures"] == second["measures"])
    files.openFile = lambda path: opened.append(Path(path).exists()) or True
    ui.explainButton.click()
    walk.until(lambda: not panel.controller.busy)
    walk.step("the slice is explained", opened == [True, True], visibleText(ui.messageLabel))
    slicer.util.selectModule("Data")
    walk.rest(1.0)
    walk.picture("7-data")
    slicer.util.selectModule("CovidCT")
    walk.rest(1.0)
    walk.picture("8-back")
    hidden = [row for row in range(ui.lungTable.rowCount) if ui.lungTable.isRowHidden(row)]
    height, header = ui.lungTable.height, ui.lungTable.horizontalHeader().height
    # Of itself Qt 5 tells the height that rows had before a column became narrower.
    ui.lungTable.resizeRowsToContents()
    needed = header + ui.lungTable.verticalHeader().length()
    walk.step("no row of the results is hidden", not hidden and height >= needed, (height, needed))
    import SegmentStatistics

    logic = SegmentStatistics.SegmentStatisticsLogic()
    parameters = logic.getParameterNode()
    parameters.SetParameter("Segmentation", results.segmentation.GetID())
    parameters.SetParameter("ScalarVolume", volume.GetID())
    logic.computeStatistics()
    statistics = logic.getStatistics()
    ours = {(entry["region"], entry["name"]): entry["value"] for entry in second["measures"]}
    for region in ("right_lung", "left_lung"):
        theirs = statistics[region, "LabelmapSegmentStatisticsPlugin.volume_cm3"]
        value = ours[region, "volume_ml"]
        walk.step(f"Segment Statistics agrees on the {region}", abs(theirs - value) <= 0.001 * value, (theirs, value))


walk(take)
