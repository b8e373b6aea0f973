"""``covidct series``."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest

from CovidCTLib.cli.main import main
from CovidCTLib.errors import InputError

DICOM = Path(__file__).parents[2] / ".." / "shared" / "data" / "dicom"


@pytest.fixture
def two_series(monkeypatch):
    """A folder with a series that can be used and one that cannot."""
    from CovidCTLib.reading import SeriesSummary

    module = types.ModuleType("CovidCTLib.reading")
    module.list_series = lambda folder: (
        SeriesSummary(1, "CT", 300, 512, 400, (1.25, 0.7, 0.8), "axial", "[red]B31f", True, None),
        SeriesSummary(2, "CT", 60, 512, 512, (5.0, 0.7, 0.7), "coronal", None, False, None),
        SeriesSummary(3, "", 1, 512, 512, None, None, None, True, "one slice makes no volume"),
    )
    monkeypatch.setitem(sys.modules, "CovidCTLib.reading", module)


def test_series_are_a_table_with_the_number_that_chooses_them(two_series, capsys):
    assert main(["series", "folder"]) == 0
    lines = [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["number", "modality", "slices", "matrix", "spacing in mm", "plane", "kernel", "usable"]
    assert lines[2:] == [
        ["1", "CT", "300", "400 x 512", "0.80 x 0.70 x 1.25", "axial", "[red]B31f", "yes"],
        ["2", "CT", "60", "512 x 512", "0.70 x 0.70 x 5.00", "coronal", "-", "yes (computed from other images)"],
        ["3", "-", "1", "512 x 512", "-", "-", "-", "no: one slice makes no volume"],
    ]


def test_the_table_fits_a_narrow_terminal_and_its_reason_is_wrapped(two_series):
    from rich.console import Console

    from CovidCTLib.cli.series import series_table
    from CovidCTLib.reading import list_series

    with (console := Console(width=80, color_system=None)).capture() as captured:
        console.print(series_table(list_series("folder")))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(captured.get().split())
    for word in ("one", "slice", "makes", "no", "volume"):
        assert word in words


def test_acquisitions_have_a_column_where_there_are_several():
    from rich.console import Console

    from CovidCTLib.cli.series import series_table
    from CovidCTLib.reading import SeriesSummary
    from CovidCTLib.reading.dicom_series import AcquisitionSummary

    two = (AcquisitionSummary(1, 12), AcquisitionSummary(4, 9))
    many = tuple(AcquisitionSummary(number, 2) for number in range(1, 7))
    rows = [
        SeriesSummary(number, "CT", 21, 512, 512, (5.0, 0.7, 0.7), "axial", "B60f", True, None, acquisitions)
        for number, acquisitions in enumerate([two, many, ()], start=1)
    ]
    with (console := Console(width=160, color_system=None)).capture() as captured:
        console.print(series_table(rows))
    lines = [re.split(r"\s{2,}", line.strip()) for line in captured.get().splitlines() if line.strip()]
    assert lines[0][-2:] == ["acquisitions", "usable"]
    assert [line[-2] for line in lines[2:]] == ["1 (12), 4 (9)", "1 (2) ... 6 (2)", "-"]


def test_series_are_json_lines_on_request(two_series, capsys):
    assert main(["series", "folder", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert lines[0]["spacing_zyx_mm"] == [1.25, 0.7, 0.8]
    assert lines[2]["reason"] == "one slice makes no volume"
    assert lines[0]["acquisitions"] == []


def test_a_folder_that_cannot_be_read_is_one_line(monkeypatch, capsys):
    module = types.ModuleType("CovidCTLib.reading")

    def list_series(folder):
        raise InputError("A folder was expected.")

    module.list_series = list_series
    monkeypatch.setitem(sys.modules, "CovidCTLib.reading", module)
    assert main(["series", "folder"]) == 1
    assert capsys.readouterr().err == "covidct: A folder was expected.\n"


def test_a_missing_folder_is_refused_by_the_real_reader(tmp_path, capsys):
    assert main(["series", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not DICOM.is_dir(), reason="the shared DICOM data is not beside the repository")
def test_a_real_series_is_listed_without_patient_data(capsys):
    assert main(["series", str(DICOM / "covid_P001")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(lines) == 3
    assert lines[2].split()[:6] == ["1", "CT", "148", "512", "x", "512"]
    assert "axial" in lines[2]
