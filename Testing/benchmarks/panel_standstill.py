"""How long the panel keeps Slicer's main thread at a stretch, for each button, with a CT of 512 x 512 x 300 voxels.

Run it with ``python Testing/benchmarks/panel_standstill.py``; it needs slicer-core, PySide6-Essentials, about 4 GB of
memory and a minute or two. A turn of the event loop is what the user waits for; *wall* is by the clock, which other
work on the machine lengthens; *main* is what the main thread computed in its longest turn, and *all* what all threads
of the process did, also while the main thread waited for them: on a quiet machine no turn takes longer. The program of
the analysis is a stand-in that copies finished results.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / "Testing" / name) for name in ("panel", "scene")), str(ROOT / "CovidCT")]

from conftest import FakeProgram  # noqa: E402
from scene_analysis import large_analysis  # noqa: E402
from scene_maker import added_volume  # noqa: E402
from slicer_application import Application  # noqa: E402

from CovidCTLib.analysis import Analysis  # noqa: E402
from CovidCTLib.geometry import Geometry  # noqa: E402
from CovidCTLib.results import write_results  # noqa: E402

SPACING_MM = (0.7, 0.7, 1.0)
LONGEST_S = 600.0
"""Seconds after which a button is given up."""


def clocks() -> tuple[float, float, float]:
    """Give seconds: the clock, what this thread computed, and what all threads did."""
    return time.perf_counter(), time.thread_time(), time.process_time()


class Watch:
    """The longest turn of the event loop."""

    def __init__(self, application: Application, doing: Callable[[], str]) -> None:
        self._application = application
        self._doing = doing

    def press(self, what: str, button: Any, ended: Callable[[], bool]) -> None:
        """Press a button, let events happen until the work has ended, and print the longest turn."""
        longest, slowest = [0.0, 0.0, 0.0], ""
        start = time.perf_counter()
        turn: Callable[[], object] = button.click
        while time.perf_counter() - start < LONGEST_S:
            before = clocks()
            turn()
            passed = [end - begin for begin, end in zip(before, clocks(), strict=True)]
            slowest = self._doing() if passed[2] > longest[2] else slowest
            longest = [max(most, new) for most, new in zip(longest, passed, strict=True)]
            turn = self._application.turn
            if ended():
                break
        sys.stdout.write(
            f"{what:<16} wall {1000 * longest[0]:6.0f} ms, main {1000 * longest[1]:6.0f} ms, "
            f"all {1000 * longest[2]:6.0f} ms, whole {time.perf_counter() - start:6.2f} s  {slowest}\n"
        )
        sys.stdout.flush()


def main() -> None:
    """Print a line for each button."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    args = parser.parse_args()
    analysis = large_analysis(Geometry((args.slices, 512, 512), SPACING_MM))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_results(analysis, folder / "finished", report=False)
        (folder / "temporary").mkdir()
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        application = Application(patch)
        program = FakeProgram(folder, patch, folder / "finished")
        patch.setattr(application.module.CovidCTLogic, "python", lambda self: str(program.path))
        layout = application.with_plots(patch)
        measure(application, analysis, patch, folder)
        application.close()
        if not layout.shown:
            raise SystemExit("No chart was shown, so the buttons did not work.")


def measure(application: Application, analysis: Analysis, patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Press every button that does something with the whole CT."""
    geometry = analysis.scan.geometry
    volume = added_volume(application.scene, analysis.scan.hu, geometry)
    second = added_volume(application.scene, analysis.scan.hu, geometry, "later")
    application.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    widget = application.opened()
    controller, ui = widget.controller, widget.ui

    def doing() -> str:
        labels = (ui.progressLabel, ui.messageLabel)
        return " ".join(label.text for label in labels if label.visible)

    watch = Watch(application, doing)
    files = application.panels.result_files
    patch.setattr(files, "chooseFolder", lambda *_: str(folder / "exported"))
    patch.setattr(files, "chooseFile", lambda *_: str(folder / "report.pdf"))

    def idle() -> bool:
        return not (controller.busy or controller.surfaces.running)

    for node in (second, volume):
        ui.inputVolumeSelector.setCurrentNode(node)
        application.rest()
        watch.press("Analyze", ui.analyzeButton, idle)
    for what, button in (
        ("Heat map", ui.heatMapButton),
        ("Show 3D", ui.show3DButton),
        ("Hide 3D", ui.show3DButton),
        ("Slice chart", ui.chartButton),
        ("Slice table", ui.tableButton),
        ("Report", ui.reportButton),
        ("Report as PDF", ui.pdfButton),
        ("Export", ui.exportButton),
        ("Explain slice", ui.explainButton),
    ):
        watch.press(what, button, idle)
        if ui.messageLabel.visible:
            sys.stdout.write(f"{'':<16} {ui.messageLabel.text}\n")
    ui.followUpSection.collapsed = False
    application.until(lambda: not controller.followUp.busy and ui.studiesTable.rowCount == 2)
    for row, day in enumerate(("2020-03-01", "2020-03-08")):
        ui.studiesTable.item(row, 0).setCheckState(application.panels.followup_section.qt.Qt.Checked)
        ui.studiesTable.item(row, 1).setText(day)
    watch.press("Compare studies", ui.followUpButton, idle)
    start = time.perf_counter()
    controller.showState()
    sys.stdout.write(f"{'Refresh':<16} wall {1000 * (time.perf_counter() - start):6.0f} ms, of the whole panel\n")
    controller.removeKept()


if __name__ == "__main__":
    main()
