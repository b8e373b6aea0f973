"""Draw the pictures of the panel for docs/tutorial.md: the module's own panel, with results of real analyses.

Run it by hand where the panel changed: ``python Testing/panel/panel_pictures.py docs/pictures CT RESULTS WORK``, with a
CT, the folder that ``covidct analyze`` made of it, and the folder of ``Testing/scene/tutorial_pictures.py``, which
holds the analyses of the made-up course.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "CovidCT"), str(ROOT / "Testing" / "scene"), str(Path(__file__).resolve().parent)]

from scene_maker import added_volume  # noqa: E402
from slicer_application import SCREENSHOTS, Application  # noqa: E402

from CovidCTLib.reading import read_scan  # noqa: E402
from CovidCTLib.results.reading import read_analysis  # noqa: E402


def running(application, widget):
    """The panel in the middle of a run."""
    panel = widget.controller._panel
    panel.startWork()
    panel.showProgress("opacities", 0.62, 25.0)
    application.picture(widget, "panel-running")
    panel.endWork()


def results(application, ct, folder):
    """The panel with the results of a CT."""
    scan = read_scan(ct)
    volume = added_volume(application.scene, scan.hu, scan.geometry, "chest CT")
    for name in ("Red", "Green", "Yellow"):
        application.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", name)
    widget = application.opened()
    running(application, widget)
    widget.controller._actions.add(volume.GetID(), read_analysis(folder, scan))
    widget.controller.showState()
    application.picture(widget, "panel-results")


def course(application, work):
    """The panel with the course of the made-up patient."""
    from CovidCTScene import addSampleCourse, scanFromVolumeNode

    volumes = addSampleCourse(application.scene)
    widget = application.opened()
    for number, volume in enumerate(volumes):
        analysis = read_analysis(work / f"study-{number}", scanFromVolumeNode(volume))
        widget.controller._actions.add(volume.GetID(), analysis)
    application.rest()
    widget.ui.inputVolumeSelector.setCurrentNode(volumes[-1])
    widget.ui.followUpSection.collapsed = False
    application.until(lambda: widget.ui.studiesTable.rowCount == len(volumes))
    application.click(widget.ui.followUpButton)
    application.picture(widget, "panel-follow-up")


def main(pictures, ct, folder, work):
    """Draw everything."""
    for draw in (lambda made: results(made, ct, folder), lambda made: course(made, work)):
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as place:
            patch.setenv(SCREENSHOTS, str(pictures))
            patch.setattr(tempfile, "tempdir", place)
            application = Application(patch)
            draw(application)
            application.close()


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
