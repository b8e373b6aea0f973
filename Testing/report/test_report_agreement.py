"""The two readings side by side in the report."""

from __future__ import annotations

import numpy as np
from page_reader import Page
from report_maker import make_analysis, make_arrays

from CovidCTLib.analysis import Measurement
from CovidCTLib.checks.agreement import AGREEMENT_ROWS
from CovidCTLib.report import render_report
from CovidCTLib.report.agreement import COLUMNS, RULE, agreement_table


def test_the_table_has_a_row_a_region_and_agrees_with_a_direct_count() -> None:
    analysis = make_analysis()
    table = agreement_table(analysis)
    assert table is not None
    assert [row[0] for row in table.rows][:3] == ["both lungs", "right lung", "right lung, upper third"]
    assert len(table.rows) == len(AGREEMENT_ROWS)
    axial = analysis.axial
    opaque = np.isin(axial.opacities, (1, 2)) & (axial.lungs > 0)
    localized = (axial.localization >= np.float32(0.2)) & (axial.lungs > 0)
    dice = 2 * (opaque & localized).sum() / (opaque.sum() + localized.sum())
    assert table.rows[0][6] == f"{dice:.2f}"
    assert table.rows[0][-1] == "agree"
    left = table.rows[AGREEMENT_ROWS.index("left_lung")]
    assert left[6:] == ("–", "neither finds disease")


def test_the_report_shows_it_with_its_rule() -> None:
    page = Page(render_report(make_analysis()))
    captions = [element.text.strip() for element in page.elements if element.tag == "caption"]
    assert "Opacities of the U-Net beside the localization of the slice classifier" in captions
    texts = [element.text for element in page.elements if element.tag == "p"]
    assert RULE in texts
    assert len(COLUMNS) == 8


def test_a_missed_opacity_is_told() -> None:
    table = agreement_table(make_analysis(make_arrays(localization=False)))
    assert table is not None
    assert table.sentence.startswith("The two readings of the disease differ: right lung, ")


def test_an_analysis_that_did_not_compare_shows_no_table() -> None:
    analysis = make_analysis(measures=(Measurement("both_lungs", "volume_ml", 4000.0, "ml"),))
    assert agreement_table(analysis) is None
    assert "Two readings side by side" not in render_report(analysis)
