"""Words for how far an analysis is."""

from __future__ import annotations

from slicer.i18n import tr as _

HANDING_OVER = "handing over"
IMPORTING = "importing"
"""Stages that only the module in Slicer has: before and after those of the program."""

LOADING_STAGES = (HANDING_OVER, "reading")
"""Stages before whose end no network runs: Python and its packages load meanwhile, at a pace that tells nothing."""

EARLIEST_ESTIMATE_S = 2.0
EARLIEST_ESTIMATE_FRACTION = 0.07
"""Seconds and share of the way after the loading before which no time left is told: the first slices of a network take
longer than the others. In a recorded run no later estimate missed by more than 0.4 of the run (Testing/panel)."""

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


def progressText(stage: str, left_s: float | None) -> str:
    """Say what is being done, and about how long it will still take.

    Parameters
    ----------
    stage
        Its identifier.
    left_s
        Seconds that are left, as `Pace` estimates them; None where that is not known.
    """
    if left_s is None:
        return _("{stage}...").format(stage=stageName(stage))
    if left_s >= MINUTE_S:
        return _("{stage}, about {count} min left").format(stage=stageName(stage), count=round(left_s / MINUTE_S))
    seconds = max(SECONDS_STEP, round(left_s / SECONDS_STEP) * SECONDS_STEP)
    return _("{stage}, about {count} s left").format(stage=stageName(stage), count=seconds)


class Pace:
    """Estimates the time left of one run from how fast it went since its program was loaded."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None

    def secondsLeft(self, stage: str, fraction: float, elapsed_s: float) -> float | None:
        """Take a report of the run, and estimate the seconds left.

        Parameters
        ----------
        stage
            Its identifier.
        fraction
            Share of the whole way that is done, 0 to 1.
        elapsed_s
            Seconds of a clock that began at any time, such as that of the run.

        Returns
        -------
        float or None
            None while it is too early to tell, or all is done.
        """
        if stage in LOADING_STAGES:
            return None
        if self._begun is None:
            self._begun = (fraction, elapsed_s)
        done, seconds = fraction - self._begun[0], elapsed_s - self._begun[1]
        if seconds < EARLIEST_ESTIMATE_S or done < EARLIEST_ESTIMATE_FRACTION or fraction >= 1:
            return None
        return seconds * (1 - fraction) / done
