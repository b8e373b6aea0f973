"""``covidct analyze`` and ``covidct demo`` with stand-ins for the networks."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from analysis_maker import make_analysis, with_measures

from CovidCTLib.analysis import Measurement, Progress
from CovidCTLib.cli import analyze as command
from CovidCTLib.cli.main import main
from CovidCTLib.cli.progress import BarReporter, JsonReporter, SilentReporter, make_reporter, say
from CovidCTLib.cli.summary import summary_lines
from CovidCTLib.hu import bands_between
from CovidCTLib.options import Options

FILES = {
    "analysis.json",
    "labelmap.nii.gz",
    "localization.nii.gz",
    "measures.csv",
    "segmentation.seg.nrrd",
    "slices.csv",
}


@pytest.fixture
def report(monkeypatch):
    """Put a stand-in in place of the report, which has tests of its own."""
    import types

    module = types.ModuleType("CovidCTLib.report")
    module.write_report = lambda analysis, path: path.write_text("<html></html>")
    monkeypatch.setitem(sys.modules, "CovidCTLib.report", module)


def names_in(folder):
    """Names of the files in a folder."""
    return {file.name for file in folder.iterdir()}


def test_results_appear_and_the_summary_says_what_came_out(seen, report, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["analyze", "ct.nii.gz", "-o", str(out)]) == 0
    assert names_in(out) == {*FILES, "report.html"}
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "Case decision: like COVID-19 (3 of 8 lung slices called so, 38 %; the limit is 20 %)",
        "Corona Score:  1.5 cm³ (from the slice classifier's localization)",
        "Opacity:       6.5 % of both lungs, high opacity 0.5 %, volume 0 ml (from the opacity network)",
        "Note: Pleural effusion is not predicted yet.",
        f"Report:        {out / 'report.html'}",
    ]
    assert captured.err == "covidct: warning: Slices are 2.5 mm thick; small opacities may be missed.\n"


def test_arguments_reach_reading_and_analysis(seen, tmp_path):
    line = f"analyze folder -o {tmp_path / 'out'} --series 2 --study-date --no-report --quiet --lungs contour"
    line += " --acquisition 4 --assume-axial --device cpu --threads 2 --slice-threshold 0.4 --case-threshold 0.1"
    line += " --high-opacity -150 --vessel=-450 --localization-threshold 0.35 --localization-sigma 0"
    line += " --aeration-limits -960 -700 -300 50 --geometry qform --spacing 5 0.8 0.7"
    assert main(line.split()) == 0
    assert seen["reading"] == ("folder", "2", True)
    assert (seen["geometry"], seen["spacing_zyx_mm"]) == ("qform", (5.0, 0.8, 0.7))
    assert seen["acquisition"] == 4
    assert seen["assume_axial"] is True
    assert seen["with_source"] is False
    assert seen["options"] == Options(
        lungs="contour",
        device="cpu",
        threads=2,
        slice_threshold=0.4,
        case_threshold=0.1,
        high_opacity_hu=-150,
        vessel_hu=-450,
        localization_threshold=0.35,
        localization_sigma_mm=0.0,
        aeration_bands=bands_between([-960, -700, -300, 50]),
    )
    assert seen["cancelled"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--aeration-limits -700 -750 -400 0", "aeration band 'inflated' must end above its start, but goes from -700"),
        ("--localization-threshold 1", "localization threshold must be at least 0 and under 1, not 1.0"),
        ("--localization-sigma 21", "localization sigma must lie within 0 and 20 mm, not 21.0"),
    ],
)
def test_limits_out_of_their_range_are_refused(seen, tmp_path, capsys, words, message):
    assert main(["analyze", "folder", "-o", str(tmp_path / "out"), *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert "options" not in seen


def test_without_arguments_the_options_are_the_defaults(seen, tmp_path):
    assert main(["analyze", "folder", "-o", str(tmp_path / "out"), "--no-report", "--quiet"]) == 0
    assert seen["options"] == Options()
    assert seen["reading"] == ("folder", None, False)


def test_no_report_leaves_it_out_and_points_to_the_folder(seen, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["analyze", "ct", "-o", str(out), "--no-report"]) == 0
    assert names_in(out) == FILES
    assert capsys.readouterr().out.splitlines()[-1] == f"Results:       {out}"


def test_quiet_shows_warnings_alone(seen, tmp_path, capsys):
    assert main(["analyze", "ct", "-o", str(tmp_path / "out"), "--no-report", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("covidct: warning: Slices are 2.5 mm thick")
    assert captured.err.count("\n") == 1


def test_json_progress_is_one_object_a_line_that_never_goes_back(seen, report, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["analyze", "ct", "-o", str(out), "--progress", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == {"done": True, "out": str(out)}
    fractions = [line["fraction"] for line in lines[:-1]]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    stages = list(dict.fromkeys(line["stage"] for line in lines[:-1]))
    assert stages == ["reading", "lungs", "opacities", "slices", "measures", "writing", "report"]


def test_the_bar_is_drawn_on_the_error_output_alone(seen, tmp_path, capsys):
    assert main(["analyze", "ct", "-o", str(tmp_path / "out"), "--no-report", "--progress", "bar"]) == 0
    captured = capsys.readouterr()
    assert "100%" in captured.err
    assert "Done" in captured.err
    assert "%" not in captured.out.splitlines()[0].split("(")[0]


def test_seconds_of_reading_are_in_the_record_before_the_others(seen, tmp_path):
    assert main(["analyze", "ct", "-o", str(tmp_path / "out"), "--no-report"]) == 0
    record = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert list(record["seconds"]) == ["reading", "lungs", "opacities"]


def test_the_path_of_the_input_is_in_no_file(seen, tmp_path):
    assert main(["analyze", "DOE_JANE_1970", "-o", str(tmp_path / "out"), "--no-report"]) == 0
    for file in (tmp_path / "out").iterdir():
        assert b"DOE_JANE" not in file.read_bytes()


def test_a_folder_with_content_is_refused_before_the_scan_is_read(seen, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["analyze", "ct", "-o", str(tmp_path)]) == 1
    assert "must be empty or not exist yet, but it holds 1 entry" in capsys.readouterr().err
    assert "reading" not in seen
    assert names_in(tmp_path) == {"mine.txt"}


def test_a_signal_after_the_results_are_complete_does_not_claim_that_nothing_was_written(
    seen, tmp_path, capsys, monkeypatch
):
    def interrupt(self, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(SilentReporter, "finish", interrupt)
    assert main(["analyze", "ct", "-o", str(tmp_path / "out"), "--no-report"]) == 1
    assert capsys.readouterr().err == ("covidct: Cancelled, but the results had already been written completely.\n")
    assert names_in(tmp_path / "out") == FILES


def test_the_demo_writes_its_ct_and_sets_measured_against_true_volumes(seen, report, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert names_in(tmp_path / "covidct-demo") == {*FILES, "report.html", "ct.nii.gz"}
    image = sitk.ReadImage(str(tmp_path / "covidct-demo" / "ct.nii.gz"))
    assert image.GetSpacing() == pytest.approx(make_analysis().scan.geometry.spacing_xyz_mm)
    lines = capsys.readouterr().out.splitlines()
    lines = lines[next(k for k, line in enumerate(lines) if line.startswith("volume in ml")) :]
    assert lines[0].split() == ["volume", "in", "ml", "measured", "true", "difference"]
    assert lines[2].split() == ["left", "lung", "1.2", "1.2", "-4.0", "%"]
    assert lines[4].split() == ["consolidation", "0.1", "0.1", "+0.0", "%"]


def test_the_demo_shows_a_volume_that_was_not_measured_as_a_dash(seen, report, tmp_path, capsys, monkeypatch):
    from CovidCTLib.cli.demo import COMPARED, comparison_lines

    missing = with_measures(
        make_analysis(), *(Measurement(region, name, None, "ml", "no") for _, _, region, name in COMPARED)
    )
    lines = comparison_lines(missing, {key: 1.0 for _, key, _, _ in COMPARED})
    assert lines[2].split() == ["right", "lung", "-", "1.0", "-"]


def test_a_quiet_demo_says_nothing_but_warnings(seen, report, tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path / "out"), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_the_summary_says_why_something_is_not_available(tmp_path):
    analysis = make_analysis()
    case = replace(
        analysis.case, positive=None, positive_fraction=None, reason="The classifier found no slice with lung."
    )
    absent = with_measures(
        replace(analysis, case=case), Measurement("both_lungs", "corona_score_cm3", None, "cm3", "No lung was found.")
    )
    lines = summary_lines(absent, tmp_path, report=True)
    assert lines[0] == "Case decision: not available (The classifier found no slice with lung)"
    assert lines[1].startswith("Corona Score:  not available (No lung was found)")
    assert "not available (not measured)" in lines[2]


def test_a_negative_case_is_called_negative(tmp_path):
    analysis = make_analysis()
    negative = replace(
        analysis, case=replace(analysis.case, positive=False, positive_fraction=0.125, positive_slices=1)
    )
    assert summary_lines(negative, tmp_path, report=True)[0].startswith(
        "Case decision: not like COVID-19 (1 of 8 lung slices"
    )


@pytest.mark.parametrize(
    ("kind", "quiet", "expected"),
    [
        ("json", False, JsonReporter),
        ("json", True, JsonReporter),
        ("bar", False, BarReporter),
        ("bar", True, SilentReporter),
        ("none", False, SilentReporter),
        (None, False, SilentReporter),
    ],
)
def test_progress_is_shown_as_asked(kind, quiet, expected):
    assert type(make_reporter(kind, quiet)) is expected


def test_a_terminal_gets_a_bar_without_asking(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert type(make_reporter(None, False)) is BarReporter


def test_a_part_of_the_way_is_scaled_and_never_goes_beyond_the_end(capsys):
    reporter = JsonReporter()
    part = reporter.part((0.5, 1.0))
    for fraction in (0.5, 0.2, 2.0):
        part(Progress("writing", fraction))
    fractions = [json.loads(line)["fraction"] for line in capsys.readouterr().out.splitlines()]
    assert fractions == [0.75, 0.75, 1.0]


def test_a_terminal_that_cannot_show_a_letter_gets_a_question_mark():
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("Größe", stream)
    assert stream.buffer.getvalue() == b"Gr??e\n"


def test_a_raised_exponent_stays_a_number_where_the_terminal_has_none():
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp437")
    say("1.5 cm³ and 2 cm², Größe", stream)
    assert stream.buffer.getvalue().decode("cp437") == "1.5 cm3 and 2 cm2, Größe\n"


def test_every_command_that_analyzes_goes_the_same_way():
    from CovidCTLib.cli import demo

    assert demo.analyze_and_write is command.analyze_and_write


def test_dicom_results_need_a_ct_that_came_as_dicom(tmp_path, capsys):
    pytest.importorskip("highdicom", reason="highdicom is not installed (pip install 'covidct[dicom]')")
    ct, out = tmp_path / "ct.nii.gz", tmp_path / "out"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((20, 32, 32), np.int16)), str(ct))
    assert main(["analyze", str(ct), "-o", str(out), "--dicom"]) == 1
    assert "a CT that came as DICOM" in capsys.readouterr().err
    assert not out.exists()
