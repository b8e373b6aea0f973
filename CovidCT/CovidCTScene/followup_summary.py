"""What the panel shows of a follow-up, from the library's result or from its nodes in a scene that was loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from CovidCTScene.measure_words import measureWords, regionWords, titleWithUnit

if TYPE_CHECKING:
    from CovidCTLib.followup import FollowUp
    from CovidCTScene.followup_nodes import FollowUpNodes

ChangeRow: TypeAlias = "tuple[str, float | None, float | None, float | None]"


@dataclass(frozen=True)
class FollowUpSummary:
    """A follow-up for the panel.

    Parameters
    ----------
    sentences
        What changed, in words.
    regions
        Name of each region with its rows: measure with unit, first and last value, and change; None is undefined.
    """

    sentences: tuple[str, ...]
    regions: tuple[tuple[str, tuple[ChangeRow, ...]], ...]


@dataclass(frozen=True)
class _Entry:
    """A measure of a region in a study."""

    study: int
    region: str
    measure: str
    title: str
    value: float | None
    change: float | None


def summaryOf(followUp: FollowUp) -> FollowUpSummary:
    """Take the sentences about the last study, and first and last values, of the library's result."""
    last = followUp.points[-1].number
    entries = [
        _Entry(
            row.study,
            row.region,
            row.measure,
            titleWithUnit(measureWords(row.measure, row.label), row.unit),
            row.value,
            row.change,
        )
        for row in followUp.rows
    ]
    warnings = [notice.text for notice in followUp.notices if notice.severity != "note"]
    return FollowUpSummary((*warnings, *followUp.sentences.get(last, ())), _firstAndLast(entries))


def summaryOfNodes(nodes: FollowUpNodes) -> FollowUpSummary:
    """Take the same from the nodes of a follow-up, for example in a scene from a file."""
    text = (nodes.summary.GetText() or "") if nodes.summary is not None else ""
    table = nodes.table.GetTable()
    if table.GetColumnByName("measure_id") is None:
        # A scene of an early version, whose table a script cannot tell apart.
        return FollowUpSummary(tuple(text.splitlines()), ())
    entries = []
    for row in range(table.GetNumberOfRows()):

        def cell(name: str, row: int = row) -> Any:
            return table.GetValueByName(row, name)

        unit = cell("unit").ToString()
        title = cell("measure").ToString()
        entries.append(
            _Entry(
                cell("study").ToInt(),
                cell("region_id").ToString(),
                cell("measure_id").ToString(),
                titleWithUnit(title, unit),
                _number(cell("value")),
                _number(cell("change")),
            )
        )
    return FollowUpSummary(tuple(text.splitlines()), _firstAndLast(entries))


def _number(cell: Any) -> float | None:
    """Give the number of a cell; None where it is empty."""
    return float(cell.ToDouble()) if cell.ToString() else None


def _firstAndLast(entries: Iterable[_Entry]) -> tuple[tuple[str, tuple[ChangeRow, ...]], ...]:
    """Lay the last study beside the first: what is charted, by region."""
    from CovidCTLib.followup.result import CHARTED

    charted = [entry for entry in entries if entry.measure in CHARTED]
    if not charted:
        return ()
    first, last = charted[0].study, charted[-1].study
    ends = {(entry.measure, entry.region): entry for entry in charted if entry.study == last}
    rows: dict[str, list[ChangeRow]] = {}
    for entry in charted:
        end = ends.get((entry.measure, entry.region))
        if entry.study == first and end is not None:
            rows.setdefault(entry.region, []).append((_capital(entry.title), entry.value, end.value, end.change))
    return tuple((_capital(regionWords(region)), tuple(changes)) for region, changes in rows.items())


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
