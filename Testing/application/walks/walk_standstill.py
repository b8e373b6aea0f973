"""How long the user interface stands still while an analysis runs: a first, and a second with table and 3D shown."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import slicer
from walking import analyze, loadSample, openPanel, walk

CT = os.environ.get("COVIDCT_WALK_CT", "")
"""Path of a CT; without it a sample is taken."""


def take(walk):
    panel = openPanel()
    if CT:
        slicer.util.loadVolume(CT)
    else:
        loadSample("Synthetic chest CT")
    walk.rest(2.0)
    walk.standstills()
    with walk.watched("first"):
        walk.step("the first analysis ends", analyze(walk, panel, 0.5) and panel.ui.resultsWidget.visible)
    walk.measure("standstill_first_s", walk.standstills())
    panel.ui.show3DButton.click()
    walk.until(lambda: not panel.controller.surfaces.running)
    panel.ui.tableButton.click()
    walk.rest(2.0)
    walk.standstills()
    with walk.watched("second"):
        walk.step("the second analysis ends", analyze(walk, panel, 0.0) and panel.ui.resultsWidget.visible)
    walk.measure("standstill_second_s", walk.standstills())
    walk.until(lambda: not panel.controller.surfaces.running)
    walk.rest(1.0)
    walk.measure("standstill_surfaces_after_second_s", walk.standstills())


walk(take)
