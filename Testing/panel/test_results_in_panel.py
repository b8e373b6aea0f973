"""Report, PDF, export and 3D as a user presses them: in pieces, beside the user interface, whole or not at all."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import ANALYSIS, message, wait

from CovidCTLib.errors import OutputError

SLICE_BYTES = 20 * 24
"""Bytes of a slice of the segments; the localization has four bytes a voxel."""


@pytest.fixture
def panel(panel, volume):
    """The open panel with a CT and its results."""
    panel.controller._actions.add(volume.GetID(), ANALYSIS)
    panel.controller.showState()
    return panel


@pytest.fixture
def written(application, monkeypatch):
    """What a run of report or export would have written, in place of the writing, which takes long."""
    analyses = []

    def write(analysis, folder, source=None):
        folder.mkdir()
        (folder / "report.html").write_text("<p>a report</p>")
        analyses.append(analysis)

    monkeypatch.setattr(application.panels.result_files, "_writeResults", write)
    return analyses


class Turns:
    """Turns of the event loop, and the steps of the main thread that fell into each."""

    def __init__(self, monkeypatch, module, name):
        import qt

        self.steps = [0]
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(lambda: self.steps.append(0))
        self._timer.start()
        steps_of = getattr(module, name).steps

        def counted(thing):
            for share in steps_of(thing):
                self.steps[-1] += 1
                yield share

        monkeypatch.setattr(getattr(module, name), "steps", counted)


@pytest.mark.parametrize(
    ("button", "module", "name", "count"),
    [
        # A slice at a time of four segments, and of the localization a slice at a time too.
        ("reportButton", "snapshot", "Snapshot", 4 * 9 + 9),
        ("exportButton", "snapshot", "Snapshot", 4 * 9 + 9),
        # The labelled part of both layers: five slices of 10 x 16 voxels, three at a time, and two smaller ones.
        ("show3DButton", "surfaces", "Surfaces", 3),
    ],
)
def test_the_event_loop_turns_between_any_two_pieces(
    application, panel, written, monkeypatch, tmp_path, button, module, name, count
):
    import CovidCTScene
    from CovidCTScene import handover

    monkeypatch.setattr(handover, "PIECE_BYTES", SLICE_BYTES)
    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_: str(tmp_path / "out"))
    turns = Turns(monkeypatch, getattr(CovidCTScene, module), name)
    application.click(getattr(panel.ui, button))
    wait(application, panel)
    assert message(panel).startswith(
        {"reportButton": "The page was opened", "exportButton": "All results were written"}.get(button, "")
    )
    assert sum(turns.steps) == count
    assert max(turns.steps) == 1
    panel.controller.removeKept()


def test_the_ct_is_read_beside_the_user_interface_after_an_analysis(application, panel, monkeypatch):
    import threading

    threads = []
    original = panel.controller._actions.scanLater

    def noted(volumeId):
        scan = original(volumeId)
        return lambda: (threads.append(threading.current_thread()), scan())[1]

    monkeypatch.setattr(panel.controller._actions, "scanLater", noted)
    application.click(panel.ui.analyzeButton)
    wait(application, panel)
    assert message(panel) == ""
    (thread,) = threads
    assert thread is not threading.main_thread()


@pytest.mark.parametrize("button", ["reportButton", "exportButton", "pdfButton"])
def test_a_scene_that_is_closed_while_results_are_read_is_told(
    application, panel, written, monkeypatch, tmp_path, button
):
    files = application.panels.result_files
    monkeypatch.setattr(files, "chooseFolder", lambda *_: str(tmp_path / "out"))
    monkeypatch.setattr(files, "chooseFile", lambda *_: str(tmp_path / "out"))
    application.click(getattr(panel.ui, button))
    application.scene.Clear(0)
    wait(application, panel)
    assert "they were changed or removed. Press the button again" in message(panel)
    assert written == []
    assert list(application.temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_surfaces_of_a_scene_that_is_closed_meanwhile_are_told(application, panel):
    application.click(panel.ui.show3DButton)
    application.scene.Clear(0)
    wait(application, panel)
    assert "they were changed or removed" in message(panel)


@pytest.mark.parametrize("button", ["reportButton", "show3DButton"])
def test_closing_the_application_meanwhile_leaves_nothing(application, panel, written, button):
    application.click(getattr(panel.ui, button))
    panel.cleanup()
    assert list(application.temporary.iterdir()) == []
    assert not panel.controller.busy
    assert not panel.controller.surfaces.running


@pytest.mark.parametrize("button", ["reportButton", "show3DButton"])
def test_what_was_read_is_given_back(application, panel, written, monkeypatch, button):
    import gc
    import weakref

    actions = panel.controller._actions
    kept = []
    for name in ("snapshot", "surfaces"):
        original = getattr(actions, name)

        def noted(volumeId, original=original):
            made = original(volumeId)
            kept.append(weakref.ref(made))
            return made

        monkeypatch.setattr(actions, name, noted)
        panel.controller._files._snapshot = actions.snapshot
    application.click(getattr(panel.ui, button))
    wait(application, panel)
    written.clear()
    application.rest()
    gc.collect()
    (reference,) = kept
    assert reference() is None


def test_what_was_analyzed_is_given_back(application, panel, monkeypatch):
    import gc
    import weakref

    module = application.panels.adding_run
    read = module._readAnalysis
    kept = []

    def noted(*given):
        analysis = read(*given)
        kept.append(weakref.ref(analysis))
        return analysis

    monkeypatch.setattr(module, "_readAnalysis", noted)
    application.click(panel.ui.analyzeButton)
    wait(application, panel)
    assert message(panel) == ""
    gc.collect()
    (reference,) = kept
    assert reference() is None


@pytest.mark.parametrize("button", ["reportButton", "exportButton", "show3DButton"])
@pytest.mark.parametrize(
    ("error", "told"), [(ValueError("Doe^Jane"), r"made a mistake \(ValueError\)"), (MemoryError(), "More free memory")]
)
@pytest.mark.parametrize("place", ["step", "thread"])
def test_a_mistake_of_the_program_is_told_and_everything_comes_to_rest(
    application, panel, written, monkeypatch, tmp_path, caplog, button, error, told, place
):
    import re

    import CovidCTScene

    def fail(*_given):
        raise error

    def one_step(thing):
        yield 0.1
        raise error

    for module, name, function in (("snapshot", "Snapshot", "analysis"), ("surfaces", "Surfaces", "make")):
        cls = getattr(getattr(CovidCTScene, module), name)
        monkeypatch.setattr(cls, *(("steps", one_step) if place == "step" else (function, fail)))
    monkeypatch.setattr(application.panels.result_files, "chooseFolder", lambda *_: str(tmp_path / "out"))
    application.click(getattr(panel.ui, button))
    wait(application, panel)
    assert re.search(told, message(panel))
    assert "Doe" not in message(panel) + caplog.text
    assert type(error).__name__ in caplog.text
    assert "in one_step" in caplog.text or "in fail" in caplog.text
    assert written == []
    assert list(application.temporary.iterdir()) == []
    assert not panel.ui.show3DButton.checked
    for name in ("show3DButton", "reportButton", "exportButton", "analyzeButton"):
        assert getattr(panel.ui, name).enabled


def test_a_mistake_while_results_are_read_ends_the_analysis(application, panel, monkeypatch):
    def fail():
        raise ValueError

    monkeypatch.setattr(panel.controller._actions, "scanLater", lambda volumeId: fail)
    application.click(panel.ui.analyzeButton)
    wait(application, panel)
    assert "made a mistake (ValueError)" in message(panel)
    assert panel.ui.analyzeButton.text == "Analyze"
    assert not panel.controller.running


@pytest.mark.parametrize("place", ["adding", "scanLater", "beginning"])
@pytest.mark.parametrize(
    ("error", "told"),
    [(AttributeError("Doe^Jane"), "made a mistake (AttributeError)"), (MemoryError(), "More free memory")],
)
def test_a_mistake_while_results_go_into_the_scene_does_not_lock_the_panel(
    application, panel, monkeypatch, caplog, place, error, told
):
    def fail(*_given):
        raise error

    if place == "beginning":
        monkeypatch.setattr(application.panels.analysis_run, "PrivateFolder", fail)
    else:
        monkeypatch.setattr(panel.controller._actions, place, fail)
    application.click(panel.ui.analyzeButton)
    wait(application, panel)
    assert told in message(panel)
    assert "Doe" not in message(panel) + caplog.text
    assert "in fail" in caplog.text
    assert panel.ui.analyzeButton.text == "Analyze"
    assert panel.ui.analyzeButton.enabled
    assert panel.ui.inputVolumeSelector.enabled


def test_a_mistake_while_the_ct_is_handed_over_starts_nothing(application, panel, program, monkeypatch):
    def broken(path):
        yield 0.5
        raise ValueError

    monkeypatch.setattr(panel.controller._actions, "handOver", lambda volumeId: (100, broken))
    application.click(panel.ui.analyzeButton)
    wait(application, panel)
    assert "made a mistake (ValueError)" in message(panel)
    assert program.calls == []


def test_surfaces_that_cannot_begin_leave_the_button_as_it_was(application, panel, monkeypatch):
    from CovidCTLib.errors import InputError

    def refuse(volumeId):
        raise InputError("The segmentation must be in the scene.")

    monkeypatch.setattr(panel.controller._actions, "surfaces", refuse)
    application.rest()
    application.click(panel.ui.show3DButton)
    assert message(panel) == "The segmentation must be in the scene."
    assert not panel.ui.show3DButton.checked


def test_a_button_that_was_pressed_during_an_installation_is_not_joined_by_another(
    application, panel, written, monkeypatch
):
    calls = []

    def install(forPdf, forDicom):
        calls.append((forPdf, forDicom))
        if len(calls) == 1:
            application.click(panel.ui.reportButton)
        return True

    panel.controller._install = install
    application.click(panel.ui.analyzeButton)
    assert not panel.controller.running
    wait(application, panel)
    assert len(written) == 1
    panel.controller.removeKept()


def test_a_second_press_while_surfaces_are_made_does_nothing(application, panel):
    application.click(panel.ui.show3DButton)
    panel.controller.surfaces.show(False)
    panel.controller.surfaces.show(True)
    wait(application, panel)
    assert panel.ui.show3DButton.checked


def test_results_that_lack_a_segment_are_told_at_once(application, panel, written, tmp_path):
    segmentation = application.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    segmentation.GetSegmentation().RemoveSegment("ggo")
    application.click(panel.ui.reportButton)
    assert "must hold the segment 'ggo'" in message(panel)
    assert not panel.controller.busy
    assert list(application.temporary.iterdir()) == []


def test_without_room_in_the_temporary_folder_there_is_no_report(application, panel, monkeypatch):
    def refuse(needed, forBrowser):
        raise OutputError("The temporary folder needs 200 MB.")

    monkeypatch.setattr(application.panels.result_files, "PrivateFolder", refuse)
    application.click(panel.ui.reportButton)
    assert message(panel) == "The temporary folder needs 200 MB."
    assert not panel.controller.busy


def test_a_pdf_is_written_where_the_user_wants_it(application, panel, monkeypatch, tmp_path):
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    asked = []

    def choose(parent, title, name, kind):
        asked.append((name, kind))
        return str(tmp_path / "mine.pdf")

    def page(analysis):
        return f"<p>{len(analysis.slices)} slices</p>"

    import CovidCTLib.report.html

    monkeypatch.setattr(CovidCTLib.report.html, "render_report", page)
    monkeypatch.setattr(application.panels.result_files, "chooseFile", choose)
    application.click(panel.ui.pdfButton)
    assert message(panel) == "Making the PDF..."
    wait(application, panel)
    assert message(panel) == "The report was written as a PDF."
    assert asked == [(str(application.documents / "chest.pdf"), "PDF files (*.pdf)")]
    assert (tmp_path / "mine.pdf").read_bytes().startswith(b"%PDF-")
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_a_pdf_that_cannot_be_written_is_told(application, panel, monkeypatch, tmp_path):
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    import CovidCTLib.report.html

    monkeypatch.setattr(CovidCTLib.report.html, "render_report", lambda analysis: "<p>page</p>")
    monkeypatch.setattr(application.panels.result_files, "chooseFile", lambda *_: str(tmp_path / "no" / "mine.pdf"))
    application.click(panel.ui.pdfButton)
    wait(application, panel)
    assert "No such file or directory" in message(panel)


def test_a_pdf_gets_its_ending_and_replaces_nothing_that_was_not_named(application, panel, monkeypatch, tmp_path):
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    import CovidCTLib.report.html

    monkeypatch.setattr(CovidCTLib.report.html, "render_report", lambda analysis: "<p>page</p>")
    monkeypatch.setattr(application.panels.result_files, "chooseFile", lambda *_: str(tmp_path / "mine.v2"))
    application.click(panel.ui.pdfButton)
    wait(application, panel)
    written = (tmp_path / "mine.v2.pdf").read_bytes()
    assert written.startswith(b"%PDF-")
    application.click(panel.ui.pdfButton)
    assert message(panel).startswith("mine.v2.pdf exists already.")
    assert (tmp_path / "mine.v2.pdf").read_bytes() == written
    assert sorted(path.name for path in tmp_path.glob("mine*")) == ["mine.v2.pdf"]


def test_the_dialog_for_a_file_gives_its_path(application, panel, monkeypatch):
    from PySide6 import QtWidgets

    monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *given: ("/home/me/report.pdf", given[-1]))
    chosen = application.panels.panel.chooseFile(None, "Report", "report.pdf", "PDF files (*.pdf)")
    assert chosen == "/home/me/report.pdf"
