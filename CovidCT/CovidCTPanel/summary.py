"""The result in a few lines, for the panel."""

from __future__ import annotations

from slicer.i18n import tr as _

from CovidCTLib.analysis import Analysis
from CovidCTLib.errors import Notice

LUNGS = "both_lungs"


def summaryLines(analysis: Analysis) -> list[str]:
    """Say in a few lines what came out, warnings first; an undefined value is given with its reason."""
    warnings = [_notice(notice) for notice in analysis.notices if notice.severity != "note"]
    return [
        *warnings,
        _("Case: {decision}").format(decision=_decision(analysis)),
        _("Corona Score: {value}").format(value=_value(analysis, "corona_score_cm3", 1)),
        _("Percentage of opacity: {value}").format(value=_value(analysis, "opacity_percent", 1)),
        _("Opacity volume (U-Net): {value}").format(value=_value(analysis, "opacity_volume_ml", 0)),
    ]


def noticeLines(analysis: Analysis) -> list[str]:
    """Give every quality check that found something, notes included, with its code; for a tooltip."""
    return [f"{notice.code}: {_notice(notice)}" for notice in analysis.notices]


def _notice(notice: Notice) -> str:
    return f"{notice.text} ({notice.numbers})" if notice.numbers else notice.text


def _decision(analysis: Analysis) -> str:
    case = analysis.case
    if case.positive is None:
        return _("not available. {reason}").format(reason=case.reason or "")
    decision = _("positive") if case.positive else _("negative")
    return _("{decision}, {positive} of {lung} lung slices abnormal").format(
        decision=decision, positive=case.positive_slices, lung=case.lung_slices
    )


def _value(analysis: Analysis, name: str, digits: int) -> str:
    entry = analysis.measure(LUNGS, name)
    if entry.value is None:
        return _("not available. {reason}").format(reason=entry.reason or "")
    return f"{entry.value:.{digits}f} {entry.unit}"
