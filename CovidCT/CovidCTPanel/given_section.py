"""The section for segmentations from elsewhere: one to choose, and a button that measures it for the chosen CT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from CovidCTPanel.tool_tips import wrapped


class GivenSection:
    """Sets the widgets of the section.

    Parameters
    ----------
    ui
        Holds the widgets by name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._usual = ui.measureGivenButton.toolTip
        self._refusal: str | None = None
        ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda *_node: self._show())
        self._show()

    def onMeasure(self, function: Callable[[str], None]) -> None:
        """Call a function with the identifier of the chosen segmentation when the button is pressed."""

        def pressed(_checked: bool = False) -> None:
            node = self._ui.segmentationSelector.currentNode()
            if node is not None:
                function(node.GetID())

        self._ui.measureGivenButton.connect("clicked(bool)", pressed)

    def showRefusal(self, refusal: str | None) -> None:
        """Disable the button with the reason as its tooltip, or enable it where there is none."""
        self._refusal = refusal
        self._show()

    def _show(self) -> None:
        refusal = self._refusal
        if refusal is None and self._ui.segmentationSelector.currentNode() is None:
            refusal = _("Choose the segmentation that is to be measured.")
        button = self._ui.measureGivenButton
        button.enabled = refusal is None
        button.toolTip = self._usual if refusal is None else wrapped(refusal)
