"""The result in words and numbers for the panel, from the record that is stored with it (``analysis.json``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from slicer.i18n import tr as _

from CovidCTLib.analysis import CaseDecision
from CovidCTLib.units import pretty_unit

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
    "pleural_effusion_volume_ml",
)
"""Measures of the per-lung table, in the order of its rows."""

LOBAR_SCORE = "lobar_severity_0_25"
"""The severity of five lobes, of both lungs."""

SCORES = ("corona_score_cm3", "opacity_percent")
"""Measures of both lungs that are read first."""

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
    """Say how many slices are like COVID-19, against which limit, and what that makes the case; else why not."""
    case = _case(record)
    if case.positive is None:
        return _("Case: not available. {reason}").format(reason=case.reason or "")
    text = (
        _(
            "Slices like COVID-19: {percent} % ({positive} of {lung} with lung), above the limit of {limit} %: "
            "the case is like COVID-19"
        )
        if case.positive
        else _(
            "Slices like COVID-19: {percent} % ({positive} of {lung} with lung), not above the limit of {limit} %: "
            "the case is not like COVID-19"
        )
    )
    return text.format(
        percent=case.percent_words, positive=case.positive_slices, lung=case.lung_slices, limit=case.limit_words
    )


def decisionLines(record: Record) -> list[str]:
    """Say how the case is decided, then what every quality check found; for a tooltip."""
    case = _case(record)
    rule = [] if case.positive is None else [_("Slice classifier: {rule}").format(rule=case.words)]
    return [*rule, *noticeLines(record)]


def scoreLines(record: Record) -> list[str]:
    """Give the two numbers that are read first; an undefined one with its reason."""
    corona, opacity = (_value(record, name) for name in SCORES)
    lines = [
        _("Corona Score: {value}").format(value=corona),
        _("Percentage of opacity: {value}").format(value=opacity),
    ]
    return [*lines, *_lobeLines(record), *_originLines(record)]


def _lobeLines(record: Record) -> list[str]:
    """Give the severity of five lobes and the share of opacity in each, where a segmentation gave lobes."""
    if not any(entry["name"] == LOBAR_SCORE for entry in record["measures"]):
        return []
    names = record["regions"]
    shares = [
        f"{names.get(entry['region'], entry['region'])} {_number(entry['value'])} %"
        for entry in record["measures"]
        if entry["name"] == "opacity_percent" and entry["region"].endswith("_lobe") and entry["value"] is not None
    ]
    return [
        _("Severity of five lobes (0 to 25): {value}").format(value=_value(record, LOBAR_SCORE)),
        _("Opacity per lobe: {shares}").format(shares=", ".join(shares)),
    ]


def _originLines(record: Record) -> list[str]:
    """Say what was given or corrected by hand; records of earlier versions say nothing."""
    words = record.get("provenance", {}).get("words", "")
    return [_("Measured from: {words}").format(words=words)] if words else []


def scoreDefinitions(record: Record) -> list[str]:
    """Say what the two numbers mean, with their sources; for a tooltip."""
    definitions = record["measure_definitions"]
    present = [definitions[name] for name in SCORES if name in definitions]
    return [f"{_title(definition)}: {_about(definition)}" for definition in present]


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
        entries = [measures.get((region, name)) for region in LUNG_COLUMNS]
        if not any(entries) or name not in definitions:
            continue
        definition = definitions[name]
        unit = f" ({pretty_unit(definition['unit'])})" if definition["unit"] else ""
        rows.append([Cell(f"{_title(definition)}{unit}", _about(definition)), *(_cell(entry) for entry in entries)])
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


def _case(record: Record) -> CaseDecision:
    """Give the decision; what other versions have more, or have not yet, is passed over."""
    stored = record["case"]
    return CaseDecision(**{field.name: stored[field.name] for field in fields(CaseDecision) if field.name in stored})


def _title(definition: Mapping[str, Any]) -> str:
    """Give the name of a measure as a line begins with it."""
    label = str(definition["label"])
    return label[:1].upper() + label[1:]


def _about(definition: Mapping[str, Any]) -> str:
    """Give the definition of a measure with its source."""
    return f"{definition['definition']} {definition['source'] or ''}".strip()


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
            return f"{_number(entry['value'])} {pretty_unit(entry['unit'])}"
    return _("not available.")


def _notice(notice: Mapping[str, Any]) -> str:
    # The same words as `CovidCTLib.errors.Notice.numbers`, which the stored record does not hold.
    from CovidCTLib.errors import Notice

    numbers = Notice(
        notice["code"], notice["text"], value=notice["value"], limit=notice["limit"], unit=notice["unit"]
    ).numbers
    return f"{notice['text']} ({numbers})" if numbers else str(notice["text"])
