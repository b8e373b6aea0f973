"""Whether the two readings of the disease agree: the slice classifier's and the opacity network's."""

from __future__ import annotations

from CovidCTLib.analysis import CaseDecision
from CovidCTLib.errors import Notice

DISAGREEMENT_PERCENT = 1.0
"""Share of the lungs, in percent, at or above which the opacity network says disease and under which it does not; an
opacity share under 1 % is the noise of the network in healthy lungs."""


def check_agreement(case: CaseDecision, opacity_percent: float | None) -> tuple[Notice, ...]:
    """Hold the two readings of the disease against each other: the slice classifier's and the opacity network's.

    Parameters
    ----------
    case
        The classifier's decision.
    opacity_percent
        The opacity network's share of both lungs, in percent; None where it is not defined.

    Returns
    -------
    tuple of Notice
        A warning if one says disease and the other does not.
    """
    if case.positive is None or opacity_percent is None or case.positive == (opacity_percent >= DISAGREEMENT_PERCENT):
        return ()
    verdict = "positive" if case.positive else "negative"
    return (
        Notice(
            "readings-disagree",
            f"The two readings disagree: the slice classifier calls the case {verdict}, but the opacity network finds "
            f"{opacity_percent:.1f} % of the lungs opaque. Look at the pictures before you trust either.",
            "warn",
            round(opacity_percent, 2),
            DISAGREEMENT_PERCENT,
            "%",
        ),
    )
