"""The report as one HTML file: complete, self-contained, escaped, accessible, and written whole or not at all."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from page_reader import Element, Page
from report_maker import NOTICES, make_analysis, make_arrays

from CovidCTLib.analysis import Analysis, AxialArrays, CaseDecision, Measurement
from CovidCTLib.errors import InputError, Notice, OutputError
from CovidCTLib.measures.definitions import definitions_for, slice_definitions_for
from CovidCTLib.report import render_report, write_report
from CovidCTLib.report.content import format_number
from CovidCTLib.report.page import RESEARCH_USE


@pytest.fixture(scope="module")
def an_analysis() -> Analysis:
    return make_analysis()


@pytest.fixture(scope="module")
def a_report(an_analysis: Analysis) -> str:
    return render_report(an_analysis)


@pytest.fixture(scope="module")
def a_page(a_report: str) -> Page:
    return Page(a_report)


def charts_of(page: Page) -> list[Element]:
    return [picture for picture in page.all("img") if picture.attributes["alt"].startswith("Chart of ")]


def test_it_is_one_document_whose_tags_are_balanced(a_report: str, a_page: Page) -> None:
    assert a_report.lstrip().startswith("<!DOCTYPE html>")
    assert a_page.all("html")[0].attributes["lang"] == "en"
    assert len(a_page.all("h1")) == 1


def test_it_is_small(a_report: str) -> None:
    assert 50_000 < len(a_report.encode()) < 4_000_000


def test_nothing_is_fetched_and_no_script_runs(a_report: str, a_page: Page) -> None:
    for element in a_page.elements:
        assert element.tag not in {"script", "link", "iframe", "object", "base"}
        assert not [name for name in element.attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "xlink:href", "poster", "action"):
            assert element.attributes.get(name, "data:").startswith("data:")
    assert "url(" not in a_report
    assert "@import" not in a_report
    policy = next(e for e in a_page.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'")


def test_the_sections_come_in_the_order_that_readers_need(a_page: Page) -> None:
    headings = [element.text for element in a_page.all("h2")]
    assert headings == [
        "Warnings", "Key numbers", "Pictures", "Slice by slice", "Two readings side by side", "Measures",
        "How it was made",
    ]  # fmt: skip


def test_headings_leave_out_no_level(a_page: Page) -> None:
    levels = [int(element.tag[1]) for element in a_page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_research_use_is_said_once(a_page: Page) -> None:
    assert a_page.text.count("not a medical device") == 1
    assert RESEARCH_USE in a_page.text


def test_every_picture_has_its_size_and_words_with_numbers(a_page: Page) -> None:
    pictures = a_page.all("img")
    assert len(pictures) > 9 + 4
    for picture in pictures:
        assert len(picture.attributes["alt"]) > 30
        assert int(picture.attributes["width"]) > 0
        assert int(picture.attributes["height"]) > 0
    assert sum("cm²" in picture.attributes["alt"] for picture in pictures) > 6
    charts = charts_of(a_page)
    assert [chart.attributes["class"] for chart in charts] == ["wide", "narrow"]
    for picture in pictures:
        kind = "svg+xml" if picture in charts else "jpeg"
        assert picture.attributes["src"].startswith(f"data:image/{kind};base64,")
    assert all(re.search(r"Chart of 40 slices .*0\.90", chart.attributes["alt"]) for chart in charts)


def test_tables_have_captions_and_headers_with_a_scope(a_page: Page) -> None:
    assert len(a_page.all("table")) == len(a_page.all("caption")) > 4
    assert all(header.attributes.get("scope") in {"row", "col"} for header in a_page.all("th"))


def test_notices_stand_worst_first_with_value_and_limit(a_page: Page) -> None:
    found = [e.attributes["class"].split()[1] for e in a_page.all("li") if "notice" in e.attributes.get("class", "")]
    assert found == ["refuse", "warn", "note"]
    for notice in NOTICES:
        assert notice.text in a_page.text
    assert "found 6 mm, limit 5 mm" in a_page.text


def test_a_report_without_notices_says_so() -> None:
    assert "found nothing to warn of" in render_report(make_analysis(notices=()))


def test_every_definition_stands_with_its_source(an_analysis: Analysis, a_page: Page) -> None:
    entries = [*definitions_for(an_analysis.options).values(), *slice_definitions_for(an_analysis.options).values()]
    assert len(entries) > 20
    for entry in entries:
        assert " ".join(entry.definition.split()) in a_page.text
        assert f"Source: {entry.source}" in a_page.text


def test_key_numbers_are_those_of_the_analysis(an_analysis: Analysis, a_page: Page) -> None:
    shown = {e.text.split()[0] for e in a_page.all("dd") if e.attributes.get("class") == "value"}
    volume = an_analysis.measure("both_lungs", "opacity_volume_ml").value
    severity = an_analysis.measure("both_lungs", "severity_0_24").value
    assert volume is not None
    assert severity is not None
    assert {"like", format_number(volume), format_number(severity)} <= shown
    case = an_analysis.case
    assert f"{case.positive_slices} of {case.lung_slices} lung slices" in a_page.text
    assert "at a probability of at least 0.60" in a_page.text
    assert "are called like COVID-19" in a_page.text
    assert "above 10 %" in a_page.text


def test_models_versions_options_and_seconds_are_told(a_page: Page) -> None:
    for text in ("lungs-unet 1.2", "ab" * 32, "covidct", "3.25 s", "0.6 (set by the user)", "B70f", "2 × 2 × 4 mm"):
        assert text in a_page.text
    assert "Study date" not in a_page.text


def test_the_study_date_stands_where_it_was_asked_for(an_analysis: Analysis) -> None:
    facts = dataclasses.replace(an_analysis.scan.facts, study_date="2020-03-16")
    scan = dataclasses.replace(an_analysis.scan, facts=facts)
    assert "2020-03-16" in Page(render_report(dataclasses.replace(an_analysis, scan=scan))).text


def test_hostile_text_is_escaped(an_analysis: Analysis) -> None:
    evil = '<script>alert("1")</script>'
    scan = dataclasses.replace(
        an_analysis.scan, facts=dataclasses.replace(an_analysis.scan.facts, kernel=evil, manufacturer=evil)
    )
    notices = (Notice("x", evil, "warn", 1.0, 2.0, evil),)
    case = dataclasses.replace(an_analysis.case, positive=None, positive_fraction=None, reason=evil)
    measures = (Measurement(evil, evil, None, evil, evil),)
    changed = dataclasses.replace(
        an_analysis,
        scan=scan,
        notices=notices,
        case=case,
        measures=measures,
        versions={evil: evil},
        seconds={evil: 1.0},
    )
    page = Page(render_report(changed, title=evil))
    assert not page.all("script")
    assert page.all("h1")[0].text == evil
    assert page.text.count(evil) >= 9


def test_absent_values_are_not_available_with_their_reason(an_analysis: Analysis) -> None:
    measures = tuple(
        dataclasses.replace(entry, value=None, reason="no lung was found") for entry in an_analysis.measures
    )
    case = CaseDecision(None, None, 0, 0, 0.5, 0.1, "no slice shows lung")
    page = Page(render_report(dataclasses.replace(an_analysis, measures=measures, case=case)))
    values = [e.text for e in page.all("dd") if e.attributes.get("class") == "value"]
    assert values == ["not available"] * 6
    assert "No slice shows lung." in page.text
    assert page.text.count("No lung was found.") >= 5 + 2


def test_missing_measures_are_said_to_be_missing(an_analysis: Analysis) -> None:
    page = Page(
        render_report(dataclasses.replace(an_analysis, measures=(), slices=(), models=(), seconds={}, versions={}))
    )
    assert "This analysis did not measure it." in page.text
    assert "This analysis holds no measures." in page.text
    assert "This analysis did not measure the slices." in page.text
    assert "No network took part." in page.text
    assert not charts_of(page)


CORONAL_LIKE = {"shape": (60, 20, 60), "spacing_xyz_mm": (4.0, 12.0, 4.0)}


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"opacity": False}, "the slice with the largest localization, since no opacity was found"),
        ({"opacity": False, "localization": False}, "none is called like COVID-19"),
        ({"lungs": (), "opacity": False, "localization": False}, "neither lungs nor opacities were found"),
        ({"lungs": (1,)}, "the slice with the largest area of opacity"),
        ({"lungs": (2,), "localization": False}, "none is called like COVID-19"),
        ({"shape": (4, 48, 48), "spacing_xyz_mm": (6.0, 6.0, 60.0)}, "the slice with the largest area of opacity"),
        (CORONAL_LIKE, "the slice with the largest area of opacity"),
        ({"shape": (2, 16, 16), "spacing_xyz_mm": (0.5, 0.5, 0.5)}, "Three planes"),
    ],
    ids=["no opacity", "nothing found", "no lungs", "right only", "left only", "far slices", "coronal", "smallest"],
)  # fmt: skip
def test_unusual_scans_have_a_report_too(arrays: dict[str, object], says: str) -> None:
    page = Page(render_report(make_analysis(make_arrays(**arrays))))  # type: ignore[arg-type]
    assert says in page.text
    assert len(page.all("img")) >= 9


def test_the_analysis_is_not_changed(an_analysis: Analysis) -> None:
    axial = an_analysis.axial
    before = [array.copy() for array in (axial.hu, axial.lungs, axial.opacities, axial.localization)]
    render_report(an_analysis)
    for old, new in zip(before, (axial.hu, axial.lungs, axial.opacities, axial.localization), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_same_analysis_gives_the_same_report(an_analysis: Analysis, a_report: str) -> None:
    assert render_report(an_analysis) == a_report


def test_arrays_of_another_shape_are_refused(an_analysis: Analysis) -> None:
    axial = an_analysis.axial
    short = AxialArrays(axial.hu, axial.lungs[1:], axial.opacities, axial.localization, axial.geometry)
    with pytest.raises(
        InputError, match=r"'lungs' must have the shape of its grid, \(40, 96, 96\), not \(39, 96, 96\)"
    ):
        render_report(dataclasses.replace(an_analysis, axial=short))


def test_slices_of_another_analysis_are_refused(an_analysis: Analysis) -> None:
    with pytest.raises(InputError, match="measures of all 40 slices or of none, but got 39"):
        render_report(dataclasses.replace(an_analysis, slices=an_analysis.slices[1:]))


def test_the_file_replaces_an_older_one_and_leaves_nothing_beside_it(an_analysis: Analysis, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    write_report(an_analysis, target, title="Mine")
    assert Page(target.read_text(encoding="utf-8")).all("title")[0].text == "Mine"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("name", ["missing/Doe_John.html", "a_folder"])
def test_a_file_that_cannot_be_written_is_an_error_without_the_path(
    an_analysis: Analysis, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a_folder").mkdir()
    with pytest.raises(OutputError, match="A file that can be written was expected for the report, but") as caught:
        write_report(an_analysis, tmp_path / name)
    assert "Choose an existing folder" in str(caught.value)
    assert "Doe" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a_folder"]


def test_only_the_column_of_units_has_its_heading_at_the_left(a_report: str) -> None:
    assert '<th scope="col" class="unit">unit</th>' in a_report
    styles = a_report[a_report.index("<style>") : a_report.index("</style>")]
    rules = [rule.partition("{") for rule in styles.split("}")]
    assert [names.strip() for names, _, text in rules if "nth-child(2)" in names and "text-align: left" in text] == []


def test_what_is_closed_is_not_printed_as_an_empty_heading(a_report: str) -> None:
    assert "details:not([open]) { display: none; }" in a_report[a_report.index("@media print") :]
