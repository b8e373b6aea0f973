"""The tables, as a spreadsheet reads them."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from analysis_maker import make_analysis, with_measures

from CovidCTLib.analysis import Measurement
from CovidCTLib.results.record import NOT_FINITE
from CovidCTLib.results.tables import MEASURE_COLUMNS, SLICE_COLUMNS, write_measures, write_slices


@pytest.fixture
def analysis():
    return make_analysis()


def rows_of(path):
    """The lines of a table as dictionaries."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_measures_have_one_line_each_with_definition_and_source(analysis, tmp_path):
    write_measures(tmp_path / "measures.csv", analysis)
    rows = rows_of(tmp_path / "measures.csv")
    assert tuple(rows[0]) == MEASURE_COLUMNS
    assert [row["measure"] for row in rows] == [entry.name for entry in analysis.measures]
    assert all(row["definition"] and row["source"] and row["label"] for row in rows)
    assert float(rows[0]["value"]) == pytest.approx(2.304)
    assert rows[0]["unit"] == "ml"


def test_an_undefined_measure_is_an_empty_cell_with_its_reason(analysis, tmp_path):
    write_measures(tmp_path / "measures.csv", analysis)
    row = rows_of(tmp_path / "measures.csv")[-1]
    assert (row["region"], row["value"], row["reason"]) == ("left_upper", "", "The region holds no lung.")


def test_a_measure_that_is_no_number_is_an_empty_cell_with_a_reason(analysis, tmp_path):
    broken = with_measures(analysis, Measurement("both_lungs", "hu_mean", np.float64("nan"), "HU"))
    write_measures(tmp_path / "measures.csv", broken)
    row = rows_of(tmp_path / "measures.csv")[0]
    assert (row["value"], row["reason"]) == ("", NOT_FINITE)


def test_a_measure_without_a_definition_still_has_its_line(analysis, tmp_path):
    write_measures(tmp_path / "measures.csv", with_measures(analysis, Measurement("both_lungs", "new", 1.0, "mm")))
    row = rows_of(tmp_path / "measures.csv")[0]
    assert (row["measure"], row["value"], row["definition"]) == ("new", "1", "")


def test_slices_have_one_line_each_from_the_feet_to_the_head(analysis, tmp_path):
    write_slices(tmp_path / "slices.csv", analysis)
    rows = rows_of(tmp_path / "slices.csv")
    assert tuple(rows[0]) == SLICE_COLUMNS
    assert [int(row["index"]) for row in rows] == list(range(12))
    assert [float(row["position_mm"]) for row in rows] == [-300 + 2.5 * index for index in range(12)]
    assert [row["positive"] for row in rows].count("true") == 3
    assert rows[0]["probability"] == ""
    assert float(rows[3]["probability"]) == pytest.approx(0.9)


def test_text_with_commas_quotes_and_letters_of_all_kinds_survives(analysis, tmp_path):
    reason = 'Größe, "unklar"; 肺\nsecond line'
    write_measures(
        tmp_path / "measures.csv", with_measures(analysis, Measurement("both_lungs", "hu_mean", None, "HU", reason))
    )
    assert rows_of(tmp_path / "measures.csv")[0]["reason"] == reason


def test_numbers_carry_no_tails(analysis, tmp_path):
    write_measures(
        tmp_path / "measures.csv", with_measures(analysis, Measurement("both_lungs", "hu_mean", 0.1 + 0.2, "HU"))
    )
    assert rows_of(tmp_path / "measures.csv")[0]["value"] == "0.3"


def test_an_analysis_without_slices_gives_the_header_alone(analysis, tmp_path):
    write_slices(tmp_path / "slices.csv", replace(analysis, slices=()))
    assert (tmp_path / "slices.csv").read_text() == ",".join(SLICE_COLUMNS) + "\n"
