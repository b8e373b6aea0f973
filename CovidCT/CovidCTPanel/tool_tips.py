"""Tooltips that wrap: Qt shows a plain text in one line, across the whole screen."""

from __future__ import annotations

import textwrap
from typing import Any

TOOL_TIP_CHARACTERS = 70
"""Longest line of a tooltip."""


def wrapped(text: str) -> str:
    """Break the lines of a plain text that are too long for a tooltip; its own breaks stay.

    A word that is longer than a line, such as an address, keeps a line of its own.
    """
    lines = text.splitlines()
    return "\n".join(textwrap.fill(line, TOOL_TIP_CHARACTERS, break_long_words=False) for line in lines)


def wrapToolTips(ui: Any) -> None:
    """Wrap the tooltips of all widgets of a .ui file.

    Parameters
    ----------
    ui
        Holds the widgets by name, as ``slicer.util.childWidgetVariables`` gives them.
    """
    for widget in vars(ui).values():
        toolTip = getattr(widget, "toolTip", "")
        if isinstance(toolTip, str) and toolTip != wrapped(toolTip):
            widget.toolTip = wrapped(toolTip)
