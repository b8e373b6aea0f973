"""Segments corrected by real effects of the Segment Editor and measured again: numbers, undo, split, area."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import slicer
from walking import loadSample, openPanel, walk

from CovidCTLib.analysis import Analysis, CaseDecision
from CovidCTLib.options import Options
from CovidCTLib.phantom import make_chest_phantom

MOST_DIFFERENCE = 0.001
"""Volumes of segments are those of Segment Statistics within this share."""


def withTruth(volume):
    """The sample's analysis, with its true lungs and opacities: nothing has to be waited for."""
    from CovidCTScene.scan import scanFromVolumeNode

    from CovidCTLib.analysis import AxialArrays, SliceMeasures
    from CovidCTLib.pipeline import measure

    phantom, scan = make_chest_phantom(), scanFromVolumeNode(volume)
    heat = (phantom.opacities > 0).astype(np.float32) / 2
    axial = AxialArrays(scan.hu, phantom.lungs, phantom.opacities, heat, scan.geometry)
    rows = [
        SliceMeasures(k, 0.0, 0.0, "open", False, 0.0, None, 0.0, 0.0, None, 0.9, True, 0.0)
        for k in range(len(scan.hu))
    ]
    case = CaseDecision(True, 1.0, len(rows), len(rows), 0.5, 0.2)
    before = Analysis(scan, phantom.lungs, phantom.opacities, heat, axial, (), tuple(rows), case, (), Options())
    named = {"right_lung": phantom.lungs == 1, "left_lung": phantom.lungs == 2}
    named.update(ggo=phantom.opacities == 1, consolidation=phantom.opacities == 2)
    return measure(scan, named, before=before)


def values(panel):
    record = panel.controller._actions.record(panel.volumeId())
    return {(entry["region"], entry["name"]): entry["value"] for entry in record["measures"]}


def measureAgain(walk, panel):
    """Press the button as a user does; give the seconds until the numbers are there."""
    slicer.util.selectModule("CovidCT")
    walk.rest(1.5)
    walk.standstill()
    begun = time.monotonic()
    panel.ui.measureAgainButton.click()
    walk.until(lambda: not panel.controller.busy)
    return time.monotonic() - begun


def take(walk):
    panel = openPanel()
    ui = panel.ui
    (volume,) = loadSample("Synthetic chest CT")
    walk.rest(1.0)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "AAA of another CT")
    panel.controller._actions.add(volume.GetID(), withTruth(volume))
    panel.controller.showState()
    walk.rest(1.0)
    first = values(panel)
    walk.step("results are shown", ui.resultsWidget.visible, ui.messageLabel.text)
    layout = slicer.app.layoutManager().layout
    ui.editButton.click()
    walk.rest(1.0)
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    results = panel.controller._actions._results(volume.GetID())
    walk.step(
        "the editor opens with this segmentation", editor.segmentationNode() is results.segmentation, other.GetID()
    )
    walk.step("and with this CT", editor.sourceVolumeNode() is volume)
    walk.step("the views stay", slicer.app.layoutManager().layout == layout)
    walk.step("with what is corrected most", editor.currentSegmentID() == "ggo", editor.currentSegmentID())
    walk.picture("1-editor")
    editor.setCurrentSegmentID("ggo")
    editor.setActiveEffectByName("Margin")
    effect = editor.activeEffect()
    effect.setParameter("MarginSizeMm", "3")
    effect.self().onApply()
    editor.setActiveEffectByName("")
    walk.rest(0.5)
    slicer.util.selectModule("CovidCT")
    said = walk.until(lambda: "Measure again" in ui.warningsLabel.text, 60)
    walk.step("the panel says that segments were changed", said, ui.warningsLabel.text)
    walk.picture("2-edited")
    walk.measure("seconds_measure_again", round(measureAgain(walk, panel), 2))
    walk.measure("standstill_measure_again_s", walk.standstill())
    grown = values(panel)
    key = ("both_lungs", "ggo_volume_ml")
    walk.step("ground glass grew", grown[key] > 1.2 * first[key], f"{first[key]:.1f} -> {grown[key]:.1f} ml")
    walk.step("lungs stay", abs(grown["both_lungs", "volume_ml"] / first["both_lungs", "volume_ml"] - 1) < 0.02)
    walk.step("the panel says what was corrected", "corrected by hand" in ui.warningsLabel.text, ui.warningsLabel.text)
    walk.step("and no more that numbers are old", "Press Measure again" not in ui.warningsLabel.text)
    walk.picture("3-measured")
    editor.undo()
    walk.rest(0.5)
    measureAgain(walk, panel)
    undone = values(panel)
    differing = [key for key, value in first.items() if undone[key] != value]
    walk.step("undo gives the old numbers to the last digit", not differing, differing[:5])
    walk.step("and nothing is called corrected", "corrected by hand" not in ui.warningsLabel.text)
    ui.editButton.click()
    walk.rest(0.5)
    editor.setCurrentSegmentID("ggo")
    editor.setActiveEffectByName("Islands")
    effect = editor.activeEffect()
    effect.setParameter("Operation", "SPLIT_ISLANDS_TO_SEGMENTS")
    effect.setParameter("MinimumSize", "1")
    effect.self().onApply()
    editor.setActiveEffectByName("")
    names = [
        results.segmentation.GetSegmentation().GetNthSegment(index).GetName()
        for index in range(results.segmentation.GetSegmentation().GetNumberOfSegments())
    ]
    measureAgain(walk, panel)
    split = values(panel)
    walk.step("split parts count together", split[key] == first[key] and len(names) > 4, names)
    area = results.segmentation.GetSegmentation().AddEmptySegment("", "area A")
    ui.editButton.click()
    walk.rest(0.5)
    editor.setCurrentSegmentID(area)
    editor.setActiveEffectByName("Threshold")
    effect = editor.activeEffect()
    effect.setParameter("MinimumThreshold", "-100")
    effect.setParameter("MaximumThreshold", "20")
    effect.self().onApply()
    editor.setActiveEffectByName("")
    measureAgain(walk, panel)
    with_area = values(panel)
    found = with_area.get(("area:area A", "area_volume_ml"))
    walk.step("the area is measured", bool(found), f"{found} ml; {ui.messageLabel.text}")
    walk.picture("4-area")
    import SegmentStatistics

    logic = SegmentStatistics.SegmentStatisticsLogic()
    parameters = logic.getParameterNode()
    parameters.SetParameter("Segmentation", results.segmentation.GetID())
    parameters.SetParameter("ScalarVolume", volume.GetID())
    logic.computeStatistics()
    statistics = logic.getStatistics()
    measured = {
        "right_lung": with_area["right_lung", "volume_ml"],
        "left_lung": with_area["left_lung", "volume_ml"],
        "consolidation": with_area["both_lungs", "consolidation_volume_ml"],
        area: found,
    }
    for identifier, own in measured.items():
        theirs = statistics[identifier, "LabelmapSegmentStatisticsPlugin.volume_cm3"]
        walk.step(f"Segment Statistics agrees on {identifier}", abs(own / theirs - 1) <= MOST_DIFFERENCE, (own, theirs))
    mean = statistics[area, "ScalarVolumeSegmentStatisticsPlugin.mean"]
    own = with_area["area:area A", "area_hu_mean"]
    walk.step("and on the mean of the area", abs(own - mean) < 0.01, (own, mean))
    text = json.loads(results.record.GetText())["provenance"]["words"]
    walk.measure("provenance", text)


walk(take)
