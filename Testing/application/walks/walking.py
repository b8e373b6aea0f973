"""What every walk through the real application needs: steps that are noted, waiting, pictures, stalls, memory, errors.

It runs inside Slicer. A walk is a file that calls `walk` with its function; what it found is written as JSON into the
folder that the environment variable COVIDCT_WALK names, and Slicer then ends with code 0 if every step held, else 1.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import qt
import slicer

FOLDER = Path(os.environ["COVIDCT_WALK"])
LEVEL_COLUMN = 2
"""Column of the application's error log that holds how bad an entry is (ctkErrorLogAbstractModel)."""

TICK_MS = 5
"""Milliseconds between two ticks by which standstills are told."""

WINDOW_PX = (1600, 1000)
"""Width and height of the main window, so that the pictures show the whole panel."""

LATE_S = 0.06
"""Seconds after which a tick counts as late, so that it is written where the main thread is."""

LONGEST_S = float(os.environ.get("COVIDCT_WALK_SECONDS", "600"))
"""Seconds that anything may take that is waited for; generous, for software rendering and busy machines."""


class Walk:
    """One walk: its steps and what was measured."""

    def __init__(self) -> None:
        self.steps: list[dict] = []
        self.measured: dict = {}
        self._last = time.monotonic()
        self._lastUsed = time.thread_time()
        self._worst = 0.0
        self._worstUsed = 0.0
        self._timer = qt.QTimer(slicer.app)
        self._timer.setInterval(TICK_MS)
        self._timer.connect("timeout()", self._tick)
        self._timer.start()
        self._watching: TextIO | None = None
        self._worstOurs = (0.0, 0.0)
        self._drawings: list[tuple[float, float, str]] = []
        self._longestDrawings: dict[str, tuple[float, float]] = {}
        self._drawnWindows: list = []

    def _tick(self) -> None:
        now, used = time.monotonic(), time.thread_time()
        late, lateUsed = now - self._last, used - self._lastUsed
        self._worst, self._worstUsed = max(self._worst, late), max(self._worstUsed, lateUsed)
        drawn = max(self._drawings, default=(0.0, 0.0, ""))
        ours = (late - drawn[0], lateUsed - drawn[1])
        self._worstOurs = (max(self._worstOurs[0], ours[0]), max(self._worstOurs[1], ours[1]))
        self._drawings = []
        self._last, self._lastUsed = now, used
        if self._watching:
            if late > LATE_S:
                self._watching.write(f"== {late:.3f} s, of which {lateUsed:.3f} s computed\n")
                self._watching.flush()
            faulthandler.dump_traceback_later(LATE_S, repeat=True, file=self._watching)

    def standstill(self) -> tuple[float, float]:
        """Give the longest standstill since the last call, and the longest computation between two ticks, in seconds.

        On a busy machine the first holds time in which other programs computed; the second does not.
        """
        self._tick()
        worst = (round(self._worst, 3), round(self._worstUsed, 3))
        self._worst = self._worstUsed = 0.0
        self._last = time.monotonic()
        return worst

    def standstills(self) -> dict[str, object]:
        """Give, since the last call, as pairs of seconds by the clock and seconds computed: the longest standstill;
        the longest without the longest drawing of one view in it; and the longest drawing of each view.

        How long Slicer takes to draw one view is not the extension's to change: without a graphics card, a view in 3D
        takes half a second. That several views are drawn, or one twice, before the application answers again, counts
        as the extension's.
        """
        longest = self.standstill()
        found = {
            "longest": longest,
            "without_drawing": (round(self._worstOurs[0], 3), round(self._worstOurs[1], 3)),
            "drawings": {
                view: (round(clock, 3), round(used, 3)) for view, (clock, used) in self._longestDrawings.items()
            },
        }
        self._watchDrawing()
        # What that took is no standstill of the application.
        self.standstill()
        self._worstOurs, self._longestDrawings = (0.0, 0.0), {}
        return found

    def _watchDrawing(self) -> None:
        """Measure from now on how long each view that the layout has is drawn."""
        manager = slicer.app.layoutManager()
        views = {name: manager.sliceWidget(name).sliceView() for name in manager.sliceViewNames()}
        for index in range(manager.threeDViewCount):
            views[f"3D {index + 1}"] = manager.threeDWidget(index).threeDView()
        for name, view in views.items():
            window = view.renderWindow()
            if window not in self._drawnWindows:
                self._drawnWindows.append(window)
                self._watchWindow(name, window)

    def _watchWindow(self, name: str, window) -> None:
        begun: list[tuple[float, float]] = []

        def start(*_caller) -> None:
            begun.append((time.monotonic(), time.thread_time()))

        def end(*_caller) -> None:
            clock, used = begun.pop()
            if begun:
                # A drawing within a drawing belongs to it.
                return
            taken = (time.monotonic() - clock, time.thread_time() - used)
            self._drawings.append((*taken, name))
            self._longestDrawings[name] = max(self._longestDrawings.get(name, (0.0, 0.0)), taken)

        window.AddObserver("StartEvent", start)
        window.AddObserver("EndEvent", end)

    @contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """Write where the main thread is each time that a tick is late, into ``NAME.late.txt``.

        Only with COVIDCT_WALK_WATCH=1: looking at a thread from beside it can end Python.
        """
        if os.environ.get("COVIDCT_WALK_WATCH") != "1":
            yield
            return
        with (FOLDER / f"{name}.late.txt").open("w") as found:
            self._watching = found
            try:
                yield
            finally:
                self._watching = None
                faulthandler.cancel_dump_traceback_later()

    def step(self, name: str, held: bool, found: object = "") -> None:
        """Note a step, and whether what it expects holds."""
        self.steps.append({"step": name, "held": bool(held), "found": str(found)})
        tell(f"{'ok  ' if held else 'FAIL'} {name} {found}")

    def measure(self, name: str, value: object) -> None:
        """Note a measured value."""
        self.measured[name] = value
        tell(f"     {name}: {value}")

    def until(self, condition: Callable[[], bool], seconds: float = LONGEST_S, rest_s: float = 0.3) -> bool:
        """Let the application go on until something is the case, and a little longer; say whether it came."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            slicer.app.processEvents()
            time.sleep(0.002)
        self.rest(rest_s)
        return True

    def rest(self, seconds: float = 0.3) -> None:
        """Let events that are due happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.002)

    def picture(self, name: str) -> None:
        """Photograph the main window."""
        self.rest()
        window = slicer.util.mainWindow()
        if window is not None:
            window.grab().save(str(FOLDER / f"{name}.png"))

    def write(self) -> int:
        """Write what was found, and give the exit code."""
        errors = errorsOfLog()
        self.step("the application's error log has no entry", not errors, errors[:5])
        self.measure("memory_mb", round(memoryMb()))
        (FOLDER / "walk.json").write_text(
            json.dumps({"steps": self.steps, "measured": self.measured, "errors": errors}, indent=1)
        )
        return 0 if all(entry["held"] for entry in self.steps) else 1


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def errorsOfLog() -> list[str]:
    """Give the messages of the application's error log that are errors or worse."""
    model = slicer.app.errorLogModel()
    found = []
    for row in range(model.rowCount()):
        level = str(model.data(model.index(row, LEVEL_COLUMN)))
        if level in ("Error", "Critical", "Fatal"):
            found.append(str(model.logEntryDescription(row)).strip())
    return found


