"""The table, the lines and the sentences of a follow-up, from the measures of its studies."""

from __future__ import annotations

from collections.abc import Sequence

from CovidCTLib.analysis import Analysis, Measurement
from CovidCTLib.followup.result import CHARTED, MEASURES, REGIONS_TOLD, Series, TableRow, TimePoint
from CovidCTLib.followup.study import Study
from CovidCTLib.measures.definitions import DEFINITIONS
from CovidCTLib.measures.regions import REGIONS
from CovidCTLib.report.content import format_number
from CovidCTLib.units import pretty_unit

NOT_MEASURED = "this analysis did not measure it"

LEAST_PERCENT = 0.05
"""Change, in percent of the first value, under which both values read alike and no change is told."""

HARDLY_PERCENT = 5.0
"""Change, in percent of the first value, under which no rise or fall is told: the networks' own error is larger (the
opacity volume was off by 1.3 % of the lungs in cross-validation, README.md). A convention of CovidCT."""

_PROSE_LABELS = {
    "corona_score_cm3": "Corona Score",
    "opacity_volume_ml": "opacity volume",
    "opacity_percent": "percentage of opacity",
    "ggo_volume_ml": "volume of ground-glass opacity",
    "consolidation_volume_ml": "volume of consolidation",
}
"""Labels as they read inside a sentence."""


def table_rows(studies: Sequence[Study], points: Sequence[TimePoint]) -> tuple[TableRow, ...]:
    """Lay every measure beside that of the first study.

    Parameters
    ----------
    studies, points
        In the order of time, as many of one as of the other.
    """
    first = studies[0].analysis
    rows = []
    for study, point in zip(studies, points, strict=True):
        for region in REGIONS_TOLD:
            for name in MEASURES:
                entry, before = measured(study.analysis, region, name), measured(first, region, name)
                rows.append(_row(point, entry, before))
    return tuple(rows)


def measured(analysis: Analysis, region: str, name: str) -> Measurement:
    """Find a measure; one that is not there is undefined."""
    try:
        return analysis.measure(region, name)
    except KeyError:
        return Measurement(region, name, None, DEFINITIONS[name].unit, NOT_MEASURED)


def _row(point: TimePoint, entry: Measurement, before: Measurement) -> TableRow:
    change = percent = None
    if entry.value is not None and before.value is not None:
        change = entry.value - before.value
        percent = 100 * change / before.value if before.value else None
    return TableRow(
        point.number,
        point.date,
        point.days,
        entry.region,
        entry.name,
        DEFINITIONS[entry.name].label,
        entry.unit,
        entry.value,
        entry.reason,
        change,
        percent,
    )


def chart_series(rows: Sequence[TableRow], points: Sequence[TimePoint]) -> tuple[Series, ...]:
    """Arrange the charted measures of the table as lines over the days."""
    values = {(row.study, row.region, row.measure): row.value for row in rows}
    return tuple(
        Series(
            name,
            DEFINITIONS[name].label,
            DEFINITIONS[name].unit,
            tuple(point.days for point in points),
            {region: tuple(values[point.number, region, name] for point in points) for region in REGIONS_TOLD},
        )
        for name in CHARTED
    )


def sentences_of(rows: Sequence[TableRow], first: Sequence[TableRow]) -> tuple[str, ...]:
    """Say what became of both lungs.

    Parameters
    ----------
    rows, first
        Rows of a later study and of the first one.
    """
    before = {(row.region, row.measure): row for row in first}
    charted = [row for row in rows if row.region == REGIONS_TOLD[0] and row.measure in CHARTED]
    return tuple(_sentence(row, before[row.region, row.measure]) for row in charted)


def _sentence(row: TableRow, before: TableRow) -> str:
    """One measure in words: from what to what, absolute and relative."""
    what = f"The {_PROSE_LABELS[row.measure]} of {REGIONS[row.region]}"
    unit = pretty_unit(row.unit)
    if row.value is None or before.value is None or row.change is None:
        reason = (row.reason if row.value is None else before.reason) or "no reason given"
        return f"{what} cannot be compared: {reason.rstrip('.')}."
    old, new = (f"{format_number(value)} {unit}" for value in (before.value, row.value))
    size = abs(row.change)
    if size == 0 or (row.change_percent is not None and abs(row.change_percent) < LEAST_PERCENT):
        return f"{what} did not change ({new})."
    sign = "+" if row.change > 0 else "−"
    steps = "percentage points" if row.unit == "%" else unit
    relative = (
        "no relative change, as there was none at first"
        if row.change_percent is None
        else f"{sign}{format_number(round(abs(row.change_percent), 1))} %"
    )
    verb = "rose" if row.change > 0 else "fell"
    if row.change_percent is not None and abs(row.change_percent) < HARDLY_PERCENT:
        verb = "hardly changed,"
    return f"{what} {verb} from {old} to {new} ({sign}{format_number(size)} {steps}; {relative})."
