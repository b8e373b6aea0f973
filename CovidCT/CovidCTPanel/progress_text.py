"""Words for how far an analysis is."""

from __future__ import annotations

from slicer.i18n import tr as _

HANDING_OVER = "handing over"
IMPORTING = "importing"
"""Stages that only the module in Slicer has: before and after those of the program."""

EARLIEST_ESTIMATE_S = 5.0
EARLIEST_ESTIMATE_FRACTION = 0.07
"""Seconds and share of the way before which no time left is told, as starting Python and loading networks mislead."""

MINUTE_S = 60
"""Seconds of a minute."""

SECONDS_STEP = 5
"""Under a minute, the time left is told in steps of so many seconds, so that it does not flicker."""


def stageName(stage: str) -> str:
    """Name a stage of `CovidCTLib.analysis.Stage`, or of the module, in the user's language."""
    names = {
        HANDING_OVER: _("Handing over the CT"),
        "reading": _("Reading the scan"),
        "lungs": _("Finding the lungs"),
        "opacities": _("Finding opacities"),
        "slices": _("Judging the slices"),
        "measures": _("Measuring"),
        "writing": _("Writing the results"),
        "report": _("Making the report"),
        "explaining": _("Explaining the slices"),
        "comparing": _("Comparing the studies"),
        IMPORTING: _("Showing the results"),
    }
    return names.get(stage, stage)


def progressText(stage: str, fraction: float, elapsed_s: float) -> str:
    """Say what is being done, and about how long it will still take.

    Parameters
    ----------
    stage
        Its identifier.
    fraction
        Share of the whole way that is done, 0 to 1.
    elapsed_s
        Seconds since the start.
    """
    left = secondsLeft(fraction, elapsed_s)
    if left is None:
        return _("{stage}...").format(stage=stageName(stage))
    if left >= MINUTE_S:
        return _("{stage}, about {count} min left").format(stage=stageName(stage), count=round(left / MINUTE_S))
    seconds = max(SECONDS_STEP, round(left / SECONDS_STEP) * SECONDS_STEP)
    return _("{stage}, about {count} s left").format(stage=stageName(stage), count=seconds)


def secondsLeft(fraction: float, elapsed_s: float) -> float | None:
    """Estimate the seconds left from the pace so far; None while it is too early to tell, or all is done."""
    if elapsed_s < EARLIEST_ESTIMATE_S or not EARLIEST_ESTIMATE_FRACTION <= fraction < 1:
        return None
    return elapsed_s * (1 - fraction) / fraction
