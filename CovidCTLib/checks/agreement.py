"""Whether the two readings of the disease agree: the slice classifier's and the opacity network's.

They are two networks that know nothing of each other: where they agree, that is worth something, and where they do not,
one of them is wrong. Held against each other are the case decision and the share of opacity, and, for each lung and
third, the opacities and the localized part of the lung.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from CovidCTLib.analysis import CaseDecision, Measurement
from CovidCTLib.errors import Notice

DISAGREEMENT_PERCENT = 1.0
"""Share of the lungs, in percent, at or above which the opacity network says disease and under which it does not; an
opacity share under 1 % is the noise of the network in healthy lungs."""

REGION_PERCENT = 5.0
"""Share of a region, in percent, from which (inclusive) one reading's disease must be found by the other, too. A third
of a lung holds about 700 ml, so that is 35 ml, a ball of 4 cm; the cells of the localization miss smaller foci."""

MIN_DICE = 0.2
"""Overlap (Dice) of the two readings in a region under which they differ. The localization has cells of about 1 cm, so
small disease overlaps less; thirds of patients' lungs with disease that both find had 0.5 to 0.9. Under 0.2 less than a
ninth of what either finds is found by both."""

AGREEMENT_ROWS = (
    "both_lungs",
    *(f"{side}_{part}" for side in ("right", "left") for part in ("lung", "upper", "middle", "lower")),
)
"""Regions that are compared, as `CovidCTLib.measures.regions.REGIONS` names them: lungs, and their thirds."""

ReadingsVerdict = Literal[
    "agree",
    "neither finds disease",
    "too little to compare",
    "opacities only",
    "localization only",
    "different places",
    "not measured",
]


@dataclass(frozen=True)
class RegionAgreement:
    """The two readings of one region.

    Parameters
    ----------
    region
        As `AGREEMENT_ROWS` names it.
    opacity_ml, localization_ml, difference_ml
        Volumes of the opacities and of the localized lung, and the first less the second, in ml; None where undefined.
    opacity_percent, localization_percent
        The same as shares of the region, in percent.
    dice
        Overlap of the two, 0 to 1; None where neither finds anything.
    verdict
        What that means.
    """

    region: str
    opacity_ml: float | None
    localization_ml: float | None
    difference_ml: float | None
    opacity_percent: float | None
    localization_percent: float | None
    dice: float | None
    verdict: ReadingsVerdict

    @property
    def differs(self) -> bool:
        """Whether the readings differ here so much that a reader must look."""
        return self.verdict in ("opacities only", "localization only", "different places")

    @property
    def region_words(self) -> str:
        """The region in words."""
        side, _, part = self.region.partition("_")
        if part in ("lung", "lungs"):
            return f"{side} {part}"
        return f"{side} lung, {part} third"


def compare_readings(measures: Sequence[Measurement]) -> tuple[RegionAgreement, ...]:
    """Hold the two readings against each other in each lung and third.

    Parameters
    ----------
    measures
        All measures of an analysis.

    Returns
    -------
    tuple of RegionAgreement
        One a region of `AGREEMENT_ROWS` that was measured; empty for an analysis without these measures.
    """
    values = {(entry.region, entry.name): entry.value for entry in measures}
    rows = []
    for region in AGREEMENT_ROWS:
        if (region, "readings_dice") not in values:
            continue
        opacity, localized = values.get((region, "opacity_percent")), values.get((region, "localization_percent"))
        dice = values[region, "readings_dice"]
        rows.append(
            RegionAgreement(
                region,
                values.get((region, "opacity_volume_ml")),
                values.get((region, "localization_volume_ml")),
                values.get((region, "readings_difference_ml")),
                opacity,
                localized,
                dice,
                _verdict(opacity, localized, dice),
            )
        )
    return tuple(rows)


def _verdict(opacity: float | None, localized: float | None, dice: float | None) -> ReadingsVerdict:
    """Say what two shares in percent and their overlap mean."""
    if opacity is None or localized is None:
        return "not measured"
    if max(opacity, localized) < DISAGREEMENT_PERCENT:
        return "neither finds disease"
    if dice is not None and dice >= MIN_DICE:
        return "agree"
    if max(opacity, localized) < REGION_PERCENT:
        return "too little to compare"
    if localized < DISAGREEMENT_PERCENT:
        return "opacities only"
    return "localization only" if opacity < DISAGREEMENT_PERCENT else "different places"


def agreement_sentence(rows: Sequence[RegionAgreement]) -> str:
    """Say in a sentence where the two readings differ.

    Parameters
    ----------
    rows
        From `compare_readings`.
    """
    thirds = [row for row in rows if not row.region.endswith(("_lung", "_lungs"))]
    if not any(row.verdict != "not measured" for row in rows):
        return "The two readings could not be compared, because no lung was measured."
    different = [row for row in thirds if row.differs]
    if not different:
        return "The two readings of the disease differ in no third of the lungs so much that it matters."
    return "The two readings of the disease differ: " + "; ".join(_in_words(row) for row in different) + "."


def _in_words(row: RegionAgreement) -> str:
    """One region in which the readings differ."""
    opacity, localized = row.opacity_percent or 0.0, row.localization_percent or 0.0
    shares = f"opacities in {opacity:.0f} %, localization in {localized:.0f} %"
    if row.verdict == "different places":
        return f"{row.region_words} ({shares}, in different places)"
    return f"{row.region_words} ({shares})"


def check_agreement(
    case: CaseDecision, opacity_percent: float | None, measures: Sequence[Measurement] = ()
) -> tuple[Notice, ...]:
    """Hold the two readings of the disease against each other: the slice classifier's and the opacity network's.

    Parameters
    ----------
    case
        The classifier's decision.
    opacity_percent
        The opacity network's share of both lungs, in percent; None where it is not defined.
    measures
        All measures of the analysis, for the comparison of lungs and thirds.

    Returns
    -------
    tuple of Notice
        A warning if one says disease and the other does not, and one if they differ in a third of a lung.
    """
    return (*_check_case(case, opacity_percent), *_check_thirds(measures))


def _check_case(case: CaseDecision, opacity_percent: float | None) -> tuple[Notice, ...]:
    """Hold the case decision against the share of opacity."""
    if case.positive is None or opacity_percent is None or case.positive == (opacity_percent >= DISAGREEMENT_PERCENT):
        return ()
    return (
        Notice(
            "readings-disagree",
            f"The two readings disagree: the slice classifier calls the case {case.verdict}, but the opacity network "
            f"finds {opacity_percent:.1f} % of the lungs opaque. Look at the pictures before you trust either.",
            "warn",
            round(opacity_percent, 2),
            DISAGREEMENT_PERCENT,
            "%",
        ),
    )


def _check_thirds(measures: Sequence[Measurement]) -> tuple[Notice, ...]:
    """Hold the readings against each other in each third of each lung."""
    rows = compare_readings(measures)
    different = [row for row in rows if row.differs and not row.region.endswith(("_lung", "_lungs"))]
    if not different:
        return ()
    return (
        Notice(
            "readings-differ-in-thirds",
            f"{agreement_sentence(rows)} Look at these parts before you trust either.",
            "warn",
            round(min(row.dice or 0.0 for row in different), 2),
            MIN_DICE,
        ),
    )
