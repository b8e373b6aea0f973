"""A panel without a CT says what to do, and its links lead there."""

from __future__ import annotations

import re

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, GEOMETRY, message  # noqa: E402
from scene_maker import added_volume  # noqa: E402


@pytest.fixture
def empty(application, program):
    """The open panel of a scene without a CT."""
    return application.opened()


@pytest.fixture
def chosen(application, monkeypatch):
    """Names of the modules that were opened."""
    return application.with_modules(monkeypatch, "dicom", "sampledata")


def follow(application, widget, link):
    """Click a link of the text."""
    widget.ui.firstStepsLabel.linkActivated.emit(link)
    application.rest()


def test_a_panel_without_a_ct_says_what_to_do_first(application, empty):
    label = empty.ui.firstStepsLabel
    assert label.visible
    assert re.findall(r"<a href='(\w+)'>([^<]+)</a>", label.text) == [
        ("dicom", "Add DICOM data"),
        ("samples", "sample data"),
        ("tutorial", "tutorial"),
    ]
    volume = added_volume(application.scene, ANALYSIS.scan.hu, GEOMETRY)
    application.rest()
    assert not label.visible
    empty.ui.inputVolumeSelector.setCurrentNode(None)
    application.rest()
    assert not label.visible, "there is a CT to choose"
    application.scene.RemoveNode(volume)
    application.rest()
    assert label.visible
    application.picture(empty, "0-first-steps")


@pytest.mark.parametrize(("link", "module"), [("dicom", "DICOM"), ("samples", "SampleData")])
def test_a_link_opens_the_module(application, empty, chosen, link, module):
    follow(application, empty, link)
    assert chosen == [module]
    assert message(empty) == ""


def test_the_tutorial_opens_in_the_browser(application, empty, monkeypatch):
    from PySide6 import QtGui

    addresses = []
    monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", lambda url: addresses.append(url.toString()) or True)
    follow(application, empty, "tutorial")
    assert addresses == ["https://github.com/covidct/SlicerCovidCT/blob/main/docs/tutorial.md"]
    assert message(empty) == ""
    monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", lambda url: False)
    follow(application, empty, "tutorial")
    assert message(empty) == f"No program was found that opens web pages. The tutorial is at {addresses[0]}"


def test_a_module_that_is_not_loaded_is_told(application, empty):
    follow(application, empty, "dicom")
    assert message(empty).startswith("Slicer's module DICOM is needed, but it is not loaded.")


def test_without_a_main_window_no_module_can_open_and_that_is_told(application, empty, chosen, monkeypatch):
    def refuse(name):
        raise RuntimeError("Could not find moduleSelector in the main window")

    monkeypatch.setattr(slicer.util, "selectModule", refuse)
    follow(application, empty, "samples")
    assert message(empty) == "A main window of Slicer is needed to open a module, but there is none."
