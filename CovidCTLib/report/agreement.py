"""The two readings of the disease side by side, as the report shows them."""

from __future__ import annotations

from dataclasses import dataclass

from CovidCTLib.analysis import Analysis
from CovidCTLib.checks.agreement import (
    DISAGREEMENT_PERCENT,
    MIN_DICE,
    REGION_PERCENT,
    RegionAgreement,
    agreement_sentence,
    compare_readings,
)
from CovidCTLib.report.content import NOT_AVAILABLE, format_number

COLUMNS = (
    ("region", ""),
    ("opacities", "ml"),
    ("localization", "ml"),
    ("difference", "ml"),
    ("opacities", "%"),
    ("localization", "%"),
    ("overlap (Dice)", ""),
    ("readings", ""),
)

RULE = (
    f"A region differs where one reading finds disease in at least {REGION_PERCENT:g} % of it and the overlap is under "
    f"{MIN_DICE:g}; under {DISAGREEMENT_PERCENT:g} % counts as nothing found, and under {REGION_PERCENT:g} % "
    "without overlap is too little to compare."
)
"""How the last column is made."""


@dataclass(frozen=True)
class AgreementTable:
    """The table of the two readings: a sentence, the columns, rows of text, and how it is made."""

    sentence: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    rule: str


def agreement_table(analysis: Analysis) -> AgreementTable | None:
    """Put the two readings of each lung and third side by side; None where the analysis did not compare them."""
    rows = compare_readings(analysis.measures)
    if not rows:
        return None
    return AgreementTable(agreement_sentence(rows), COLUMNS, tuple(_row(row) for row in rows), RULE)


def _row(row: RegionAgreement) -> tuple[str, ...]:
    """One region as text."""
    numbers = (
        row.opacity_ml,
        row.localization_ml,
        row.difference_ml,
        row.opacity_percent,
        row.localization_percent,
        row.dice,
    )
    texts = (format_number(number) for number in numbers)
    return (row.region_words, *("–" if text == NOT_AVAILABLE else text for text in texts), row.verdict)
