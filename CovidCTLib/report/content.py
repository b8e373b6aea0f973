"""What the report says beside its pictures: key numbers, tables, facts; as text that a template lays out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from CovidCTLib.analysis import Analysis, Measurement, ModelUsed, SliceMeasures
from CovidCTLib.errors import Notice
from CovidCTLib.hu import AerationBand
from CovidCTLib.measures.definitions import MeasureDefinition
from CovidCTLib.measures.regions import AREA_PREFIX, LOBES, REGIONS, ZONES, region_words
from CovidCTLib.units import pretty_unit

NOT_AVAILABLE = "not available"

_SEVERITY_ORDER = {"refuse": 0, "warn": 1, "note": 2}
SEVERITY_WORDS = {"refuse": "Serious", "warn": "Warning", "note": "Note"}
"""What readers see for the severities of notices."""


@dataclass(frozen=True)
class KeyNumber:
    """One of the numbers at the top; ``text`` is `NOT_AVAILABLE` where it is undefined, and ``note`` says why."""

    label: str
    text: str
    unit: str
    note: str
    available: bool


@dataclass(frozen=True)
class Cell:
    """A cell of the pivot: a number, `NOT_AVAILABLE` with the number of its footnote, or nothing."""

    text: str
    footnote: int | None = None


@dataclass(frozen=True)
class Pivot:
    """Measures down, regions across; ``footnotes`` hold the reasons of absent values, counted from 1."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    footnotes: tuple[str, ...]


