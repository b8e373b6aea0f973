"""Missing packages: named, installed with the user's consent alone, and told where that fails."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from packaging.requirements import Requirement
from panel_case import ANALYSIS, message, panel_qt, without

from CovidCTLib.errors import CovidCTError


def test_missing_packages_are_named_to_a_script(application, volume, monkeypatch):
    without(monkeypatch, "monai")
    logic = application.module.CovidCTLogic()
    with pytest.raises(CovidCTError, match=r"not installed: monai>=1\.4\. Press Analyze"):
        logic.analyze(volume)
    with pytest.raises(CovidCTError, match=r"not installed: monai>=1\.4\. Press Analyze"):
        logic.analyzeFolder("in", "out")


def test_nothing_is_installed_without_consent(application, volume, program, monkeypatch):
    without(monkeypatch, "monai")
    application.answer = False
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    assert len(application.questions) == 1
    assert "monai>=1.4" in application.questions[0]
    assert application.installed == []
    assert program.calls == []
    assert "Nothing was installed. CovidCT needs monai>=1.4" in widget.ui.messageLabel.text
    assert widget.ui.analyzeButton.enabled
    application.picture(widget, "10-declined")


def test_with_consent_slicer_5_10_installs_with_its_own_versions_pinned(application, volume, program, monkeypatch):
    import numpy

    gone = without(monkeypatch, "monai", "slicer.packaging")
    application.pip = lambda requirements: gone.discard("monai")
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    application.until(lambda: not widget.controller.busy)
    assert application.installed[0][0] == "monai>=1.4"
    assert f"numpy=={numpy.__version__}" in application.installed[0]
    assert widget.ui.resultsWidget.visible


def test_with_consent_slicer_5_12_installs_and_keeps_what_it_ships(application, volume, program, monkeypatch):
    gone = without(monkeypatch, "monai", "skimage")
    application.with_packaging(monkeypatch)
    application.pip = lambda requirements: gone.clear()
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    application.until(lambda: not widget.controller.busy)
    ((requirements, pins, requester),) = application.installed
    assert requirements == ["monai>=1.4", "scikit-image>=0.22"]
    assert {"numpy", "SimpleITK", "pydicom"} <= {pin.split("==")[0] for pin in pins}
    assert list(application.temporary.iterdir()) == []
    assert requester == "CovidCT"
    assert widget.ui.resultsWidget.visible


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("declined"),
        OSError("no network"),
        subprocess.CalledProcessError(1, []),
        ValueError("skip_packages"),
        TypeError("another version of Slicer"),
    ],
)
def test_an_installation_that_fails_is_told_and_the_panel_stays(application, volume, program, monkeypatch, error):
    def fail(requirements):
        raise error

    without(monkeypatch, "monai", "slicer.packaging")
    application.pip = fail
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    assert "could not be installed: monai>=1.4. Connect the computer" in widget.ui.messageLabel.text
    assert widget.ui.analyzeButton.enabled
    assert program.calls == []


def test_while_it_installs_a_line_and_a_wait_cursor_are_shown(application, volume, program, monkeypatch):
    seen = []
    gone = without(monkeypatch, "monai", "slicer.packaging")
    widget = application.opened()

    def look(requirements):
        cursor = panel_qt().QApplication.overrideCursor()
        seen.append((message(widget), cursor.shape() == panel_qt().Qt.WaitCursor))
        gone.discard("monai")

    application.pip = look
    application.click(widget.ui.analyzeButton)
    assert seen == [("Installing monai>=1.4. This takes some minutes; Slicer waits meanwhile.", True)]
    assert panel_qt().QApplication.overrideCursor() is None
    application.until(lambda: not widget.controller.busy)
    assert message(widget) == ""


def test_all_that_is_missing_is_told_before_anything_is_agreed_to(application, volume, program, monkeypatch):
    without(monkeypatch, "torch", "monai", "PyTorchUtils", "slicer.packaging")
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    assert application.questions == []
    assert application.installed == []
    assert program.calls == []
    assert "CovidCT needs torch>=2.4, monai>=1.4." in message(widget)
    assert "choose View, Extensions Manager, install PyTorch, restart Slicer" in message(widget)
    assert widget.ui.analyzeButton.enabled


def test_an_installation_without_effect_is_told(application, monkeypatch):
    without(monkeypatch, "monai", "slicer.packaging")
    with pytest.raises(CovidCTError, match=r"installed, but are not found: monai>=1\.4\. Restart Slicer"):
        application.module.CovidCTLogic().installMissingPackages()


def test_where_all_is_there_nothing_is_installed(application):
    logic = application.module.CovidCTLogic()
    assert logic.missingPackages() == ()
    logic.installMissingPackages()
    assert application.installed == []


def test_a_package_without_a_version_is_not_pinned(application):
    from CovidCTPanel.requirements import versionsToKeep

    def version(name):
        if name == "vtk":
            raise ImportError(name)
        return "1.0"

    assert versionsToKeep(version) == ["numpy==1.0", "scipy==1.0", "SimpleITK==1.0", "pydicom==1.0"]


def test_without_the_pytorch_extension_torch_is_not_installed(application, monkeypatch):
    without(monkeypatch, "torch", "PyTorchUtils")
    logic = application.module.CovidCTLogic()
    assert "torch>=2.4" in logic.missingPackages()
    with pytest.raises(CovidCTError, match="PyTorch extension is needed"):
        logic.installMissingPackages()


@pytest.mark.parametrize("torch", [None, object()])
def test_torch_comes_through_the_pytorch_extension(application, monkeypatch, torch):
    asked = []
    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=lambda **given: asked.append(given) or torch)
    extension.__spec__ = ModuleSpec("PyTorchUtils", None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    without(monkeypatch, "torch")
    logic = application.module.CovidCTLogic()
    if torch is None:
        with pytest.raises(CovidCTError, match="was not installed"):
            logic.installMissingPackages()
    else:
        logic.installMissingPackages()
    assert asked == [{"askConfirmation": False, "torchVersionRequirement": ">=2.4"}]


@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, ["pip"]),
        ImportError("no module named torch"),
        OSError("no network"),
        RuntimeError("refused"),
        ValueError("no such backend"),
    ],
)
def test_torch_that_cannot_be_installed_is_told_and_the_panel_stays(application, volume, program, monkeypatch, error):
    def fail(**given):
        raise error

    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=fail)
    extension.__spec__ = ModuleSpec("PyTorchUtils", None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    without(monkeypatch, "torch")
    widget = application.opened()
    application.click(widget.ui.analyzeButton)
    assert "Torch is needed for the networks, but was not installed. Try again" in widget.ui.messageLabel.text
    assert widget.ui.messageLabel.visible
    assert widget.ui.analyzeButton.enabled
    assert program.calls == []


def with_versions(monkeypatch, **versions):
    """Make packages look as if other versions of them were installed; gives these, which can be changed."""
    original = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions.get(name) or original(name))
    return versions


def test_a_package_that_is_too_old_counts_as_missing_and_is_replaced(application, monkeypatch):
    import numpy

    installed = with_versions(monkeypatch, monai="1.3.2", torch="2.2.2+cpu")
    without(monkeypatch, "slicer.packaging", "PyTorchUtils")
    logic = application.module.CovidCTLogic()
    assert logic.missingPackages() == ("torch>=2.4", "monai>=1.4")
    with pytest.raises(CovidCTError, match="PyTorch extension is needed"):
        logic.installMissingPackages()
    installed["torch"] = "2.14.0.dev20260101+cu130"
    application.pip = lambda requirements: installed.update(monai="1.5.0")
    logic.installMissingPackages()
    assert application.installed[0][0] == "monai>=1.4"
    assert f"numpy=={numpy.__version__}" in application.installed[0]
    assert logic.missingPackages() == ()


def test_nothing_that_slicer_ships_is_asked_for_in_another_version(application):
    from CovidCTPanel.requirements import PDF_REQUIREMENTS, REQUIREMENTS, SHIPPED_BY_SLICER

    asked = {Requirement(entry).name for entry in (*REQUIREMENTS.values(), *PDF_REQUIREMENTS.values())}
    assert asked.isdisjoint(SHIPPED_BY_SLICER)


def test_a_package_whose_version_is_not_known_is_there(application, monkeypatch):
    from CovidCTPanel.requirements import hasVersion

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    assert not hasVersion("monai>=1.4", lambda name: "1.3")
    assert hasVersion("monai>=1.4", absent)
    assert hasVersion("monai>=1.4", lambda name: "a build of mine")
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert hasVersion("monai>=1.4", lambda name: "1.3")


def test_the_first_pdf_asks_for_what_it_needs(application, volume, program, monkeypatch):
    gone = without(monkeypatch, "plutoprint", "slicer.packaging")
    logic = application.module.CovidCTLogic()
    assert logic.missingPackages() == ()
    assert logic.missingPackages(forPdf=True) == ("plutoprint>=0.23",)
    assert logic.missingPackages(forDicom=True) == ("plutoprint>=0.23",)
    application.answer = False
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    application.click(widget.ui.pdfButton)
    assert "plutoprint>=0.23" in application.questions[0]
    assert application.installed == []
    assert "Nothing was installed" in widget.ui.messageLabel.text
    application.answer = True
    application.pip = lambda requirements: gone.discard("plutoprint")
    monkeypatch.setattr(application.panels.result_files, "chooseFile", lambda *_: "")
    application.click(widget.ui.pdfButton)
    assert application.installed[0][0] == "plutoprint>=0.23"


def test_a_pdf_whose_package_cannot_be_installed_is_told(application, volume, program, monkeypatch):
    def fail(requirements):
        raise OSError("no network")

    without(monkeypatch, "plutoprint", "slicer.packaging")
    application.pip = fail
    widget = application.opened()
    widget.controller._actions.add(volume.GetID(), ANALYSIS)
    widget.controller.showState()
    application.click(widget.ui.pdfButton)
    assert "could not be installed: plutoprint>=0.23" in widget.ui.messageLabel.text
