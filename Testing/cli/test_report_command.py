"""``covidct report``, and ``--pdf`` of ``covidct analyze``."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import SimpleITK as sitk
from analysis_maker import make_analysis

from CovidCTLib.cli.main import main
from CovidCTLib.errors import OptionsError
from CovidCTLib.results import write_results


@pytest.fixture
def results(tmp_path):
    """A finished folder without CT and without report."""
    write_results(make_analysis(), tmp_path / "out", report=False)
    return tmp_path / "out"


@pytest.fixture
def plutoprint():
    """The maker of PDFs, where it is installed."""
    return pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")


def contents(folder):
    """Bytes of each file."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_report_of_finished_results_is_made_and_nothing_else_changes(results, capsys):
    before = contents(results)
    assert main(["report", str(results)]) == 0
    after = contents(results)
    assert after.keys() - before.keys() == {"report.html"}
    assert all(after[name] == content for name, content in before.items())
    assert capsys.readouterr().out == f"Report:        {results / 'report.html'}\n"
    assert "The CT is not stored with these results" in after["report.html"].decode()


def test_the_ct_can_be_given(results, tmp_path):
    scan = make_analysis().scan
    sitk.WriteImage(scan.geometry.to_image(scan.hu), str(tmp_path / "ct.nii.gz"))
    assert main(["report", str(results), "--ct", str(tmp_path / "ct.nii.gz"), "--quiet"]) == 0
    assert "The CT is not stored with these results" not in (results / "report.html").read_text(encoding="utf-8")


def test_a_ct_of_another_grid_is_refused(results, tmp_path, capsys):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((30, 40, 40), np.int16)), str(tmp_path / "other.nii.gz"))
    assert main(["report", str(results), "--ct", str(tmp_path / "other.nii.gz")]) == 1
    assert capsys.readouterr().err.startswith("covidct: ")
    assert not (results / "report.html").exists()


def test_what_is_no_result_folder_is_refused_before_a_ct_is_read(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--ct", "nowhere.nii.gz"]) == 1
    assert "analysis.json" in capsys.readouterr().err


def test_an_old_report_is_replaced_and_the_pdf_stands_beside_it(results, plutoprint, capsys):
    (results / "report.html").write_text("old")
    assert main(["report", str(results), "--pdf"]) == 0
    assert (results / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (results / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert f"PDF:           {results / 'report.pdf'}" in capsys.readouterr().out


def test_without_plutoprint_nothing_changes(results, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "plutoprint", None)
    before = contents(results)
    assert main(["report", str(results), "--pdf"]) == 1
    assert 'pip install "covidct[pdf]"' in capsys.readouterr().err
    assert contents(results) == before


def test_analyze_refuses_a_pdf_without_a_report_before_it_reads(seen, tmp_path, capsys):
    assert main(["analyze", "ct.nii.gz", "-o", str(tmp_path / "out"), "--pdf", "--no-report"]) == 2
    assert "--pdf puts the report on paper, but --no-report leaves it out." in capsys.readouterr().err
    assert not seen


def test_results_are_written_with_their_pdf(plutoprint, tmp_path):
    files = write_results(make_analysis(), tmp_path / "out", pdf=True)
    assert {"report.html", "report.pdf"} <= {file.name for file in files}


def test_a_pdf_without_a_report_is_refused(tmp_path):
    with pytest.raises(OptionsError, match="A PDF is the report on paper, but no report is wanted"):
        write_results(make_analysis(), tmp_path / "out", report=False, pdf=True)
    assert not (tmp_path / "out").exists()