def format_number(value: float | None) -> str:
    """Write a number with about three digits that count; None, NaN and infinity are `NOT_AVAILABLE`."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.1:
        return f"{value:.2f}"
    return f"{value:.2g}"


def sorted_notices(notices: tuple[Notice, ...]) -> tuple[Notice, ...]:
    """Sort by severity, worst first; the order among equals stays."""
    return tuple(sorted(notices, key=lambda notice: _SEVERITY_ORDER[notice.severity]))


def as_sentence(text: str | None) -> str:
    """Begin a reason with a capital letter and end it with a full stop; say so where none was given."""
    stripped = (text or "").strip()
    if not stripped:
        return "The reason was not recorded."
    return stripped[0].upper() + stripped[1:] + ("" if stripped[-1] in ".!?" else ".")


def notice_numbers(notice: Notice) -> str:
    """Say the value and the limit of a notice; empty where it has none."""
    return notice.numbers


def case_number(analysis: Analysis) -> KeyNumber:
    """Put the case decision into words."""
    case = analysis.case
    label = "Case decision (slice classifier)"
    if case.positive is None or case.positive_fraction is None:
        return KeyNumber(label, NOT_AVAILABLE, "", as_sentence(case.reason), False)
    return KeyNumber(label, case.verdict, "", case.words, True)


def key_numbers(analysis: Analysis) -> tuple[KeyNumber, ...]:
    """Collect the numbers that a reader looks for first, after the case decision."""
    measures = {(entry.region, entry.name): entry for entry in analysis.measures}
    limit = f"{analysis.options.high_opacity_hu:g} HU"
    asked: tuple[tuple[str, str, str], ...] = (
        ("corona_score_cm3", "Corona Score", "from the localization of the slice classifier"),
        ("opacity_volume_ml", "Opacity volume (U-Net)", "ground-glass opacity and consolidation in both lungs"),
        ("opacity_percent", "Percentage of opacity", "of the volume of both lungs"),
        ("high_opacity_percent", "Percentage of high opacity", f"opacity at or above {limit}, of both lungs"),
        ("severity_0_24", "Severity, six zones", "sum of 0 to 4 points a zone; 24 is the most"),
    )
    if analysis.provenance.opacities in ("given", "corrected"):
        asked = (asked[0], ("opacity_volume_ml", "Opacity volume", asked[1][2]), *asked[2:])
    if ("both_lungs", "lobar_severity_0_25") in measures:
        asked = (*asked, ("lobar_severity_0_25", "Severity, five lobes", "sum of 0 to 5 points a lobe; 25 is the most"))
    fluid = measures.get(("both_lungs", "pleural_effusion_volume_ml"))
    if fluid is not None and fluid.value:
        asked = (*asked, (fluid.name, "Pleural effusion", "fluid beside both lungs; it counts in no other number"))
    return tuple(_key_number(measures.get(("both_lungs", name)), label, note) for name, label, note in asked)


def _key_number(entry: Measurement | None, label: str, note: str) -> KeyNumber:
    if entry is None:
        return KeyNumber(label, NOT_AVAILABLE, "", "This analysis did not measure it.", False)
    text = format_number(entry.value)
    if text == NOT_AVAILABLE:
        return KeyNumber(label, text, "", as_sentence(entry.reason), False)
    return KeyNumber(label, text, pretty_unit(entry.unit), note, True)


def pivots(analysis: Analysis, definitions: Mapping[str, MeasureDefinition]) -> tuple[Pivot, ...]:
    """Arrange all measures as tables: lungs and their common thirds, then the six zones, then any other region."""
    measured = list(dict.fromkeys(entry.region for entry in analysis.measures))
    defined = [region for region in REGIONS if region in measured]
    zones = [region for region in defined if region in ZONES]
    lungs = [region for region in defined if region not in zones]
    lobes = [region for region in LOBES if region in measured]
    areas = [region for region in measured if region.startswith(AREA_PREFIX)]
    others = [region for region in measured if region not in (*REGIONS, *LOBES, *areas)]
    groups = (
        ("Lungs, and thirds of both lungs together", lungs),
        ("Six zones: thirds of each lung", zones),
        ("Lobes", lobes),
        ("Regions of interest", areas),
        ("Other regions", others),
    )
    return tuple(_pivot(title, regions, analysis, definitions) for title, regions in groups if regions)


def _pivot(title: str, regions: list[str], analysis: Analysis, definitions: Mapping[str, MeasureDefinition]) -> Pivot:
    entries = {(entry.region, entry.name): entry for entry in analysis.measures if entry.region in regions}
    measured = dict.fromkeys(name for _, name in entries)
    names = [name for name in definitions if name in measured] + [name for name in measured if name not in definitions]
    reasons: list[str] = []
    rows = []
    for name in names:
        units = [entries[region, name].unit for region in regions if (region, name) in entries]
        label = definitions[name].label if name in definitions else name.replace("_", " ")
        cells = tuple(_cell(entries.get((region, name)), reasons) for region in regions)
        rows.append((label, pretty_unit(units[0]), cells))
    columns = tuple(_column_words(region) for region in regions)
    return Pivot(title, columns, tuple(rows), tuple(reasons))


def _column_words(region: str) -> str:
    return region_words(region).removeprefix("both lungs, ")


def _cell(entry: Measurement | None, reasons: list[str]) -> Cell:
    """Text of a cell; the reason of an absent value joins ``reasons``."""
    if entry is None:
        return Cell("")
    text = format_number(entry.value)
    if text != NOT_AVAILABLE:
        return Cell(text)
    reason = as_sentence(entry.reason)
    if reason not in reasons:
        reasons.append(reason)
    return Cell(text, reasons.index(reason) + 1)


def slice_rows(
    slices: tuple[SliceMeasures, ...],
    definitions: Mapping[str, MeasureDefinition],
    absent: frozenset[str] = frozenset(),
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, ...], ...]]:
    """Arrange the slices as a table without absent columns: columns (label, unit) and rows of text, head to feet."""
    names = [part.name for part in fields(SliceMeasures) if part.name not in absent]
    columns = tuple(
        (definitions[name].label, pretty_unit(definitions[name].unit)) if name in definitions else (name, "")
        for name in names
    )
    rows = tuple(tuple(_slice_cell(name, getattr(entry, name)) for name in names) for entry in reversed(slices))
    return columns, rows


def _slice_cell(name: str, value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if name == "probability":
            return f"{value:.3f}"
        return f"{value:.1f}" if name == "position_mm" else format_number(value)
    return str(value)


IDENTIFIED = "This report names the patient, because that was asked for (--with-identifiers). Do not pass it on."


def identifier_facts(analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """List who was scanned; empty unless the user asked for it."""
    identifiers = analysis.scan.identifiers
    if identifiers is None:
        return ()
    rows = (
        ("Patient", identifiers.patient_name),
        ("Patient number", identifiers.patient_id),
        ("Birth date", identifiers.birth_date),
        ("Study", identifiers.study_description),
        ("Study date", identifiers.study_date),
    )
    return tuple((label, "not stated" if value is None else value) for label, value in rows)


def study_facts(analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """List the facts of the acquisition and the grid; none of them identifies anybody."""
    facts, grid = analysis.scan.facts, analysis.scan.geometry
    shape = " × ".join(str(size) for size in grid.shape_zyx[::-1])
    spacing = " × ".join(f"{step:.3g}" for step in grid.spacing_xyz_mm)
    rows = [
        ("Source format", facts.source_format),
        ("Study date", facts.study_date),
        ("Slices", facts.slice_count),
        ("Voxels (x × y × z)", shape),
        ("Spacing (x × y × z)", f"{spacing} mm" if facts.spacing_known else "not known"),
        ("Slice thickness", None if facts.slice_thickness_mm is None else f"{facts.slice_thickness_mm:g} mm"),
        ("Kernel", facts.kernel),
        ("Tube voltage", None if facts.tube_voltage_kv is None else f"{facts.tube_voltage_kv:g} kV"),
        ("Manufacturer", facts.manufacturer),
    ]
    # The study date is given on request only, so its absence is nothing to tell.
    return tuple(
        (label, "not stated" if value is None else str(value))
        for label, value in rows
        if not (label == "Study date" and value is None)
    )


def model_words(models: tuple[ModelUsed, ...]) -> tuple[str, ...]:
    """Name and version of each network that took part."""
    return tuple(f"{model.name} {model.version}" for model in models)


def network_rows(models: tuple[ModelUsed, ...]) -> tuple[tuple[str, str], ...]:
    """List the networks that took part, a user's own as such, with the SHA-256 of their weights."""
    remarks = [f" (the user's own model for the {model.role})" if model.own else "" for model in models]
    words = zip(model_words(models), remarks, models, strict=True)
    return tuple((name + remark, model.sha256) for name, remark, model in words)


