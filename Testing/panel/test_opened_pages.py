"""Report and explanation: where they lie, what is said of them, and when they go."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, message, wait

from CovidCTLib.errors import InputError, OutputError

PATIENT = "Doe^Jane 1950"


@pytest.fixture
def panel(panel, volume, application, monkeypatch):
    """The open panel with results of a CT that is named like a patient; its files are written at once."""

    def write(analysis, folder, report=True, source=None):
        folder.mkdir()
        (folder / "report.html").write_text("<p>a report</p>")

    monkeypatch.setattr(application.panels.result_files, "_writeResults", write)
    monkeypatch.setattr(application.panels.private_folder, "sys", SimpleNamespace(platform="linux"))
    volume.SetName(PATIENT)
    panel.controller._actions.add(volume.GetID(), ANALYSIS)
    panel.controller.showState()
    return panel


def opened(application, panel, button):
    """Press a button and wait; give the page that was opened last."""
    application.click(getattr(panel.ui, button))
    wait(application, panel)
    return application.opened_pages[-1]


@pytest.mark.parametrize("button", ["reportButton", "explainButton"])
def test_a_page_lies_where_a_browser_in_a_sandbox_may_read_it_and_only_its_user(application, panel, button):
    page = opened(application, panel, button)
    assert page.is_file()
    folder = page.parent.parent
    assert folder.parent == application.documents
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "Doe" not in str(page.relative_to(application.documents))
    assert list(application.temporary.iterdir()) == []
    assert message(panel) == (
        f"The page was opened in the browser. If it does not appear, open this file by hand: {page}"
    )
    application.scene.Clear(0)
    application.rest()
    assert list(application.documents.iterdir()) == []
    assert message(panel) == "", "the file that it speaks of is gone"
    assert not panel.ui.showFolderButton.visible


def test_a_page_that_no_program_opens_is_told_with_its_folder(application, panel, monkeypatch):
    from PySide6 import QtGui

    tried = []
    monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", lambda url: tried.append(Path(url.toLocalFile())))
    application.click(panel.ui.reportButton)
    wait(application, panel)
    (page,) = tried
    assert message(panel) == f"No program was found that opens web pages. Open this file by hand: {page}"
    assert panel.ui.showFolderButton.visible
    application.click(panel.ui.showFolderButton)
    assert tried[-1] == page.parent
    assert message(panel) == f"No program was found that shows folders. The files are in this folder: {page.parent}"
    monkeypatch.setattr(QtGui.QDesktopServices, "openUrl", lambda url: tried.append(url) or True)
    said = message(panel)
    application.click(panel.ui.showFolderButton)
    assert len(tried) == 3
    assert message(panel) == said
    panel.controller.removeKept()


def test_the_folder_of_files_that_the_user_chose_is_shown_too(application, panel, monkeypatch, tmp_path):
    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_: str(tmp_path / "out"))
    application.click(panel.ui.exportButton)
    wait(application, panel)
    application.click(panel.ui.showFolderButton)
    assert application.opened_pages == [tmp_path / "out"]
    panel.panel.showMessage("Something else.")
    assert not panel.ui.showFolderButton.visible
    panel.controller.removeKept()
    assert message(panel) == "Something else."


@pytest.mark.parametrize("kind", ["none", "file", "hidden", "elsewhere", "locked"])
def test_without_documents_that_a_browser_may_read_the_folder_of_the_user_serves(
    application, panel, monkeypatch, tmp_path, kind
):
    from PySide6 import QtCore

    place = {"hidden": application.home / ".hidden", "elsewhere": tmp_path / "share"}.get(kind, application.documents)
    folders = application.panels.private_folder
    with monkeypatch.context() as patched:
        patched.setattr(QtCore.QStandardPaths, "writableLocation", lambda kind: str(place))
        if kind in ("hidden", "elsewhere"):
            place.mkdir()
        elif kind == "locked":
            patched.setattr(folders.os, "access", lambda path, mode: Path(path) != place)
        else:
            place.rmdir()
            place.write_text("") if kind == "file" else None
        assert folders.browserHome() == application.home
    if kind in ("none", "file"):
        assert folders.userFolder() == application.home
    place.unlink() if place.is_file() else None
    if kind == "hidden":
        place.rmdir()
    application.documents.mkdir(exist_ok=True)


@pytest.mark.parametrize("kind", ["full", "refused", "none", "windows"])
def test_where_the_folder_of_the_user_cannot_serve_the_temporary_one_does(application, panel, monkeypatch, kind):
    folders = application.panels.private_folder
    original = folders._made, folders.shutil.disk_usage

    def made(home):
        if home == application.documents:
            raise OSError(13, "Permission denied")
        return original[0](home)

    def disk_usage(path):
        return SimpleNamespace(free=0) if path == application.documents else original[1](path)

    if kind == "full":
        monkeypatch.setattr(folders.shutil, "disk_usage", disk_usage)
    elif kind == "refused":
        monkeypatch.setattr(folders, "_made", made)
    elif kind == "none":
        monkeypatch.setattr(folders.os, "access", lambda path, mode: False)
    else:
        monkeypatch.setattr(folders, "sys", SimpleNamespace(platform="win32"))
    page = opened(application, panel, "reportButton")
    assert page.parent.parent.parent == application.temporary
    assert list(application.documents.iterdir()) == []
    panel.controller.removeKept()


def test_an_explanation_that_cannot_move_is_opened_where_it_is(application, panel, monkeypatch):
    def refuse(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(application.panels.result_files.shutil, "move", refuse)
    page = opened(application, panel, "explainButton")
    assert page.is_file()
    assert page.parent.parent.parent == application.temporary
    panel.controller.removeKept()


def test_a_page_of_a_slicer_that_crashed_is_removed(application, panel):
    folders = application.panels.private_folder
    dead = application.documents / f"{folders.PREFIX}999999999-x"
    living = application.documents / f"{folders.PREFIX}{os.getpid()}-x"
    other = application.documents / "my-report"
    elsewhere = application.documents / f"{folders.PREFIX}999999999-00000000-x"
    here = application.documents / f"{folders.PREFIX}999999999-{folders._computer()}-x"
    for folder in (dead, living, other, elsewhere, here):
        folder.mkdir()
    folders.PrivateFolder(0).remove()
    left = [living, other, elsewhere]
    assert sorted(application.documents.iterdir()) == sorted(left), "that of another computer may be in use there"
    for folder in left:
        folder.rmdir()


def test_pages_go_when_the_module_ends(application, panel):
    page = opened(application, panel, "reportButton")
    panel.cleanup()
    assert not page.exists()


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("CT chest 5.0 B30f", "CT chest 5.0 B30f"),
        ("2: Thorax/Lung <1mm> *new*", "2_ Thorax_Lung _1mm_ _new"),
        ("..\\..\\etc", "etc"),
        ("Грудь (плоская)", "Грудь (плоская)"),
        ("???", "report"),
        ("", "report"),
        ("con", "con_"),
        ("NUL.nii", "NUL.nii_"),
        ("a\nb\tc", "a_b_c"),
        ("x" * 300, "x" * 80),
    ],
)
def test_the_name_of_a_ct_becomes_one_of_a_file(application, name, proposed):
    assert application.panels.result_files.safeFileName(name) == proposed


def test_a_pdf_is_proposed_under_the_name_of_its_ct_in_the_folder_of_the_user(application, panel, monkeypatch):
    asked = []
    monkeypatch.setattr(application.panels.result_files, "chooseFile", lambda *given: asked.append(given[2]) or "")
    application.click(panel.ui.pdfButton)
    assert asked == [str(application.documents / "Doe_Jane 1950.pdf")]
    assert list(application.documents.iterdir()) == []


def test_a_pdf_of_a_ct_that_was_removed_meanwhile_is_told(application, panel, monkeypatch):
    def gone(volumeId):
        raise InputError("The CT must be in the scene, but it was removed.")

    monkeypatch.setattr(panel.controller._files, "_nameOf", gone)
    application.click(panel.ui.pdfButton)
    assert message(panel) == "The CT must be in the scene, but it was removed."


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere no browser is shut in")
def test_no_room_at_all_is_told(application, panel, monkeypatch):
    folders = application.panels.private_folder
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(OutputError, match="The temporary folder needs 200 MB"):
        folders.PrivateFolder(0, forBrowser=True)
