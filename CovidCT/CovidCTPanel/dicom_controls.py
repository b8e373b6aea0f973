"""The two widgets for DICOM: the check box of the export, and the button that shows results of an earlier analysis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from CovidCTPanel.tool_tips import wrapped


class DicomControls:
    """Sets the widgets that deal with DICOM.

    Parameters
    ----------
    ui
        Holds the widgets by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        ui.earlierButton.visible = False

    @property
    def wanted(self) -> bool:
        """Whether the export is to write DICOM results, too."""
        return bool(self._ui.dicomCheckBox.checked and self._ui.dicomCheckBox.enabled)

    def showExport(self, refusal: str | None) -> None:
        """Enable the check box, or disable it with the reason as its tooltip."""
        usual = _(
            "Export also writes SEG, SR, report, pictures and localization as DICOM objects of the CT's study. They "
            "keep the patient's name, number and dates, because they belong in the archive beside the CT."
        )
        self._ui.dicomCheckBox.enabled = refusal is None
        self._ui.dicomCheckBox.toolTip = wrapped(refusal or usual)

    def showEarlier(self, shown: bool) -> None:
        """Show the button of earlier results where there are some, and none in the scene."""
        self._ui.earlierButton.visible = shown

    def onEarlier(self, function: Callable[[], None]) -> None:
        """Call a function when the button of earlier results is pressed."""
        self._ui.earlierButton.connect("clicked(bool)", lambda _checked=False: function())
