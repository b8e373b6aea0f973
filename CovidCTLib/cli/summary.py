"""The few lines that a person reads when an analysis is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from CovidCTLib.units import pretty_unit

if TYPE_CHECKING:
    from CovidCTLib.analysis import Analysis


def summary_lines(analysis: Analysis, folder: Path, *, report: bool) -> list[str]:
    """Say in plain words what came out.

    Parameters
    ----------
    analysis
        The result.
    folder
        Where the files are.
    report
        Whether there is a report to point to.

    Returns
    -------
    list of str
        The case decision, Corona Score, opacity, notes, and where to look.
    """
    opacity = _value(analysis, "opacity_percent", 1)
    high = _value(analysis, "high_opacity_percent", 1)
    volume = _value(analysis, "opacity_volume_ml", 0)
    lines = [
        f"Case decision: {_case(analysis)}",
        f"Corona Score:  {_value(analysis, 'corona_score_cm3', 1)} (from the slice classifier's localization)",
        f"Opacity:       {opacity} of both lungs, high opacity {high}, volume {volume} ({_opacities_from(analysis)})",
    ]
    lobes = [entry for entry in analysis.measures if entry.name == "lobar_severity_0_25"]
    if lobes:
        lines.append(f"Lobes:         severity {_value(analysis, 'lobar_severity_0_25', 0)}, of 25")
    lines += [f"Note: {notice.text}" for notice in analysis.notices if notice.severity == "note"]
    if report:
        lines.append(f"Report:        {folder / 'report.html'}")
    else:
        lines.append(f"Results:       {folder}")
    return lines


def _opacities_from(analysis: Analysis) -> str:
    """Say who made the opacities."""
    words = {"given": "from the segmentation given", "corrected": "corrected by hand"}
    return words.get(analysis.provenance.opacities, "from the opacity network")


def _case(analysis: Analysis) -> str:
    """The case decision with its numbers, or why there is none."""
    case = analysis.case
    if case.positive is None or case.positive_fraction is None:
        return f"not available ({_sentence_part(case.reason)})"
    return (
        f"{case.verdict} ({case.positive_slices} of {case.lung_slices} lung slices called so, "
        f"{case.percent_words} %; the limit is {case.limit_words} %)"
    )


def _value(analysis: Analysis, name: str, digits: int) -> str:
    """A measure of both lungs with its unit, or why there is none."""
    try:
        entry = analysis.measure("both_lungs", name)
    except KeyError:
        return "not available (not measured)"
    if entry.value is None:
        return f"not available ({_sentence_part(entry.reason)})"
    return f"{entry.value:.{digits}f} {pretty_unit(entry.unit)}"


def _sentence_part(reason: str | None) -> str:
    """A reason as it reads inside brackets."""
    return reason.rstrip(".") if reason else "no reason given"
