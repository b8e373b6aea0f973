"""The panel as a user presses it, with a program that speaks like the real one."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, GEOMETRY, SEGMENTATION, message, panel_qt, start, wait
from scene_maker import added_volume

from CovidCTLib.analysis import CaseDecision


def test_without_a_volume_the_button_is_disabled_and_its_tooltip_says_why(application, program):
    widget = application.opened()
    assert not widget.ui.analyzeButton.enabled
    assert "no volume is selected" in widget.ui.analyzeButton.toolTip
    assert not widget.ui.resultsWidget.visible
    application.picture(widget, "1-no-volume")


def test_the_newest_ct_is_chosen_by_itself(application, panel, volume):
    assert panel.ui.inputVolumeSelector.currentNode() is volume
    assert panel.ui.analyzeButton.enabled
    newer = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "newer")
    application.rest()
    assert panel.ui.inputVolumeSelector.currentNode() is newer


def test_a_choice_made_by_hand_stays_when_nothing_new_comes(application, panel, volume):
    added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "newer")
    application.rest()
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    application.scene.AddNewNodeByClass("vtkMRMLModelNode")
    application.rest()
    assert panel.volumeId() == volume.GetID()


@pytest.mark.parametrize("together", [False, True])
def test_a_ct_that_is_removed_leaves_the_choice_of_another_as_it_is(application, panel, volume, together):
    others = []
    for name in ("b", "c"):
        others.append(added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, name))
        if not together:
            application.rest()
    application.rest()
    panel.ui.inputVolumeSelector.setCurrentNode(volume)
    application.scene.RemoveNode(others[1])
    application.rest()
    assert panel.volumeId() == volume.GetID()
    application.scene.RemoveNode(volume)
    application.rest()
    assert panel.volumeId() == others[0].GetID()


@pytest.mark.parametrize("leave", [False, True])
def test_a_ct_that_is_loaded_during_an_analysis_does_not_take_the_place_of_its_results(
    application, panel, volume, leave
):
    start(application, panel)
    if leave:
        panel.exit()
    added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "other")
    application.rest()
    assert panel.controller.running
    wait(application, panel)
    if leave:
        panel.enter()
    assert panel.volumeId() == volume.GetID()
    assert panel.ui.resultsWidget.visible
    newer = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY, "newer")
    application.rest()
    assert panel.volumeId() == newer.GetID()


def test_one_press_puts_the_results_into_the_scene_and_shows_them(application, panel, volume, program):
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    application.picture(panel, "2-ready")
    start(application, panel)
    assert panel.ui.analyzeButton.text == "Cancel"
    assert not panel.ui.inputVolumeSelector.enabled
    wait(application, panel)
    assert message(panel) == ""
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 1
    assert view.GetBackgroundVolumeID() == volume.GetID()
    assert panel.ui.resultsWidget.visible
    assert panel.ui.decisionLabel.text == (
        "Slices like COVID-19: 60 % (3 of 5 with lung), above the limit of 20 %: the case is like COVID-19"
    )
    rule = panel.ui.decisionLabel.toolTip.replace("\n", " ")
    assert "at a probability of at least 0.50. A case is called so when their share is above 20 %." in rule
    meaning = panel.ui.scoresLabel.toolTip.replace("\n", " ")
    assert "Corona Score: Sum of the slice classifier's localization" in meaning
    assert "arXiv:2003.05037" in meaning
    assert "Percentage of opacity: " in meaning
    assert max(map(len, panel.ui.scoresLabel.toolTip.splitlines())) <= 90
    assert "Corona Score: 0.07 cm³" in panel.ui.scoresLabel.text
    assert "Percentage of opacity: not available. There is no lung." in panel.ui.scoresLabel.text
    assert panel.ui.warningsLabel.text == "Slices are 4 mm apart. (found 4 mm, limit 3 mm)"
    assert "thick-slices: Slices are 4 mm apart." in panel.ui.decisionLabel.toolTip.replace("\n", " ")
    assert panel.ui.analyzeButton.text == "Analyze"
    assert panel.ui.analyzeButton.enabled
    assert not panel.ui.progressBar.visible
    assert panel.volumeId() == volume.GetID(), "the heat map must not be chosen as the newest CT"
    application.picture(panel, "4-results")


@pytest.mark.parametrize(
    ("called", "share", "counts", "said"),
    [
        (True, 0.1504, (1504, 10000), "15.04 % (1504 of 10000 with lung), above the limit of 15 %: the case is"),
        (False, 0.15, (15, 100), "15 % (15 of 100 with lung), not above the limit of 15 %: the case is not"),
    ],
)
def test_the_decision_is_told_beside_its_limit(application, called, share, counts, said):
    record = {"case": asdict(CaseDecision(called, share, *counts, 0.5, 0.15))}
    told = application.panels.summary.decisionText(record)
    assert told == f"Slices like COVID-19: {said} like COVID-19"


def test_a_decision_that_was_stored_without_what_it_was_judged_on_is_told(application):
    case = asdict(CaseDecision(True, 0.5, 5, 10, 0.5, 0.15))
    del case["judged_on"]
    told = application.panels.summary.decisionText({"case": case})
    assert told == "Slices like COVID-19: 50 % (5 of 10 with lung), above the limit of 15 %: the case is like COVID-19"


@pytest.mark.parametrize(
    ("value", "reason", "cell"),
    [
        (None, "pleural effusion was not looked for", ("-", "pleural effusion was not looked for")),
        (12.3, None, ("12.3", "")),
    ],
)
def test_pleural_effusion_stands_in_the_per_lung_table_or_says_why_not(application, value, reason, cell):
    name = "pleural_effusion_volume_ml"
    definition = {"unit": "ml", "label": "pleural effusion", "definition": "Fluid.", "source": None}
    entries = [
        {"region": region, "name": name, "value": value, "unit": "ml", "reason": reason}
        for region in ("right_lung", "left_lung", "both_lungs")
    ]
    (row,) = application.panels.summary.lungTable({"measure_definitions": {name: definition}, "measures": entries})
    assert (row[0].text, row[0].toolTip) == ("Pleural effusion (ml)", "Fluid.")
    assert [(found.text, found.toolTip) for found in row[1:]] == [cell] * 3


def test_a_decision_that_cannot_be_made_is_told_with_its_reason(application):
    record = {"case": asdict(CaseDecision(None, None, 0, 0, 0.5, 0.15, "No slice shows lung.")), "notices": []}
    assert application.panels.summary.decisionText(record) == "Case: not available. No slice shows lung."
    assert application.panels.summary.decisionLines(record) == []


def test_the_ct_is_handed_over_raw_in_a_folder_that_only_its_user_can_read(application, panel, program):
    start(application, panel)
    wait(application, panel)
    (call,) = program.calls
    assert call["mode"] == "0o700"
    assert "encoding: raw" in call["head"]
    assert "sizes: 24 20 9" in call["head"]
    assert call["arguments"][:3] == ["-m", "CovidCTLib", "analyze"]
    assert call["arguments"][-2:] == ["--progress", "json"]
    assert "--no-report" in call["arguments"]
    assert list(application.temporary.iterdir()) == []


def test_the_per_lung_table_gives_values_units_and_definitions(application, panel):
    start(application, panel)
    wait(application, panel)
    table = panel.ui.lungTable
    rows = {table.item(row, 0).text(): table.item(row, 3).text() for row in range(table.rowCount)}
    assert rows["Corona Score (cm³)"] == "0.07"
    assert rows["Percentage of opacity (%)"] == "-"
    assert table.item(0, 0).toolTip()
    absent = [table.item(row, 3) for row in range(table.rowCount) if table.item(row, 3).text() == "-"]
    assert absent[0].toolTip() == "There is no lung."


def test_a_second_run_takes_the_place_of_the_first(application, panel):
    start(application, panel)
    wait(application, panel)
    once = application.scene.GetNumberOfNodes()
    start(application, panel)
    wait(application, panel)
    assert application.scene.GetNumberOfNodes() == once
    assert application.scene.GetNumberOfNodesByClass(SEGMENTATION) == 1


def test_segments_that_were_edited_are_kept_and_the_panel_says_so(application, panel):
    start(application, panel)
    wait(application, panel)
    first = application.scene.GetFirstNodeByClass(SEGMENTATION)
    first.GetSegmentation().AddEmptySegment("nodule", "nodule")
    start(application, panel)
    wait(application, panel)
    assert message(panel).startswith("The earlier segments had been edited by hand, so they were kept")
    assert first.GetScene() is application.scene
    assert panel.ui.resultsWidget.visible


def test_an_oblique_ct_keeps_its_place_on_the_way_to_the_process(application, program, tmp_path):
    import numpy as np
    import SimpleITK as sitk
    from CovidCTScene.handover import handOverOfVolumeNode

    turn = np.radians(7)
    direction = (np.cos(turn), np.sin(turn), 0, np.sin(turn), -np.cos(turn), 0, 0, 0, -1)
    geometry = type(GEOMETRY)((9, 20, 24), (1.5, 1.25, 4.0), (-12.0, 33.0, 140.5), tuple(float(d) for d in direction))
    for kind in (np.int16, np.float32, np.uint16):
        hu = np.arange(9 * 20 * 24).reshape(9, 20, 24).astype(kind)
        node = added_volume(application.scene, hu, geometry)
        byteCount, steps = handOverOfVolumeNode(node)
        file = tmp_path / f"{np.dtype(kind)}.nrrd"
        assert list(steps(file))[-1] == 1.0
        assert byteCount == hu.nbytes
        image = sitk.ReadImage(str(file))
        assert np.array_equal(sitk.GetArrayFromImage(image), hu)
        assert np.allclose(image.GetDirection(), geometry.direction_lps)
        assert np.allclose(image.GetOrigin(), geometry.origin_lps_mm)
        assert np.allclose(image.GetSpacing(), geometry.spacing_xyz_mm)


def test_the_buttons_of_the_windows_set_level_and_width(application, panel, volume):
    for button, level, width in (
        (panel.ui.softTissueButton, 50, 350),
        (panel.ui.lungsButton, -200, 2000),
        (panel.ui.boneButton, 400, 1800),
        (panel.ui.brainButton, 40, 80),
        (panel.ui.readingButton, -600, 1500),
    ):
        application.click(button)
        display = volume.GetDisplayNode()
        assert (display.GetLevel(), display.GetWindow()) == (level, width)
        assert f"level {level}, width {width} HU" in button.toolTip
        assert button.text.endswith(f"\nW {width} L {level}")
    texts = [panel.ui.lungsButton.text, panel.ui.readingButton.text]
    assert texts == ["Lungs\nW 2000 L -200", "Lung reading\nW 1500 L -600"]


def test_a_window_without_a_ct_is_told(application, program):
    widget = application.opened()
    application.click(widget.ui.boneButton)
    assert "no volume is selected" in message(widget)


def test_the_buttons_of_the_results_do_what_they_say(application, panel, program, volume, monkeypatch, tmp_path):
    view = application.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    start(application, panel)
    wait(application, panel)
    assert not panel.ui.heatMapButton.checked
    application.click(panel.ui.heatMapButton)
    assert view.GetForegroundVolumeID()
    assert panel.ui.heatMapButton.checked
    application.click(panel.ui.heatMapButton)
    assert not view.GetForegroundVolumeID()
    assert not panel.ui.heatMapButton.checked
    application.click(panel.ui.show3DButton)
    assert panel.ui.show3DButton.toolTip == "The surfaces are being made."
    application.until(lambda: not panel.controller.surfaces.running)
    assert panel.ui.show3DButton.checked
    assert panel.ui.show3DButton.enabled
    segmentation = application.scene.GetFirstNodeByClass(SEGMENTATION)
    assert segmentation.GetDisplayNode().GetVisibility3D()
    application.click(panel.ui.show3DButton)
    assert not segmentation.GetDisplayNode().GetVisibility3D()
    cursors = []
    show_again = panel.controller._actions.show3D
    monkeypatch.setattr(
        panel.controller._actions,
        "show3D",
        lambda *given: (cursors.append(application.qt.overrideCursor().shape()), show_again(*given)),
    )
    application.click(panel.ui.show3DButton)
    assert panel.ui.show3DButton.checked
    assert cursors == [panel_qt().Qt.WaitCursor]
    assert application.qt.overrideCursor() is None
    chosen = tmp_path / "exported"
    go_on = threading.Event()

    kinds = []

    def slow_writing(analysis, folder, report=True, source=None):
        go_on.wait(60)
        folder.mkdir()
        kinds.append(report)

    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_: str(chosen))
    monkeypatch.setattr(application.panels.result_files, "_writeResults", slow_writing)
    application.click(panel.ui.exportButton)
    assert message(panel) == "Writing the results..."
    assert "Wait until" in panel.ui.reportButton.toolTip
    go_on.set()
    wait(application, panel)
    assert chosen.is_dir()
    assert message(panel) == "All results were written, with the report."
    application.click(panel.ui.reportButton)
    wait(application, panel)
    assert application.opened_pages[0].name == "report.html"
    application.click(panel.ui.explainButton)
    wait(application, panel)
    assert application.opened_pages[1].name == "explanation.html"
    assert application.opened_pages[1].exists()
    given = program.calls[-1]["arguments"]
    assert given[given.index("--results") + 1].endswith("results"), "no network runs again but the one explained"
    assert kinds == [True, True, False]
    panel.controller.removeKept()


def test_an_export_that_fails_says_why(application, panel, monkeypatch, tmp_path):
    start(application, panel)
    wait(application, panel)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_: str(tmp_path / "full"))
    application.click(panel.ui.exportButton)
    wait(application, panel)
    assert "empty" in message(panel)


def test_results_that_are_removed_leave_the_panel(application, panel, volume):
    start(application, panel)
    wait(application, panel)
    assert panel.ui.resultsWidget.visible
    application.scene.RemoveNode(application.scene.GetFirstNodeByClass("vtkMRMLTextNode"))
    application.rest()
    assert not panel.ui.resultsWidget.visible


def test_a_record_that_was_spoiled_is_not_shown(application, panel):
    start(application, panel)
    wait(application, panel)
    application.scene.GetFirstNodeByClass("vtkMRMLTextNode").SetText("{")
    panel.controller.showState()
    assert not panel.ui.resultsWidget.visible


def test_stages_have_names_and_the_time_left_is_told(application):
    from CovidCTPanel.progress_text import HANDING_OVER, progressText, stageName

    from CovidCTLib.cli.progress import STAGE_NAMES

    assert {stage: stageName(stage) for stage in STAGE_NAMES} == dict(STAGE_NAMES)
    assert stageName("something new") == "something new"
    assert progressText(HANDING_OVER, None) == "Handing over the CT..."
    assert progressText("lungs", 180) == "Finding the lungs, about 3 min left"
    assert progressText("lungs", 11.1) == "Finding the lungs, about 10 s left"
    assert progressText("lungs", 0.5) == "Finding the lungs, about 5 s left"


def test_the_panel_is_usable_with_a_large_font(application, program, volume):
    widget = application.opened(font_percent=200)
    large = [replace(entry, value=2870.0, reason=None) for entry in ANALYSIS.measures]
    widget.controller._actions.add(volume.GetID(), replace(ANALYSIS, measures=tuple(large)))
    widget.controller.showState()
    for section in (widget.ui.followUpSection, widget.ui.batchSection, widget.ui.settingsSection):
        section.collapsed = False
    # The list of studies, once it is there, empties the table of changes.
    application.until(lambda: not widget.controller.followUp.busy)
    change = (("Both lungs", (("Consolidation (ml)", 191.2, 0.54, -190.6),)),)
    widget.controller.followUp._section.showResult(application.panels.summary.changeTable(change))
    application.picture(widget, "9-large-font")
    assert widget.parent.width <= 400
    for name, part in vars(widget.ui).items():
        if name.endswith("Button") and part.visible:
            needed = max(part.fontMetrics().horizontalAdvance(line) for line in part.text.splitlines())
            assert part.width >= needed, f"the text of {name} is cut"
            assert part.x >= 0, name
    for table in (widget.ui.lungTable, widget.ui.followUpTable):
        words = [word for row in range(table.rowCount) for word in table.item(row, 0).text().split()]
        assert len(words) > 3
        needed = max(table.fontMetrics().horizontalAdvance(word) for word in (*words, "Consolidation"))
        assert table.columnWidth(0) >= needed, f"the longest word of {table.name} is cut"
