"""What to do first, where there is no CT yet: a text with links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

TUTORIAL = "https://github.com/covidct/SlicerCovidCT/blob/main/docs/tutorial.md"
"""Address of the tutorial, which opens in the browser when the user asks for it."""

MODULES = {"dicom": "DICOM", "samples": "SampleData"}
"""Links of the text, and names of the modules of Slicer that they open."""


class FirstSteps:
    """Shows the text, and follows its links.

    Parameters
    ----------
    label
        The QLabel.
    openModule
        Opens the module of Slicer with a name.
    showMessage
        Shows a sentence.
    """

    def __init__(self, label: Any, openModule: Callable[[str], None], showMessage: Callable[[str], None]) -> None:
        self._label = label
        self._openModule = openModule
        self._showMessage = showMessage
        label.text = _(
            "Load a chest CT first: <a href='dicom'>Add DICOM data</a>, or drag a NIfTI or NRRD file into the window. "
            "No CT at hand? Take <a href='samples'>sample data</a>, section CovidCT. "
            "The <a href='tutorial'>tutorial</a> shows every step."
        )
        label.connect("linkActivated(QString)", self.follow)
        self.show(False)

    def show(self, shown: bool) -> None:
        """Show the text, or hide it."""
        self._label.visible = shown

    def follow(self, link: str) -> None:
        """Do what a link of the text says."""
        if link in MODULES:
            self._openModule(MODULES[link])
        elif not qt.QDesktopServices.openUrl(qt.QUrl(TUTORIAL)):
            text = _("No program was found that opens web pages. The tutorial is at {address}")
            self._showMessage(text.format(address=TUTORIAL))
