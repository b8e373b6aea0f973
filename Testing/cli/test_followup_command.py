"""``covidct followup`` in the terminal: where studies and dates come from, and that one bad study loses no other."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import pytest
from analysis_maker import make_analysis

import CovidCTLib.reading.identifiers  # noqa: F401 - the real one, before a stand-in takes its package's place
from CovidCTLib.cli.main import DONE, FAILED, WRONG_ARGUMENTS, main
from CovidCTLib.errors import InputError
from CovidCTLib.results import write_results
from CovidCTLib.scan import Identifiers

FAST = ["--no-registration", "--progress", "none"]


def store(folder, date, patient=None):
    """Write a result folder whose scan states a date and a patient."""
    made = make_analysis()
    identifiers = None if patient is None else Identifiers(patient_name="Marked^Name", patient_id=patient)
    scan = replace(made.scan, facts=replace(made.scan.facts, study_date=date), identifiers=identifiers)
    write_results(replace(made, scan=scan), folder, report=False)
    return str(folder)


@pytest.fixture
def stored(tmp_path):
    """Two result folders with dates, the later one first."""
    return [store(tmp_path / "b", "2020-03-11"), store(tmp_path / "a", "2020-03-01")]


def test_result_folders_are_compared_in_the_order_of_their_dates(stored, tmp_path, capsys):
    assert main(["followup", *stored, "-o", str(tmp_path / "out"), *FAST]) == DONE
    record = json.loads((tmp_path / "out" / "followup.json").read_text())
    assert [entry["study"] for entry in record["studies"]] == [2, 1]
    said = capsys.readouterr()
    assert "Study 1, 10 days after study 2:" in said.out
    assert "did not change" in said.out
    assert "followup.html" in said.out


def test_dates_on_the_command_line_go_before_those_of_the_studies(stored, tmp_path):
    dates = ["--dates", "2020-02-01", "-"]
    assert main(["followup", *stored, *dates, "-o", str(tmp_path / "out"), *FAST]) == DONE
    rows = list(csv.DictReader((tmp_path / "out" / "followup.csv").open(encoding="utf-8")))
    assert [row["date"] for row in rows[:: len(rows) // 2]] == ["2020-02-01", "2020-03-01"]


def test_a_day_is_one_day_and_a_date_to_come_is_warned_of(stored, tmp_path, capsys):
    dates = ["--dates", "2999-12-30", "2999-12-31"]
    assert main(["followup", *stored, *dates, "-o", str(tmp_path / "out"), *FAST]) == DONE
    said = capsys.readouterr()
    assert "Study 2, 1 day after study 1:" in said.out
    assert "Studies 1 and 2 have dates in the future" in said.err


def test_the_page_stands_on_paper_too_where_that_is_asked_for(stored, tmp_path, capsys):
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    out = tmp_path / "out"
    assert main(["followup", *stored, "-o", str(out), *FAST, "--pdf"]) == DONE
    assert (out / "followup.pdf").read_bytes().startswith(b"%PDF-")
    assert f"PDF:           {out / 'followup.pdf'}" in capsys.readouterr().out


def test_a_pdf_that_cannot_be_made_is_said_before_anything_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "plutoprint", None)
    assert main(["followup", "none", "gone", "-o", str(tmp_path / "out"), "--pdf"]) == FAILED
    assert 'pip install "covidct[pdf]"' in capsys.readouterr().err


def test_a_ct_is_analyzed_first_and_its_patient_forgotten(stored, tmp_path, seen, monkeypatch):
    reading = sys.modules["CovidCTLib.reading"]
    read = reading.read_scan

    def identified(path, **options):
        scan = read(path, **options)
        facts = replace(scan.facts, study_date="2020-03-05")
        return replace(scan, facts=facts, identifiers=Identifiers("Marked^Name", "MARK7"))

    monkeypatch.setattr(reading, "read_scan", identified)
    assert main(["followup", stored[0], "ct.nii.gz", "-o", str(tmp_path / "out"), *FAST]) == DONE
    assert seen["reading"] == ("ct.nii.gz", None, True)
    assert seen["identified"] is True
    for file in (tmp_path / "out").iterdir():
        content = file.read_bytes()
        assert b"Marked" not in content
        assert b"MARK7" not in content


def test_the_grid_of_a_ct_can_be_given(stored, tmp_path, seen, monkeypatch):
    words = ["--geometry", "qform", "--spacing", "5", "0.8", "0.7", "--assume-axial", "--dates", "-", "2020-04-01"]
    assert main(["followup", stored[0], "ct.nii.gz", "-o", str(tmp_path / "out"), *FAST, *words]) == DONE
    assert (seen["geometry"], seen["spacing_zyx_mm"]) == ("qform", (5.0, 0.8, 0.7))
    assert seen["assume_axial"] is True


def test_different_patients_are_warned_of(tmp_path, capsys):
    folders = [store(tmp_path / "a", "2020-03-01", "A1"), store(tmp_path / "b", "2020-03-02", "B2")]
    assert main(["followup", *folders, "-o", str(tmp_path / "out"), *FAST]) == DONE
    assert "2 different patient numbers" in capsys.readouterr().err
    assert "A1" not in (tmp_path / "out" / "followup.json").read_text()


def test_one_bad_study_does_not_lose_the_others(stored, tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "analysis.json").write_text("{")
    undated = store(tmp_path / "undated", None)
    studies = [stored[0], str(tmp_path / "bad"), undated, stored[1]]
    assert main(["followup", *studies, "-o", str(tmp_path / "out"), *FAST]) == DONE
    said = capsys.readouterr().err
    assert "Study 2 was left out: The record of an analysis was expected" in said
    assert "Study 3 was left out: The date of the study was expected" in said
    record = json.loads((tmp_path / "out" / "followup.json").read_text())
    assert [entry["study"] for entry in record["left_out"]] == [2, 3]
    assert len(record["studies"]) == 2


def test_a_ct_without_a_date_is_not_analyzed_in_vain(stored, tmp_path, seen, capsys):
    code = main(["followup", *stored, "ct.nii.gz", "-o", str(tmp_path / "out"), *FAST])
    assert code == DONE
    assert "options" not in seen
    assert "Study 3 was left out: The date" in capsys.readouterr().err


def test_one_usable_study_is_too_few_and_nothing_is_written(stored, tmp_path, capsys):
    code = main(["followup", stored[0], str(tmp_path / "none"), "-o", str(tmp_path / "out"), *FAST])
    assert code == FAILED
    said = capsys.readouterr().err
    assert "needs at least 2 studies that can be used, but there is only one" in said
    assert "Study 2 was left out" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a"], "needs at least 2 studies of one patient, but one was given"),
        (["a", "b", "--dates", "2020-03-01"], "one date for each of the 2 studies, but gives 1"),
        (["a", "b", "--dates", "2020-03-01", "tomorrow"], "must be a day of the calendar as YYYY-MM-DD"),
    ],
)
def test_wrong_arguments_are_said_before_anything_is_read(tmp_path, capsys, arguments, words):
    assert main(["followup", *arguments, "-o", str(tmp_path / "out")]) == WRONG_ARGUMENTS
    assert words in capsys.readouterr().err


def test_why_there_is_no_map_is_said(stored, tmp_path, capsys, monkeypatch):
    def refuse(*args, **kwargs):
        raise InputError("Lungs can be registered where both studies show lung.")

    monkeypatch.setattr("CovidCTLib.followup.course.register_lungs", refuse)
    assert main(["followup", *stored, "-o", str(tmp_path / "out"), "--quiet"]) == DONE
    said = capsys.readouterr()
    assert "No map of changes of study 1: Lungs can be registered" in said.err
    assert said.out == ""


def test_progress_for_programs_ends_with_the_folder(stored, tmp_path, capsys):
    main(["followup", *stored, "-o", str(tmp_path / "out"), "--no-registration", "--progress", "json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == {"done": True, "out": str(tmp_path / "out")}
    fractions = [line["fraction"] for line in lines[:-1]]
    assert fractions == sorted(fractions)
    assert {"reading", "comparing", "writing"} <= {line["stage"] for line in lines[:-1]}
