"""The page of a follow-up: one HTML file in the report's look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.followup.charts import NARROW_PX, WIDE_PX, follow_up_chart
from CovidCTLib.followup.pictures import CHANGE_COLOURS, SliceRow, side_by_side
from CovidCTLib.followup.registration import LEAST_DICE
from CovidCTLib.followup.result import CHANGES, MEASURES, REGIONS_TOLD, Comparison, FollowUp, TableRow
from CovidCTLib.hu import READING_WINDOW
from CovidCTLib.labels import CONSOLIDATION, GGO, LUNG_LABELS
from CovidCTLib.measures.definitions import DEFINITIONS
from CovidCTLib.measures.regions import REGIONS
from CovidCTLib.report.content import as_sentence, format_number, model_words, network_rows
from CovidCTLib.report.page import render_page

TITLE = "Chest CT follow-up"

SHOWN = tuple(name for name in MEASURES if name != "high_opacity_percent")
"""Measures in the page's tables, which must fit on paper; the file followup.csv has all."""

STUDIES_KEPT = 8
"""Up to so many studies chart and tables fit on one page of paper together."""

NOTHING = "–"
"""Shown for what is undefined; the file followup.csv says why."""


@dataclass(frozen=True)
class Section:
    """What the page shows of one later study."""

    title: str
    facts: tuple[tuple[str, str], ...]
    volumes: tuple[tuple[str, ...], ...]
    slices: tuple[SliceRow, ...]
    reason: str


def render_follow_up(result: FollowUp, *, title: str = TITLE) -> str:
    """Write a follow-up as HTML.

    Parameters
    ----------
    result
        The follow-up.
    title
        Heading; the caller answers for what it says of the patient.

    Returns
    -------
    str
        One HTML document with all pictures inside; it names no address and runs no script.
    """
    models = tuple(dict.fromkeys(model for study in result.studies for model in study.analysis.models))
    return render_page(
        "followup.html.j2",
        folder=Path(__file__).parent / "templates",
        title=title,
        models=model_words(models),
        notices=result.notices,
        points=result.points,
        studies_kept=STUDIES_KEPT,
        sentences=[(point, result.sentences[point.number]) for point in result.points[1:]],
        charts=[(css, follow_up_chart(result, width)) for css, width in (("wide", WIDE_PX), ("narrow", NARROW_PX))],
        tables=[_table(result, region) for region in REGIONS_TOLD],
        sections=[_section(result, comparison) for comparison in result.comparisons],
        change_labels=[(f"{change} opacity", CHANGE_COLOURS[change]) for change in CHANGES.values()],
        opacity_labels=(GGO, CONSOLIDATION),
        lung_labels=LUNG_LABELS,
        window=READING_WINDOW,
        least_dice=LEAST_DICE,
        definitions=[DEFINITIONS[name] for name in SHOWN],
        networks=network_rows(models),
    )


def _table(result: FollowUp, region: str) -> tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, ...], ...]]:
    """Caption, columns and rows of one region: a line a study, the change from the first study behind each value."""
    columns = (
        ("study", ""),
        ("date", ""),
        ("day", ""),
        *((DEFINITIONS[n].label, DEFINITIONS[n].unit) for n in SHOWN),
    )
    by_study = {(row.study, row.measure): row for row in result.rows if row.region == region}
    rows = tuple(
        (
            str(point.number),
            point.date.isoformat(),
            str(point.days),
            *(_cell(by_study[point.number, name], point is result.points[0]) for name in SHOWN),
        )
        for point in result.points
    )
    return REGIONS[region].capitalize(), columns, rows


def _cell(row: TableRow, is_first: bool) -> str:
    """A value, and in brackets its change in percent."""
    if row.value is None:
        return NOTHING
    value = format_number(row.value)
    if is_first or row.change_percent is None:
        return value
    sign = "+" if row.change_percent > 0 else ("−" if row.change_percent < 0 else "±")
    return f"{value} ({sign}{format_number(round(abs(row.change_percent), 1))} %)"


def _section(result: FollowUp, comparison: Comparison) -> Section:
    title = f"Study {comparison.study}, day {comparison.days}, beside the first study"
    registration, facts = comparison.registration, []
    if registration is not None:
        facts = [
            ("Overlap of the lungs (Dice), centres laid upon each other", f"{registration.dice_before:.3f}"),
            ("Overlap of the lungs (Dice), after registration", f"{registration.dice:.3f}"),
            ("Lungs turned inside out by the map", f"{registration.folded_percent:.2g} %"),
            ("Registered by", "HU and shape" if registration.by_hu else "shape alone"),
        ]
    difference = comparison.difference
    volumes = (
        ()
        if difference is None
        else tuple(
            (REGIONS[region], *(format_number(difference.volumes_ml[region][change]) for change in CHANGES.values()))
            for region in REGIONS_TOLD
        )
    )
    reason = as_sentence(comparison.reason) if difference is None else ""
    return Section(title, tuple(facts), volumes, side_by_side(result.studies[0].analysis.axial, comparison), reason)
