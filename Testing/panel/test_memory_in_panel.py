# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""What an analysis in the panel took is given back: nothing of it can be reached once the scene was closed."""

from __future__ import annotations

import gc
import weakref

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

from panel_case import start, wait

RUNS = 10

OF_A_RUN = {
    "AnalysisRun",
    "AnalysisProcess",
    "LongCall",
    "BackgroundCall",
    "Pieces",
    "Ticker",
    "Adding",
    "Analysis",
    "Snapshot",
}
"""Names of the classes that a run makes objects of."""


@pytest.fixture
def results_seen(panel, monkeypatch):
    """Weak references to the arrays of every analysis that was put into the scene."""
    seen = []
    add = panel.controller._actions.adding

    def noted(volumeId, analysis, *prepared):
        seen.extend(weakref.ref(array) for array in (analysis.lungs, analysis.opacities, analysis.localization))
        return add(volumeId, analysis, *prepared)

    monkeypatch.setattr(panel.controller._actions, "adding", noted)
    return seen


def left_of_runs(seen):
    """What can still be reached: the arrays, and objects of the module's own classes."""
    gc.collect()
    arrays = [reference() for reference in seen if reference() is not None]
    own = [
        type(found).__name__
        for found in gc.get_objects()
        if type(found).__name__ in OF_A_RUN and type(found).__module__.startswith(("CovidCT", "CovidCTLib"))
    ]
    return arrays, own


def test_nothing_of_an_analysis_is_reachable_once_the_scene_was_closed(application, panel, results_seen):
    _before, own_before = left_of_runs(results_seen)
    start(application, panel)
    wait(application, panel)
    application.click(panel.ui.show3DButton)
    wait(application, panel)
    assert len(results_seen) == 3
    application.scene.Clear(0)
    application.rest()
    arrays, own = left_of_runs(results_seen)
    assert arrays == []
    assert sorted(own) == sorted(own_before)


def test_ten_analyses_leave_no_more_than_one(application, panel, results_seen):
    counts = []
    for _ in range(RUNS):
        start(application, panel)
        wait(application, panel)
        application.rest()
        arrays, own = left_of_runs(results_seen)
        assert arrays == [], "the scene has copies of its own"
        counts.append(len(own))
    assert len(results_seen) == 3 * RUNS
    assert counts[-1] == counts[0]


def test_a_cancelled_and_a_failed_run_are_given_back_too(application, panel, program, results_seen):
    _before, own_before = left_of_runs(results_seen)
    program.behave("refuse")
    start(application, panel)
    wait(application, panel)
    program.behave("lungs")
    start(application, panel)
    application.until(lambda: panel.controller.running)
    start(application, panel)
    wait(application, panel)
    application.rest()
    _arrays, own = left_of_runs(results_seen)
    assert sorted(own) == sorted(own_before)


def test_a_call_from_the_event_loop_is_let_go_after_it(application):
    from CovidCTPanel.later import Ticker, later

    class Held:
        def call(self):
            calls.append(1)

    calls = []
    once, often = Held(), Held()
    references = [weakref.ref(once), weakref.ref(often)]
    later(once.call)
    ticker = Ticker(0, often.call)
    ticker.start()
    application.until(lambda: len(calls) > 3)
    ticker.end()
    application.rest()
    del once, often, ticker
    gc.collect()
    assert [reference() for reference in references] == [None, None]
