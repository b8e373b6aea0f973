"""Ten analyses one after the other, then a closed scene: memory stays level, and nothing of an analysis is left."""

import ctypes
import gc
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import slicer
from walking import analyze, loadSample, memoryMb, openPanel, walk

RUNS = int(os.environ.get("COVIDCT_WALK_RUNS", "10"))
GROWTH_MB = 40
"""Memory that the second half of the runs may add; one synthetic CT's results alone take about as much."""

OF_A_RUN = {"AnalysisRun", "AnalysisProcess", "LongCall", "BackgroundCall", "Pieces", "Analysis"}


def held():
    """Give the memory that is really held, in MB: what the allocator keeps in reserve is given back first."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return round(memoryMb())


def left():
    gc.collect()
    return [type(found).__name__ for found in gc.get_objects() if type(found).__name__ in OF_A_RUN]


def take(walk):
    panel = openPanel()
    loadSample("Synthetic chest CT")
    walk.rest(1.0)
    levels = []
    for run in range(RUNS):
        walk.step(f"analysis {run + 1} ends", analyze(walk, panel))
        walk.step("its results are shown", panel.ui.resultsWidget.visible, panel.ui.messageLabel.text)
        walk.rest(0.5)
        levels.append(held())
    walk.measure("memory_after_each_run_mb", levels)
    half = levels[len(levels) // 2]
    walk.step("memory stays level", levels[-1] - half <= GROWTH_MB, levels)
    slicer.mrmlScene.Clear(0)
    walk.rest(2.0)
    walk.step("nothing of an analysis is left", not left(), left())
    walk.measure("memory_after_closing_mb", held())


walk(take)
