"""The two readings of the disease held against each other, region by region."""

from __future__ import annotations

import pytest

from CovidCTLib.analysis import CaseDecision, Measurement
from CovidCTLib.checks import agreement_sentence, check_agreement, compare_readings
from CovidCTLib.checks.agreement import AGREEMENT_ROWS, DISAGREEMENT_PERCENT, MIN_DICE, REGION_PERCENT
from CovidCTLib.measures.regions import REGIONS

CASE = CaseDecision(True, 0.5, 5, 10, 0.5, 0.1)


def readings(region: str, opacity: float | None, localized: float | None, dice: float | None) -> list[Measurement]:
    """The measures of a region of 1000 ml."""

    def ml(percent: float | None) -> float | None:
        return None if percent is None else 10 * percent

    apart = None if opacity is None or localized is None else 10 * (opacity - localized)
    return [
        Measurement(region, "opacity_percent", opacity, "%"),
        Measurement(region, "localization_percent", localized, "%"),
        Measurement(region, "opacity_volume_ml", ml(opacity), "ml"),
        Measurement(region, "localization_volume_ml", ml(localized), "ml"),
        Measurement(region, "readings_difference_ml", apart, "ml"),
        Measurement(region, "readings_dice", dice, ""),
    ]


@pytest.mark.parametrize(
    ("opacity", "localized", "dice", "verdict"),
    [
        (20.0, 20.0, 0.6, "agree"),
        (20.0, 20.0, MIN_DICE, "agree"),
        (20.0, 20.0, MIN_DICE - 0.01, "different places"),
        (20.0, 0.5, 0.01, "opacities only"),
        (0.5, 20.0, 0.01, "localization only"),
        (REGION_PERCENT, 0.0, 0.0, "opacities only"),
        (REGION_PERCENT - 0.01, 0.0, 0.0, "too little to compare"),
        (2.0, 2.0, 0.5, "agree"),
        (DISAGREEMENT_PERCENT - 0.01, 0.0, 0.0, "neither finds disease"),
        (0.0, 0.0, None, "neither finds disease"),
        (None, None, None, "not measured"),
    ],
)
def test_regions_are_judged_by_their_shares_and_overlap(opacity, localized, dice, verdict) -> None:
    (row,) = compare_readings(readings("right_upper", opacity, localized, dice))
    assert row.verdict == verdict
    assert row.differs == (verdict in ("opacities only", "localization only", "different places"))


def test_rows_come_in_the_order_of_the_table_with_both_volumes() -> None:
    measures = [entry for region in reversed(AGREEMENT_ROWS) for entry in readings(region, 20.0, 5.0, 0.3)]
    rows = compare_readings(measures)
    assert tuple(row.region for row in rows) == AGREEMENT_ROWS
    assert (rows[0].opacity_ml, rows[0].localization_ml, rows[0].difference_ml) == (200.0, 50.0, 150.0)


def test_compared_regions_are_regions_that_are_measured_and_read_the_same() -> None:
    for region in AGREEMENT_ROWS:
        (row,) = compare_readings(readings(region, 1.0, 1.0, 1.0))
        assert row.region_words == REGIONS[region]


def test_thirds_that_differ_are_told_in_one_sentence() -> None:
    measures = [
        *readings("right_lung", 20.0, 0.0, 0.0),
        *readings("right_upper", 40.0, 0.2, 0.01),
        *readings("left_lower", 12.0, 30.0, 0.1),
        *readings("left_upper", 20.0, 20.0, 0.8),
    ]
    (notice,) = check_agreement(CASE, 20.0, measures)
    assert (notice.code, notice.severity) == ("readings-differ-in-thirds", "warn")
    assert (notice.value, notice.limit) == (0.01, MIN_DICE)
    assert notice.text == (
        "The two readings of the disease differ: right lung, upper third (opacities in 40 %, localization in 0 %); "
        "left lung, lower third (opacities in 12 %, localization in 30 %, in different places). Look at these parts "
        "before you trust either."
    )


def test_where_nothing_differs_the_sentence_says_so() -> None:
    measures = readings("right_upper", 20.0, 20.0, 0.8)
    assert check_agreement(CASE, 20.0, measures) == ()
    assert agreement_sentence(compare_readings(measures)).endswith("in no third of the lungs so much that it matters.")
    absent = compare_readings(readings("right_upper", None, None, None))
    assert agreement_sentence(absent).startswith("The two readings could not be compared")


def test_both_kinds_of_disagreement_are_told() -> None:
    codes = [notice.code for notice in check_agreement(CASE, 0.5, readings("right_upper", 0.0, 30.0, 0.0))]
    assert codes == ["readings-disagree", "readings-differ-in-thirds"]


def test_analyses_without_these_measures_are_not_compared() -> None:
    assert compare_readings([Measurement("right_upper", "opacity_percent", 20.0, "%")]) == ()
