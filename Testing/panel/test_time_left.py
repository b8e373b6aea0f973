"""The time left of a run, held against recorded runs."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")
pytest.importorskip("PySide6", reason="PySide6-Essentials is not installed (pip install -e '.[test]')")

RECORDED = (
    (3.04, "reading", 0.0),
    (5.44, "reading", 0.05),
    (21.9, "lungs", 0.05),
    (28.32, "lungs", 0.1033),
    (31.26, "lungs", 0.1567),
    (34.82, "lungs", 0.21),
    (37.85, "lungs", 0.2633),
    (40.31, "lungs", 0.3167),
    (41.71, "lungs", 0.35),
    (42.42, "opacities", 0.35),
    (49.86, "opacities", 0.3864),
    (53.26, "opacities", 0.4227),
    (58.73, "opacities", 0.4591),
    (63.52, "opacities", 0.4955),
    (70.69, "opacities", 0.5318),
    (76.61, "opacities", 0.55),
    (78.18, "slices", 0.55),
    (90.02, "slices", 0.5686),
    (93.82, "slices", 0.5872),
    (94.88, "slices", 0.6058),
    (97.57, "slices", 0.643),
    (98.87, "slices", 0.65),
    (110.0, "slices", 0.7149),
    (118.07, "slices", 0.75),
    (118.36, "measures", 0.75),
    (118.64, "measures", 0.85),
    (119.96, "writing", 0.9),
)
"""Seconds, stage and fraction of ``covidct analyze --progress json`` on 45 slices, on a busy computer of two cores. It
began to find lungs after 22 s, for most of which Python and its packages were loaded."""

LOADED_S, END_S = 21.9, 120.05


def estimates(reports, loading_s, run_s):
    """Seconds left by the estimate and in truth, at each report of a run with these times that is told one."""
    from CovidCTPanel.progress_text import Pace

    pace, told = Pace(), []
    for seconds, stage, fraction in reports:
        if seconds < LOADED_S:
            elapsed = loading_s * seconds / LOADED_S
        else:
            elapsed = loading_s + run_s * (seconds - LOADED_S) / (END_S - LOADED_S)
        left = pace.secondsLeft(stage, fraction, elapsed)
        if left is not None:
            told.append((left, loading_s + run_s - elapsed))
    return told


@pytest.mark.parametrize(("loading_s", "run_s"), [(4.0, 11.0), (LOADED_S, END_S - LOADED_S), (60.0, 11.0), (0.5, 11.0)])
def test_the_time_left_is_that_of_the_run_however_long_its_program_loaded(application, loading_s, run_s):
    told = estimates(RECORDED, loading_s, run_s)
    assert len(told) > 10
    assert all(abs(left - truth) < 0.4 * run_s for left, truth in told)
    assert max(left for left, _truth in told) < run_s


def test_nothing_is_told_while_the_program_loads_or_the_first_slices_are_judged(application):
    from CovidCTPanel.progress_text import HANDING_OVER, Pace

    pace = Pace()
    assert pace.secondsLeft(HANDING_OVER, 0.02, 1.0) is None
    assert pace.secondsLeft("reading", 0.07, 20.0) is None
    assert pace.secondsLeft("lungs", 0.07, 40.0) is None
    assert pace.secondsLeft("lungs", 0.12, 50.0) is None, "too small a share"
    assert pace.secondsLeft("lungs", 0.5, 41.0) is None, "too soon"
    assert pace.secondsLeft("lungs", 0.17, 50.0) == pytest.approx(10 * 0.83 / 0.10)
    assert pace.secondsLeft("writing", 1.0, 60.0) is None


def test_the_panel_is_told_seconds_left_by_the_clock_of_the_run(application, program, monkeypatch):
    from types import SimpleNamespace

    run = application.panels.analysis_run
    clock = [1000.0]
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    told = []
    made = run.AnalysisRun(
        str(program.path),
        application.module.LIBRARY,
        run.RunListener(lambda *report: told.append(report), lambda folder: None, lambda reason: None, lambda: None),
    )
    for seconds, stage, fraction in ((30.0, "reading", 0.0), (2.0, "lungs", 0.05), (10.0, "lungs", 0.35)):
        clock[0] += seconds
        made._onProgress(stage, fraction)
    assert [left for _stage, _fraction, left in told[:2]] == [None, None]
    assert told[2][2] == pytest.approx(10.0 * 0.65 / 0.30)
