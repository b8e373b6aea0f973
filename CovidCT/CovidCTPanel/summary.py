"""The result in words and numbers for the panel, from the record that is stored with it (``analysis.json``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from slicer.i18n import tr as _

BOTH_LUNGS = "both_lungs"
LUNG_COLUMNS = ("right_lung", "left_lung", BOTH_LUNGS)
"""Regions of the per-lung table, in the order of its columns."""

LUNG_ROWS = (
    "volume_ml",
    "opacity_percent",
    "high_opacity_percent",
    "opacity_volume_ml",
    "ggo_volume_ml",
    "consolidation_volume_ml",
    "corona_score_cm3",
)
"""Measures of the per-lung table, in the order of its rows."""

ABSENT = "-"
"""Stands for an undefined value; its tooltip gives the reason."""

Record = Mapping[str, Any]
ChangeRow: TypeAlias = "tuple[str, float | None, float | None, float | None]"


@dataclass(frozen=True)
class Cell:
    """One cell of a table: what it shows, and what its tooltip says."""

    text: str
    toolTip: str = ""


def decisionText(record: Record) -> str:
    """Say how the case was called, with the share of positive slices; where it was not, why."""
    case = record["case"]
    if case["positive"] is None:
        return _("Case: not available. {reason}").format(reason=case["reason"] or "")
    return _("Case: {decision}, {percent} % of slices abnormal ({positive} of {lung} with lung)").format(
        decision=_("positive") if case["positive"] else _("negative"),
        percent=f"{100 * case['positive_fraction']:.0f}",
        positive=case["positive_slices"],
        lung=case["lung_slices"],
    )


def scoreLines(record: Record) -> list[str]:
    """Give the two numbers that are read first; an undefined one with its reason."""
    return [
        _("Corona Score: {value}").format(value=_value(record, "corona_score_cm3")),
        _("Percentage of opacity: {value}").format(value=_value(record, "opacity_percent")),
    ]


def warningLines(record: Record) -> list[str]:
    """Give what a reader must know before any number."""
    return [_notice(notice) for notice in record["notices"] if notice["severity"] != "note"]


def noticeLines(record: Record) -> list[str]:
    """Give every quality check that found something, notes included, with its code; for a tooltip."""
    return [f"{notice['code']}: {_notice(notice)}" for notice in record["notices"]]


def lungTable(record: Record) -> list[list[Cell]]:
    """Give the rows of the per-lung table: the measure with its unit, then right, left and both lungs."""
    definitions = record["measure_definitions"]
    measures = {(entry["region"], entry["name"]): entry for entry in record["measures"]}
    rows = []
    for name in LUNG_ROWS:
        found = [measures.get((region, name)) for region in LUNG_COLUMNS]
        if not any(found) or name not in definitions:
            continue
        definition = definitions[name]
        unit = f" ({definition['unit']})" if definition["unit"] else ""
        label = definition["label"]
        about = f"{definition['definition']} {definition['source'] or ''}".strip()
        rows.append([Cell(f"{label[:1].upper()}{label[1:]}{unit}", about), *(_cell(entry) for entry in found)])
    return rows


def changeTable(regions: Iterable[tuple[str, Iterable[ChangeRow]]]) -> list[list[Cell]]:
    """Give the rows of a follow-up's table: a line with the region's name, then its measures.

    Parameters
    ----------
    regions
        Name and rows: measure with unit, first and last value, and change; None is undefined.
    """
    rows = []
    for region, changes in regions:
        rows.append([Cell(region), Cell(""), Cell(""), Cell("")])
        for label, first, last, change in changes:
            cells = [ABSENT if value is None else _number(value) for value in (first, last)]
            cells.append(ABSENT if change is None else _number(change, "+"))
            rows.append([Cell(label), *map(Cell, cells)])
    return rows


def _cell(entry: Mapping[str, Any] | None) -> Cell:
    if entry is None:
        return Cell(ABSENT)
    if entry["value"] is None:
        return Cell(ABSENT, entry["reason"] or "")
    return Cell(_number(entry["value"]))


def _number(value: float, sign: str = "") -> str:
    """Give two decimals under 1, one under 100, and none above, where they would be noise."""
    return f"{value:{sign}.{0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2}f}"


def _value(record: Record, name: str) -> str:
    for entry in record["measures"]:
        if entry["region"] == BOTH_LUNGS and entry["name"] == name:
            if entry["value"] is None:
                return _("not available. {reason}").format(reason=entry["reason"] or "")
            return f"{_number(entry['value'])} {entry['unit']}"
    return _("not available.")


def _notice(notice: Mapping[str, Any]) -> str:
    # The same words as `CovidCTLib.errors.Notice.numbers`, which the stored record does not hold.
    from CovidCTLib.errors import Notice

    numbers = Notice(
        notice["code"], notice["text"], value=notice["value"], limit=notice["limit"], unit=notice["unit"]
    ).numbers
    return f"{notice['text']} ({numbers})" if numbers else str(notice["text"])
