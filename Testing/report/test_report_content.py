"""Numbers and tables of the report as text."""

from __future__ import annotations

import dataclasses

import pytest
from report_maker import make_analysis

from CovidCTLib.analysis import Analysis, CaseDecision, Measurement
from CovidCTLib.errors import Notice
from CovidCTLib.measures.definitions import definitions_for, slice_definitions_for
from CovidCTLib.report.content import (
    as_sentence,
    case_number,
    format_number,
    key_numbers,
    notice_numbers,
    option_facts,
    pivots,
    slice_rows,
)
from CovidCTLib.units import pretty_unit


@pytest.fixture(scope="module")
def an_analysis() -> Analysis:
    return make_analysis()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (7.0, "7"), (1234.56, "1235"), (-823.4, "-823"), (45.678, "45.7"), (1.234, "1.23"),
        (0.0123, "0.012"), (None, "not available"), (float("nan"), "not available"), (float("inf"), "not available"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_that_count(value: float | None, text: str) -> None:
    assert format_number(value) == text


def test_units_have_raised_exponents() -> None:
    assert [pretty_unit(unit) for unit in ("cm3", "mm2", "ml", "%")] == ["cm³", "mm²", "ml", "%"]


@pytest.mark.parametrize(
    ("reason", "text"), [("no lung", "No lung."), ("Done!", "Done!"), (None, "The reason was not recorded.")]
)
def test_reasons_become_sentences(reason: str | None, text: str) -> None:
    assert as_sentence(reason) == text


def test_notices_tell_what_they_have() -> None:
    assert notice_numbers(Notice("a", "b", value=6.25, limit=5.0, unit="mm")) == "found 6.25 mm, limit 5 mm"
    assert notice_numbers(Notice("a", "b", value=3)) == "found 3"
    assert notice_numbers(Notice("a", "b")) == ""


def test_a_negative_case_is_called_not_like_covid(an_analysis: Analysis) -> None:
    case = dataclasses.replace(an_analysis.case, positive=False)
    assert case_number(dataclasses.replace(an_analysis, case=case)).text == "not like COVID-19"


def test_a_value_that_is_not_finite_is_not_available(an_analysis: Analysis) -> None:
    measures = (Measurement("both_lungs", "corona_score_cm3", float("nan"), "cm3", None),)
    score = key_numbers(dataclasses.replace(an_analysis, measures=measures))[0]
    assert (score.text, score.note, score.available) == ("not available", "The reason was not recorded.", False)


@pytest.mark.parametrize(("value", "shown"), [(None, False), (0.0, False), (87.6, True)])
def test_pleural_effusion_is_a_key_number_where_there_is_some(
    an_analysis: Analysis, value: float | None, shown: bool
) -> None:
    name = "pleural_effusion_volume_ml"
    others = tuple(entry for entry in an_analysis.measures if entry.name != name)
    measures = (*others, Measurement("both_lungs", name, value, "ml", "not looked for" if value is None else None))
    last = key_numbers(dataclasses.replace(an_analysis, measures=measures))[-1]
    assert (last.label == "Pleural effusion") is shown
    if shown:
        assert (last.text, last.unit) == ("87.6", "ml")


def test_every_measurement_stands_in_a_table(an_analysis: Analysis) -> None:
    tables = pivots(an_analysis, definitions_for(an_analysis.options))
    cells = [cell for table in tables for _, _, row in table.rows for cell in row if cell.text]
    assert len(cells) == len(an_analysis.measures)
    assert all(len(row) == len(table.columns) for table in tables for _, _, row in table.rows)


def test_regions_and_measures_that_nobody_knows_stand_in_a_table_too(an_analysis: Analysis) -> None:
    measures = (Measurement("lingula", "new_measure_ml", 3.0, "ml"),)
    (table,) = pivots(dataclasses.replace(an_analysis, measures=measures), definitions_for(an_analysis.options))
    assert table.columns == ("lingula",)
    assert table.rows[0][:2] == ("new measure ml", "ml")


def test_equal_reasons_share_a_footnote(an_analysis: Analysis) -> None:
    measures = tuple(
        Measurement(region, "volume_ml", None, "ml", reason)
        for region, reason in (("both_lungs", "a"), ("right_lung", "b"), ("left_lung", "a"))
    )
    (table,) = pivots(dataclasses.replace(an_analysis, measures=measures), definitions_for(an_analysis.options))
    assert table.footnotes == ("A.", "B.")
    assert [cell.footnote for cell in table.rows[0][2]] == [1, 2, 1]


def test_slices_run_from_the_head_to_the_feet(an_analysis: Analysis) -> None:
    columns, rows = slice_rows(an_analysis.slices, slice_definitions_for(an_analysis.options))
    assert len(rows) == 40
    assert [row[0] for row in rows] == [str(index) for index in range(39, -1, -1)]
    assert all(len(row) == len(columns) for row in rows)
    assert rows[0][columns.index(("probability", ""))] == "–"


def test_options_name_their_limits(an_analysis: Analysis) -> None:
    facts = dict(option_facts(an_analysis))
    assert facts["Slice threshold"] == "0.6 (set by the user)"
    assert facts["Case threshold"] == "0.1 (from the model card)"
    assert facts["Aeration band emphysema"] == "under -950 HU"
    assert facts["Aeration band vessels"] == "from 0 HU"
    assert facts["Aeration band inflated"] == "from -950 to under -750 HU"


@pytest.mark.parametrize(
    ("share", "limit", "text"),
    [(10 / 65, 0.15, "15.4"), (0.15, 0.15, "15"), (0.149, 0.15, "15"), (0.375, 0.2, "38"), (0.1504, 0.15, "15.04")],
)
def test_a_share_never_reads_like_the_other_side_of_its_limit(share: float, limit: float, text: str) -> None:
    assert CaseDecision(share > limit, share, 1, 10, 0.5, limit).percent_words == text
