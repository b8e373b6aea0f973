"""A folder of CTs in the panel: a line a CT, results on the disk, and Cancel keeps what is done."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import slicer
from walking import FOLDER, loadSample, openPanel, walk


def take(walk):
    panel = openPanel()
    (volume,) = loadSample("Synthetic chest CT")
    source = FOLDER / "cts"
    source.mkdir()
    for name in ("a", "b"):
        slicer.util.saveNode(volume, str(source / f"{name}.nrrd"))
    (source / "broken.nrrd").write_text("no CT")
    slicer.mrmlScene.Clear(0)
    ui = panel.ui
    ui.batchSection.collapsed = False
    ui.batchInputEdit.text = str(source)
    ui.batchOutputEdit.text = str(FOLDER / "results")
    walk.rest()
    walk.step("the button can be pressed", ui.batchButton.enabled, ui.batchButton.toolTip)
    walk.standstill()
    ui.batchButton.click()
    walk.step("the batch ends", walk.until(lambda: not panel.controller.busy))
    walk.measure("standstill_batch_s", walk.standstill())
    lines = ui.batchLog.toPlainText() if callable(ui.batchLog.toPlainText) else ui.batchLog.plainText
    walk.step("every CT has its line", "2 of 3" in lines, lines)
    walk.step("results are on the disk", (FOLDER / "results" / "case_0001" / "analysis.json").is_file())
    walk.picture("1-batch")


walk(take)
