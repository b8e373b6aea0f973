"""The page of an evaluation: one HTML file in the report's look, everything inside it, nothing fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.evaluation.definitions import INTERVALS, label_of, quantity_of
from CovidCTLib.evaluation.evaluate import Evaluation
from CovidCTLib.evaluation.examples import FOUND_COLOUR, TRUTH_COLOUR, draw_example
from CovidCTLib.evaluation.figures import Figure, Row, TaskName, Value, value_columns
from CovidCTLib.evaluation.plots import draw_curves
from CovidCTLib.evaluation.published import NOT_THE_SAME_CASES, compare
from CovidCTLib.evaluation.statistics import BOOTSTRAP, CONFIDENCE_PERCENT, EXACT
from CovidCTLib.report import page

TITLES: dict[TaskName, str] = {
    "lungs": "How well the lungs are found",
    "effusion": "How well pleural effusion is found",
    "opacities": "How well opacities are found",
    "slices": "How well slices like COVID-19 are told from others",
    "cases": "How well cases of COVID-19 are told from others",
}
"""Heading of each task's page."""

INTERVAL_HEADING = f"{CONFIDENCE_PERCENT:g} % interval, {BOOTSTRAP} unless {EXACT}"
"""Heading of the column of intervals, which names only the rarer kind beside the numbers."""

ROWS_ON_PAGE = 150
"""Rows of the table on the page, worst first in each group; the table in the file ``cases.csv`` has all."""


@dataclass(frozen=True)
class FigureRow:
    """A line of the table of figures."""

    group: str
    label: str
    value: str
    interval: str
    of: str


def format_value(value: Value, unit: str = "") -> str:
    """Write a value for people; shares and scores get three digits after the point."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (str, int)):
        return str(value)
    if not unit:
        return f"{value:.3f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


def figure_row(figure: Figure) -> FigureRow:
    """Write a figure for people, with its interval, or the reason why there is none."""
    estimate, quantity = figure.estimate, quantity_of(figure.name)
    value = format_value(estimate.value, quantity.unit)
    if estimate.value is not None and quantity.unit:
        value += f" {quantity.unit}"
    if estimate.low is None or estimate.high is None:
        interval = estimate.reason or ""
    else:
        interval = f"{format_value(estimate.low, quantity.unit)} to {format_value(estimate.high, quantity.unit)}"
        interval += f", {EXACT}" if estimate.method == EXACT else ""
    remark = f" ({figure.remark})" if figure.remark else ""
    of = figure.of + remark if estimate.value is not None else "–"
    return FigureRow(figure.group, label_of(figure.name), value, interval, of)


def render_page(evaluation: Evaluation) -> str:
    """Write an evaluation as HTML.

    Returns
    -------
    str
        One HTML document with all pictures inside; it names no address and runs no script.
    """
    columns = value_columns(evaluation.rows)
    shown = _shown_rows(evaluation)
    names = list(dict.fromkeys([*(f.name for f in evaluation.figures), *columns]))
    cards = [judge.card for judge in evaluation.judges]
    return page.render_page(
        "evaluation.html.j2",
        title=TITLES[evaluation.task],
        folder=Path(__file__).parent / "templates",
        models=[f"{card.name} {card.version}" for card in cards],
        notices=evaluation.notices,
        figures=[figure_row(figure) for figure in evaluation.figures],
        interval_heading=INTERVAL_HEADING,
        intervals=INTERVALS,
        comparisons=[
            (entry.published, [figure_row(figure) for figure in entry.measured])
            for entry in compare(evaluation.task, evaluation.figures)
        ],
        about_published=NOT_THE_SAME_CASES,
        curves=draw_curves(evaluation.curves, evaluation.task),
        worst=[(group, [draw_example(e) for e in examples]) for group, examples in evaluation.worst.items()],
        masks=evaluation.task in ("lungs", "opacities"),
        truth_colour=TRUTH_COLOUR,
        found_colour=FOUND_COLOUR,
        columns=[(quantity_of(name).label, quantity_of(name).unit) for name in columns],
        rows=[(row, [format_value(row.values.get(name), quantity_of(name).unit) for name in columns]) for row in shown],
        rows_in_all=len(evaluation.rows),
        networks=[
            (f"{judge.label}: {judge.card.name} {judge.card.version}", judge.card.sha256) for judge in evaluation.judges
        ],
        definitions=[quantity_of(name) for name in names],
        seconds=evaluation.seconds,
    )


def _shown_rows(evaluation: Evaluation) -> list[Row]:
    """All rows; of a long table, those of volumes and the worst of the others."""
    if len(evaluation.rows) <= ROWS_ON_PAGE:
        return list(evaluation.rows)
    whole = [row for row in evaluation.rows if not row.image]
    dice = next((name for name in value_columns(evaluation.rows) if name.endswith("_dice")), "")

    def worst_first(row: Row) -> float:
        value = row.values.get(dice)
        return value if isinstance(value, float) else 2.0

    slices = sorted((row for row in evaluation.rows if row.image), key=worst_first)
    return [*whole, *slices[: max(0, ROWS_ON_PAGE - len(whole))]]
