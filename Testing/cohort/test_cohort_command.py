"""``covidct cohort`` as a user types it, and what a wrong word gives."""

from __future__ import annotations

import json

import pytest
import SimpleITK as sitk
from cohort_stand_ins import STAND_IN, make_source

from CovidCTLib.cli.main import main
from CovidCTLib.cohort.rows import read_rows
from CovidCTLib.phantom import make_chest_phantom


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "source", ["measure 3", "refuse"])


def run(*words):
    return main(["cohort", *map(str, words)])


@pytest.fixture
def finished(source, tmp_path, capsys):
    """The output folder of a run of two scans, one of which failed, and what the terminal showed."""
    out = tmp_path / "out"
    code = run(source, "-o", out, "--measures", "fast", "--analyzer", STAND_IN, "--processes", 1, "--no-summary")
    shown = capsys.readouterr()
    assert code == 0
    return out, shown


def test_a_run_tells_its_progress_its_failures_and_where_all_is(finished):
    out, shown = finished
    assert "covidct: 2 of 2 scans done, 1 failed" in shown.err
    assert "covidct: warning: 1 scan failed: A chest CT was expected, but this is a knee." in shown.err
    assert shown.out.startswith("2 of 2 scans went through in ")
    assert shown.out.rstrip().endswith(f"All is in {out}.")


def test_the_summary_stands_on_paper_too_where_that_is_asked_for(finished, capsys):
    pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install -e '.[pdf]')")
    out, _ = finished
    assert run("summary", out, "--pdf") == 0
    assert (out / "cohort.pdf").read_bytes().startswith(b"%PDF-")
    assert "open cohort.html or cohort.pdf." in capsys.readouterr().out
    assert (out / "cohort.html").is_file()


def test_the_same_command_continues_and_retries_on_request(finished, source, capsys):
    out, _ = finished
    words = (source, "-o", out, "--measures", "fast", "--analyzer", STAND_IN, "--processes", 1, "--no-summary")
    assert run(*words) == 0
    assert "0 of 2 scans went through" in capsys.readouterr().out
    (source / "scan_0001.nii").write_text("scan measure 9", encoding="utf-8")
    assert run(*words, "--retry-failed", "--progress", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {"scans": 2, "done": 1, "failed": 0}
    assert lines[-1] == {"done": True, "out": str(out)}
    assert {row.status for row in read_rows(out)} == {"ok"}


def test_the_grid_of_all_scans_can_be_given(tmp_path, capsys):
    scan = make_chest_phantom((40, 96, 96), (7.0, 3.8, 3.8)).scan
    folder = tmp_path / "scans"
    folder.mkdir()
    # A library's default grid: 1 x 1 x 1 mm at 0, 0, 0.
    sitk.WriteImage(sitk.GetImageFromArray(scan.hu), str(folder / "ct.nii.gz"))
    out = {}
    for name, words in (("lost", ()), ("given", ("--spacing", 7, 3.8, 3.8, "--geometry", "qform", "--assume-axial"))):
        out[name] = tmp_path / name
        code = run(folder, "-o", out[name], "--measures", "fast", "--processes", 1, "--no-summary", *words)
        assert code == 0, capsys.readouterr().err
    (lost,), (given,) = (read_rows(folder) for folder in out.values())
    assert lost.status == given.status == "ok"
    # Without a spacing there is no area.
    assert lost.lung_area_mm2 is None
    assert given.lung_area_mm2 > 5000
    record = json.loads((out["given"] / "run.json").read_text())
    assert (record["geometry"], record["spacing_zyx_mm"], record["assume_axial"]) == ("qform", [7.0, 3.8, 3.8], True)


def test_other_measures_in_the_same_folder_are_refused(finished, source, capsys):
    out, _ = finished
    assert run(source, "-o", out) == 1
    assert "holds a run with other settings (analyzer: cohort_stand_ins:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["SOURCE"], 2, "A run needs one SOURCE and an output folder"),
        (["SOURCE", "OTHER", "-o", "OUT"], 2, "A run needs one SOURCE and an output folder"),
        (["SOURCE", "-o", "OUT", "--no-summary", "--pdf"], 2, "--pdf puts the summary on paper, but no summary is"),
        (["classifier", "OUT", "--pdf"], 2, "Leave --pdf out, or give 'covidct cohort summary OUT --pdf'."),
        (["summary"], 2, "output folder of a run was expected after 'summary'"),
        (["classifier"], 2, "output folder of a run was expected after 'classifier'"),
        (["summary", "EMPTY"], 1, "with at least one finished scan was expected"),
        (["EMPTY", "-o", "OUT"], 1, "A source with scans"),
        (["MISSING", "-o", "OUT"], 1, "but there is none"),
        (["SOURCE", "-o", "SOURCE"], 1, "must be empty or not exist yet"),
        (["SOURCE", "-o", "OUT", "--class", "CT-9"], 2, "CT-9 does not; the source gives no class to any scan"),
        (["SOURCE", "-o", "OUT", "--timeout", "0"], 2, "must be above 0 seconds"),
        (["SOURCE", "-o", "OUT", "--memory-per-process", "0"], 2, "must be above 0 GB"),
        (["SOURCE", "-o", "OUT", "--processes", "0"], 2, "must be at least 1, not 0"),
        (["SOURCE", "-o", "OUT", "--spark", "cores=3"], 2, "has the form spark.name=value, not 'cores=3'"),
        (["SOURCE", "-o", "OUT", "--engine", "cloud"], 2, "invalid choice: 'cloud'"),
    ],
)
def test_a_wrong_word_is_one_line_and_leaves_nothing_behind(source, tmp_path, capsys, words, code, message):
    (tmp_path / "empty").mkdir()
    places = {name: str(tmp_path / name.lower()) for name in ("SOURCE", "OUT", "EMPTY", "MISSING", "OTHER")}
    assert run(*(places.get(word, word) for word in words)) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1
    assert not (tmp_path / "out").exists()
