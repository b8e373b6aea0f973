# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Segments that are edited by hand: the panel says so at once, and takes it back where that is undone."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import SEGMENTATION, start, wait
from vtk.util.numpy_support import vtk_to_numpy

NOTICE = "The segments were changed by hand; the numbers are those from before."


@pytest.fixture
def analyzed(application, panel, monkeypatch):
    """The panel with results of its CT."""
    monkeypatch.setattr(application.panels.edit_notice, "REST_MS", 50)
    start(application, panel)
    wait(application, panel)
    rest(application, panel)
    return panel


def rest(application, panel):
    """Wait until nothing is compared any more."""
    notice = panel.controller._edits
    application.until(lambda: notice._waiting is None and notice._comparing is None)


def told(panel):
    return panel.ui.warningsLabel.visible and NOTICE in panel.ui.warningsLabel.text


def segments(application):
    return application.scene.GetFirstNodeByClass(SEGMENTATION).GetSegmentation()


def paint(application, change):
    """Change voxels of the opacities as an effect of the Segment Editor does; give them as they were."""
    image = segments(application).GetSegment("ggo").GetRepresentation("Binary labelmap")
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    before = voxels.copy()
    change(voxels)
    image.GetPointData().GetScalars().Modified()
    image.Modified()
    segments(application).InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    return before


def test_an_analysis_as_it_came_is_not_called_edited(analyzed):
    assert not told(analyzed)


def test_surfaces_and_colours_are_no_edits(application, analyzed):
    application.click(analyzed.ui.show3DButton)
    wait(application, analyzed)
    segments(application).GetSegment("ggo").SetColor(0.1, 0.2, 0.3)
    assert analyzed.controller._edits._waiting is None
    assert not told(analyzed)


def test_an_edit_is_told_at_once_and_after_it_was_compared(application, analyzed):
    paint(application, lambda voxels: voxels.__setitem__(slice(None), 0))
    assert told(analyzed), "before the event loop turned"
    rest(application, analyzed)
    assert told(analyzed)


def test_an_edit_that_was_undone_is_told_no_more(application, analyzed):
    before = paint(application, lambda voxels: voxels.__setitem__(slice(None), 0))
    rest(application, analyzed)
    paint(application, lambda voxels: np.copyto(voxels, before))
    rest(application, analyzed)
    assert not told(analyzed)


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_further_segment_and_one_that_is_gone_are_edits(application, analyzed, change):
    if change == "added":
        segments(application).AddEmptySegment("area", "area A")
    else:
        segments(application).RemoveSegment("ggo")
    assert told(analyzed)
    rest(application, analyzed)
    assert told(analyzed)


def test_an_edit_while_the_module_is_closed_is_found_when_it_opens(application, analyzed):
    analyzed.exit()
    paint(application, lambda voxels: voxels.__setitem__(slice(None), 0))
    analyzed.enter()
    rest(application, analyzed)
    assert told(analyzed)


def test_a_new_analysis_is_not_called_edited(application, analyzed):
    paint(application, lambda voxels: voxels.__setitem__(slice(None), 0))
    rest(application, analyzed)
    start(application, analyzed)
    wait(application, analyzed)
    rest(application, analyzed)
    assert not told(analyzed)


def test_segments_that_others_replace_are_called_edited_at_no_moment(application, analyzed, monkeypatch):
    notice = analyzed.controller._edits
    show, shown = notice._show, []
    monkeypatch.setattr(notice, "_show", lambda edited: shown.append(edited) or show(edited))
    start(application, analyzed)
    wait(application, analyzed)
    rest(application, analyzed)
    assert shown
    assert not any(shown)


def test_the_watch_keeps_no_segmentation(application, analyzed):
    watched = weakref.ref(segments(application))
    application.scene.Clear(0)
    application.rest()
    gc.collect()
    assert watched() is None
