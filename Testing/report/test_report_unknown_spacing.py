"""The report and the tables of a scan whose spacing is not known."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import pytest
from report_maker import make_analysis, make_arrays

from CovidCTLib.measures.definitions import SPACING_REASON
from CovidCTLib.report.canvas import paint
from CovidCTLib.report.html import render_report
from CovidCTLib.report.planes import cut, lung_box
from CovidCTLib.results import analysis_record
from CovidCTLib.results.tables import write_slices


@pytest.fixture(scope="module")
def analysis():
    """An analysis of pictures without a spacing."""
    made = make_analysis(replace(make_arrays(), spacing_known=False))
    return replace(made, scan=replace(made.scan, facts=replace(made.scan.facts, spacing_known=False)))


def test_the_report_gives_no_size(analysis):
    page = render_report(analysis)
    text = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    text = re.sub(r'src="data:[^"]*"', "", text)
    assert SPACING_REASON.capitalize() in text
    # The explanations speak of mm and ml; no number of this scan does.
    assert not re.search(r"[0-9] ?cm[²³]", text)
    assert not re.search(r"(?<!a )\bS -?[0-9.]+ mm", text)
    assert "Spacing" in text
    assert "not known" in text
    assert "% of the lungs&#39; area" in text or "% of the lungs' area" in text


def test_pictures_have_no_scale_bar(analysis):
    plane = cut(analysis.axial, "axial", 20, lung_box(analysis.axial))
    with_bar = paint(replace(plane, spacing_known=True), "none", 300, 300)
    assert paint(plane, "none", 300, 300).tobytes() != with_bar.tobytes()


def test_the_table_and_the_record_leave_sizes_of_slices_empty(analysis, tmp_path):
    write_slices(tmp_path / "slices.csv", analysis)
    with (tmp_path / "slices.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["lung_area_mm2"] for row in rows} == {row["position_mm"] for row in rows} == {""}
    assert any(row["opacity_percent"] for row in rows)
    record = analysis_record(analysis)
    assert {entry["lung_area_mm2"] for entry in record["slices"]} == {None}
    assert record["scan"]["spacing_known"] is False
