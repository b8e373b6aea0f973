"""The report on paper: pages of A4, nothing cut, nothing read from outside, and words where PlutoPrint is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from page_samples import PAGES
from report_maker import make_analysis

from CovidCTLib.errors import CovidCTError, OutputError
from CovidCTLib.report import render_report, write_report
from CovidCTLib.report.pdf import check_pdf_possible, pdf_of, write_pdf

A4_PT = (595.28, 841.89)


@pytest.fixture(scope="module")
def a_pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    folder = tmp_path_factory.mktemp("paper")
    write_report(make_analysis(), folder / "report.html", pdf=folder / "report.pdf")
    assert sorted(file.name for file in folder.iterdir()) == ["report.html", "report.pdf"]
    return folder / "report.pdf"


@pytest.fixture(scope="module")
def words(a_pdf: Path) -> list[str]:
    """Text of each page."""
    return words_of(a_pdf)


def words_of(paper: Path) -> list[str]:
    """Text of each page of a PDF."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (poppler-utils)")
    done = subprocess.run(["pdftotext", "-layout", str(paper), "-"], capture_output=True, text=True, check=True)
    return done.stdout.split("\f")[:-1]


def test_it_has_a_few_numbered_pages_of_a4(a_pdf: Path, words: list[str]) -> None:
    content = a_pdf.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(content) < 8_000_000
    boxes = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)\s*\]", content)
    for box in boxes:
        np.testing.assert_allclose([float(part) for part in box], A4_PT, atol=1)
    assert 5 <= len(words) <= 12
    for number, page in enumerate(words, start=1):
        assert f"Page {number} of {len(words)}" in page


def test_no_heading_stands_without_what_it_heads(words: list[str]) -> None:
    headings = {"Warnings", "Key numbers", "Pictures", "Slice by slice", "Measures", "How it was made"}
    found = set()
    for page in words:
        lines = [line.strip() for line in page.splitlines() if line.strip()]
        found |= headings & set(lines)
        # The last line is the page's number.
        assert lines[-2] not in headings
    assert found == headings


def test_each_table_stands_on_one_page_with_its_headings(words: list[str]) -> None:
    for title, last in (("Lungs, and thirds", "lung mass"), ("Six zones: thirds", "lung mass")):
        (page,) = [page for page in words if title in page]
        assert re.search(r"measure\s+unit", page)
        assert last in page[page.index(title) :]


def test_text_is_as_large_as_the_style_says(a_pdf: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (poppler-utils)")
    done = subprocess.run(
        ["pdftotext", "-bbox", "-l", "1", str(a_pdf), "-"], capture_output=True, text=True, check=True
    )
    (low, high) = re.search(r'yMin="([\d.]+)"[^>]*yMax="([\d.]+)">Chest<', done.stdout).groups()
    # Whatever is too wide for a page would shrink all of it; a line of 17 pt is a little higher than that.
    assert 17 <= float(high) - float(low) <= 21


def test_nothing_outside_the_page_is_read(a_pdf: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text y="20">secretword</text></svg>')
    page = render_report(make_analysis()).replace("<main>", f'<main><img alt="x" src="{secret.as_uri()}">')
    paper = tmp_path / "p.pdf"
    write_pdf(page, paper)
    assert paper.read_bytes().startswith(b"%PDF-")
    if shutil.which("pdftotext") is not None:
        done = subprocess.run(["pdftotext", str(paper), "-"], capture_output=True, text=True, check=True)
        assert "secretword" not in done.stdout
        assert "Key numbers" in done.stdout


PAPER = ("explanation", "follow-up", "cohort", "evaluation")
"""Pages of which a PDF is made in a second or two, beside the case's."""


@pytest.fixture(scope="module", params=PAPER)
def a_page_on_paper(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PDF of a page of another kind."""
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    folder = tmp_path_factory.mktemp("papers")
    page = PAGES[request.param](folder)
    write_pdf(page, folder / "page.pdf")
    return folder / "page.pdf"


def test_on_every_page_headings_stay_with_what_they_head_and_units_are_whole(a_page_on_paper: Path) -> None:
    pages = words_of(a_page_on_paper)
    headings = {
        "Beside published figures",
        "Course",
        "Where it changed",
        "Outliers",
        "Distributions",
        "Scans that failed",
        "What the words mean, and sources",
        "volumes",
    }
    for page in pages:
        lines = [line.strip() for line in page.splitlines() if line.strip()]
        assert not headings & {line.lstrip("▾ ") for line in lines[-2:]}
    text = "\n".join(pages)
    assert f"Page {len(pages)} of {len(pages)}" in text
    # A unit of a column is never cut, as in "(m" with "l)" in the next line.
    assert not re.search(r"\((m|c|cm|m l)\s*$", text, re.MULTILINE)


def test_text_keeps_its_size_on_every_page(a_page_on_paper: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (poppler-utils)")
    done = subprocess.run(
        ["pdftotext", "-bbox", "-l", "1", str(a_page_on_paper), "-"], capture_output=True, text=True, check=True
    )
    (low, high) = re.search(r'<word[^>]*yMin="([\d.]+)"[^>]*yMax="([\d.]+)">', done.stdout).groups()
    assert 17 <= float(high) - float(low) <= 21


def test_a_link_inside_the_page_is_nothing_to_complain_of(a_pdf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pdf_of('<!DOCTYPE html><a href="#there">x</a><p id="there">y</p>')
    assert capfd.readouterr() == ("", "")


def test_without_plutoprint_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plutoprint", None)
    with pytest.raises(CovidCTError, match=r"Install it, or open the page in a browser and print it") as refused:
        check_pdf_possible()
    assert "covidct[pdf]" in refused.value.hint


def test_a_page_that_cannot_be_laid_out_is_told(a_pdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import plutoprint

    class Refusing:
        def __init__(self, *_: object) -> None:
            self.custom_resource_fetcher = None

        def load_html(self, *_: object, **__: object) -> None:
            raise plutoprint.Error("no")

    monkeypatch.setattr(plutoprint, "Book", Refusing)
    with pytest.raises(OutputError, match=r"could not be laid out as a PDF\. Open it in a browser"):
        pdf_of("<p>")