_ORIGINS = {
    "network": "network (U-Net)",
    "contour": "contours, without a network",
    "given": "a segmentation that was given",
    "corrected": "hand: CovidCT's own were corrected",
    "none": "nobody; there are none",
}
"""Where labels come from, for people."""


def option_facts(analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """List the options, with the values that the classifier's own thresholds turned out to be."""
    options, case = analysis.options, analysis.case

    def threshold(asked: float | None, used: float) -> str:
        return f"{used:g}" + (" (from the model card)" if asked is None else " (set by the user)")

    rows = [
        ("Lungs by", _ORIGINS[analysis.provenance.lungs]),
        ("Opacities by", _ORIGINS[analysis.provenance.opacities]),
        ("Device", options.device),
        ("Threads", "all available" if options.threads is None else str(options.threads)),
        ("Slice threshold", threshold(options.slice_threshold, case.slice_threshold)),
        ("Case threshold", threshold(options.case_threshold, case.case_threshold)),
        ("Localization threshold", f"{options.localization_threshold:g}"),
        ("Localization smoothing", f"{options.localization_sigma_mm:g} mm"),
        ("High opacity from", f"{options.high_opacity_hu:g} HU"),
        ("Vessels from", f"{options.vessel_hu:g} HU"),
    ]
    rows += [(f"Aeration band {band.name}", _band_in_words(band)) for band in options.aeration_bands]
    return tuple(rows)


def _band_in_words(band: AerationBand) -> str:
    if math.isinf(band.low_hu):
        return f"under {band.high_hu:g} HU"
    if math.isinf(band.high_hu):
        return f"from {band.low_hu:g} HU"
    return f"from {band.low_hu:g} to under {band.high_hu:g} HU"
