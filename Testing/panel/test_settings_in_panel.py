"""The settings: what they tell the program, and how they stay with the scene."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import message, start, wait


def test_settings_become_arguments_of_the_program(application, panel, program):
    ui = panel.ui
    ui.settingsSection.collapsed = False
    ui.deviceComboBox.currentIndex = 1
    ui.lungsEngineComboBox.currentIndex = 1
    ui.sliceThresholdBox.value = 0.4
    ui.caseThresholdBox.value = 0.0
    ui.highOpacityBox.value = -150
    ui.vesselBox.value = -450
    ui.modelsEdit.text = "/models/mine"
    application.picture(panel, "6-settings")
    start(application, panel)
    wait(application, panel)
    arguments = program.calls[0]["arguments"]
    for pair in (["--device", "cpu"], ["--lungs", "contour"], ["--models", "/models/mine"]):
        at = arguments.index(pair[0])
        assert arguments[at : at + 2] == pair
    assert arguments[arguments.index("--slice-threshold") + 1] == "0.4000"
    assert arguments[arguments.index("--case-threshold") + 1] == "0.0000"
    assert {"--high-opacity=-150", "--vessel=-450"} <= set(arguments)
    application.click(ui.resetButton)
    assert (ui.deviceComboBox.currentIndex, ui.highOpacityBox.value, ui.modelsEdit.text) == (0, -200, "")
    start(application, panel)
    wait(application, panel)
    assert "--slice-threshold" not in program.calls[1]["arguments"]
    assert "--case-threshold" not in program.calls[1]["arguments"]


def test_the_terminal_understands_the_arguments_of_the_panel(application, panel):
    from CovidCTLib.cli.main import build_parser

    panel.ui.sliceThresholdBox.value = 0.4
    arguments = application.panels.settings.analysisArguments(panel.settings())
    told = build_parser().parse_args(["analyze", "in", "-o", "out", *arguments, "--no-report", "--progress", "json"])
    assert (told.slice_threshold, told.case_threshold, told.high_opacity, told.vessel) == (0.4, None, -200.0, -500.0)
    arguments = application.panels.settings.engineArguments(panel.settings())
    assert build_parser().parse_args(["explain", "in", "-o", "out", *arguments, "--slices", "3"])


def test_a_folder_of_models_that_looks_like_an_option_is_refused(application, panel, program):
    panel.ui.modelsEdit.text = "--device"
    start(application, panel)
    assert "must be a full path" in message(panel)
    assert program.calls == []


def test_what_was_set_is_restored_with_the_scene(application, panel):
    panel.ui.highOpacityBox.value = -123
    panel.exit()
    panel.ui.highOpacityBox.value = -200
    panel.enter()
    assert panel.ui.highOpacityBox.value == -123
    node = application.scene.GetSingletonNode("CovidCT", "vtkMRMLScriptedModuleNode")
    assert node.GetParameter("highOpacityHu") == "-123"


def set_advanced(ui):
    ui.settingsSection.collapsed = False
    ui.advancedSection.collapsed = False
    limits = (ui.emphysemaEndBox, ui.inflatedEndBox, ui.infiltratedEndBox, ui.collapsedEndBox)
    for box, value in zip(limits, (-940, -700, -300, 50), strict=True):
        box.value = value
    ui.localizationThresholdBox.value = 0.35
    ui.localizationSigmaBox.value = 1.5


def test_advanced_limits_are_those_of_the_terminal(application, panel, program):
    from CovidCTLib.cli.arguments import options_from
    from CovidCTLib.cli.main import build_parser
    from CovidCTLib.options import Options

    def options():
        arguments = application.panels.settings.analysisArguments(panel.settings())
        return options_from(build_parser().parse_args(["analyze", "in", "-o", "out", *arguments, "--progress", "json"]))

    usual = options()
    assert (usual.aeration_bands, usual.localization_threshold, usual.localization_sigma_mm) == (
        Options().aeration_bands,
        Options().localization_threshold,
        Options().localization_sigma_mm,
    )
    set_advanced(panel.ui)
    application.picture(panel, "6-advanced")
    chosen = options()
    assert [band.high_hu for band in chosen.aeration_bands[:-1]] == [-940, -700, -300, 50]
    assert (chosen.localization_threshold, chosen.localization_sigma_mm) == (0.35, 1.5)
    start(application, panel)
    wait(application, panel)
    arguments = program.calls[0]["arguments"]
    at = arguments.index("--aeration-limits")
    assert arguments[at + 1 : at + 5] == ["-940", "-700", "-300", "50"]
    application.click(panel.ui.resetButton)
    assert options() == usual


def test_the_defaults_of_the_advanced_limits_are_named(panel):
    assert "-950, -750, -400, 0 HU" in panel.ui.advancedLabel.text
    assert "from 0.2, smoothed over 2 mm" in panel.ui.advancedLabel.text
    assert panel.ui.advancedSection.collapsed


def test_limits_of_bands_that_do_not_rise_are_refused(application, panel, program):
    panel.ui.inflatedEndBox.value = -960
    start(application, panel)
    assert "must rise, but are -950, -960, -400, 0 HU" in message(panel)
    assert program.calls == []