def memoryMb() -> float:
    """Give the resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def openPanel():
    """Open the module as a user does, and give its widget."""
    slicer.util.selectModule("CovidCT")
    slicer.app.processEvents()
    return slicer.modules.covidct.widgetRepresentation().self()


def loadSample(name: str):
    """Load a sample as its button does, and give its nodes."""
    import SampleData

    source = SampleData.SampleDataLogic().sourceForSampleName(name)
    return source.customDownloader(source)


def analyze(walk: Walk, panel, rest_s: float = 0.3) -> bool:
    """Press Analyze, and wait until nothing runs any more, and a little longer."""
    panel.ui.analyzeButton.click()
    slicer.app.processEvents()
    return walk.until(lambda: not panel.controller.busy, rest_s=rest_s)


def walk(function: Callable[[Walk], None]) -> None:
    """Take a walk once the application has started, write what was found, and end the application."""

    def begin() -> None:
        code = 1
        taken = Walk()
        try:
            window = slicer.util.mainWindow()
            if window is not None:
                window.resize(*WINDOW_PX)
            taken.rest(1.0)
            function(taken)
        except BaseException:  # noqa: BLE001 - whatever it was, the application must end and say so
            taken.step("the walk went to its end", False, traceback.format_exc())
        finally:
            try:
                code = taken.write()
            finally:
                sys.stdout.flush()
                slicer.util.exit(code)

    qt.QTimer.singleShot(0, begin)
