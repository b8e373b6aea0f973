"""What the terminal adds to a notice: the option that helps. In Slicer, which has no such options, it is not said."""

from __future__ import annotations

from CovidCTLib.errors import Notice

_SPACING = "--spacing Z Y X gives the true spacing (slices, rows, columns in mm)."
_GEOMETRY = "--geometry sform or --geometry qform chooses"

_HINTS = {
    "impossible-body": _SPACING,
    "body-size-doubtful": _SPACING,
    "body-shape-doubtful": _SPACING,
    "pixels-not-square": _SPACING,
    "spacing-unknown": _SPACING,
    "spacing-assumed": _SPACING,
    "spacing-contradicts": f"{_GEOMETRY}, and {_SPACING}",
    "sides-contradict": f"{_GEOMETRY}.",
    "grids-differ": f"{_GEOMETRY}.",
}


def hint_of(notice: Notice | None) -> str:
    """Give the sentence for a notice, with a space before it; empty where no option helps."""
    hint = _HINTS.get(notice.code, "") if notice is not None else ""
    return f" {hint}" if hint else ""
