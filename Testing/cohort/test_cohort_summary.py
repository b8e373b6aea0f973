from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from CovidCTLib.cohort.rows import (
    PICTURE_FILE,
    ROWS_FOLDER,
    RUN_FILE,
    SUMMARY_PAGE,
    SUMMARY_TABLE_CSV,
    SUMMARY_TABLE_PARQUET,
    CohortRow,
    scan_folder,
    write_row,
)
from CovidCTLib.cohort.summary import write_summary
from CovidCTLib.cohort.summary_numbers import (
    MIN_REFERENCE,
    NO_CLASS,
    count_classes,
    count_flags,
    distributions,
    find_outliers,
    gather_failures,
    outside_quartiles,
    robust_z,
)
from CovidCTLib.cohort.summary_plots import MOST_CLASSES, OTHER_CLASSES, draw_histograms, group_rows
from CovidCTLib.cohort.summary_table import OUTLIER_COLUMN, TABLE_COLUMNS, write_csv
from CovidCTLib.errors import InputError, OutputError


def a_row(number: int, class_name: str = "CT-1", **values) -> CohortRow:
    usual = {
        "patient": f"p{number // 2}",
        "study_date": "2020-03-01",
        "measures": "fast",
        "vessel_ratio_percent": 5.0 + number % 5,
        "lung_area_mm2": 20000.0,
        "slice_index": 7,
        "slice_count": 40,
        "notices": ("thick-slices",),
        "seconds": 2.0,
        "bytes": 1000,
        "finished": f"2026-01-01T00:00:{number:02d}Z",
        "version": "0.1.0",
    }
    return CohortRow(id=f"scan-{number:03d}", class_name=class_name, **{**usual, **values})


@pytest.fixture
def rows():
    """Ten scans of one class, the last far from the others, four of another and two that failed."""
    listed = [a_row(n) for n in range(9)] + [a_row(9, vessel_ratio_percent=60.0)]
    listed += [a_row(n, "CT-0", notices=()) for n in range(10, 14)]
    failed = {"status": "failed", "vessel_ratio_percent": None, "lung_area_mm2": None, "notices": ()}
    listed += [a_row(n, "", reason=f"No lungs in view: {n} ml were found. Check.", **failed) for n in (14, 15)]
    return listed


@pytest.fixture
def out(tmp_path, rows):
    """Output folder of a run with these rows and the outlier's picture."""
    (tmp_path / ROWS_FOLDER).mkdir()
    for row in rows:
        write_row(tmp_path, row)
    folder = scan_folder(tmp_path, "scan-009")
    folder.mkdir(parents=True)
    Image.new("RGB", (80, 60), (90, 10, 10)).save(folder / PICTURE_FILE)
    return tmp_path


def test_scans_patients_and_failures_of_each_class_are_counted(rows):
    counts = count_classes(rows)
    assert [(c.class_name, c.scans, c.measured, c.patients) for c in counts] == [
        ("CT-0", 4, 4, 2),
        ("CT-1", 10, 10, 5),
        (NO_CLASS, 2, 0, 1),
    ]
    assert counts[-1].by_status["failed"] == 2


def test_quartiles_are_those_of_the_values():
    rows = [a_row(n, vessel_ratio_percent=float(n)) for n in range(1, 6)]
    (found,) = [entry for entry in distributions(rows) if entry.measure == "vessel_ratio_percent"]
    assert (found.count, found.minimum, found.quartile_1, found.median, found.quartile_3, found.maximum) == (
        5, 1.0, 2.0, 3.0, 4.0, 5.0,
    )  # fmt: skip


def test_robust_z_is_the_modified_z_score():
    # The median is 3, the distances are 2, 1, 0, 1, 97, and their median is 1.
    np.testing.assert_allclose(robust_z(np.array([1.0, 2, 3, 4, 100])), 0.6745 * np.array([-2, -1, 0, 1, 97]))
    assert np.isnan(robust_z(np.array([1.0, 1, 1, 9]))).all()


def test_fences_are_exclusive_and_need_spread():
    values = np.array([0.0, 1, 2, 3, 4])
    assert not outside_quartiles(np.append(values, 4 + 1.0)).any()
    # Quartiles 1 and 3 of eight values around them, fences at -2 and 6.
    edge = np.array([1.0, 1, 1, 1, 3, 3, 3, 3, 6])
    assert not outside_quartiles(edge).any()
    assert outside_quartiles(np.append(edge[:-1], 6.001)).sum() == 1
    assert not outside_quartiles(np.array([2.0, 2, 2, 2, 9])).any()


def test_an_outlier_is_found_in_its_class_with_both_rules(rows):
    (found,) = [entry for entry in find_outliers(rows) if entry.measure == "vessel_ratio_percent"]
    assert (found.row.id, found.value, found.reference) == ("scan-009", 60.0, "class CT-1")
    assert found.rules == ("robust z", "quartiles")


def test_a_small_class_is_held_against_the_cohort_and_a_small_cohort_has_no_outliers(rows):
    odd = [*rows, a_row(20, "CT-4", vessel_ratio_percent=90.0)]
    assert {(o.row.id, o.reference) for o in find_outliers(odd)} >= {("scan-020", "the cohort")}
    assert find_outliers(rows[: MIN_REFERENCE - 1] + rows[9:10])[:1] != ()
    assert find_outliers(rows[: MIN_REFERENCE - 2] + rows[9:10]) == ()


def test_flags_are_counted_once_a_scan(rows):
    doubled = [replace(rows[0], notices=("thick-slices", "thick-slices", "noise")), *rows[1:]]
    assert count_flags(doubled) == (("thick-slices", 10), ("noise", 1))


def test_failures_that_differ_in_numbers_only_are_one_reason(rows):
    (failure,) = gather_failures(rows)
    assert (failure.status, failure.count, failure.examples) == ("failed", 2, ("scan-014", "scan-015"))
    assert failure.reason == "No lungs in view: 14 ml were found. Check."


def test_many_classes_are_shown_as_a_few_and_the_rest():
    rows = [a_row(n, f"class {n // 2}") for n in range(2 * (MOST_CLASSES + 3))]
    groups = group_rows(rows)
    assert len(groups) == MOST_CLASSES + 1
    assert groups[-1].name == OTHER_CLASSES
    assert sum(len(group.rows) for group in groups) == len(rows)


def test_bars_of_a_histogram_add_up_to_the_scans_of_each_class(rows):
    drawing = draw_histograms(rows, "vessel_ratio_percent", "vessel ratio (%)", "x.png")
    assert drawing is not None
    heights = [sum(bar.get_height() for bar in axes.patches) for axes in drawing.figure.axes]
    assert heights == [4, 10]
    assert "CT-1: 10 scans, median 7." in drawing.picture.alt
    assert draw_histograms(rows, "corona_score_cm3", "Corona Score", "x.png") is None


def test_a_summary_has_page_pictures_and_tables(out):
    summary = write_summary(out)
    assert (summary.scans, summary.measured, summary.outliers) == (16, 14, 1)
    names = [file.name for file in summary.files]
    assert names[-3:] == [SUMMARY_TABLE_CSV, SUMMARY_TABLE_PARQUET, SUMMARY_PAGE]
    assert names[:-3] == ["class_counts.png", "vessel_ratio.png"], "no Corona Score was measured"
    assert all(file.stat().st_size > 1000 for file in summary.files)
    for name in names[:-3]:
        with Image.open(out / name) as picture:
            assert picture.width > 600


def test_the_page_says_what_the_rows_say(out):
    write_summary(out)
    page = (out / SUMMARY_PAGE).read_text(encoding="utf-8")
    for words in (
        "Cohort of 16 scans",
        "2 of 16 scans failed",
        "scan-009",
        "No lungs in view: 14 ml were found. Check.",
        "thick-slices",
        "not a medical device",
        "Iglewicz and Hoaglin",
    ):
        assert words in page
    assert page.count("data:image/jpeg") == 1
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_the_limit_of_vessels_is_the_runs(out):
    (out / RUN_FILE).write_text(json.dumps({"options": {"vessel_hu": -432.0}}), encoding="utf-8")
    write_summary(out)
    assert "432" in (out / SUMMARY_PAGE).read_text(encoding="utf-8")


def test_the_percentage_of_opacity_is_defined_by_volumes_as_it_was_measured(out):
    write_row(out, a_row(30, opacity_percent=4.5))
    write_summary(out)
    page = (out / SUMMARY_PAGE).read_text(encoding="utf-8")
    assert "100 times the volume of ground-glass opacity and consolidation" in page
    assert "100 times the area of ground-glass opacity" not in page


def test_a_summary_is_made_again_as_rows_come(out):
    write_summary(out)
    write_row(out, a_row(30))
    # What is being written while a run goes on does not count.
    (out / ROWS_FOLDER / ".covidct-partial-1-2-3").mkdir()
    assert write_summary(out).scans == 17
    assert not list(out.glob(".covidct*"))


def test_the_tables_open_in_pandas_with_the_same_values(out, rows):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed (pip install -e '.[cohort]')")
    write_summary(out)
    table = pandas.read_csv(out / SUMMARY_TABLE_CSV, encoding="utf-8-sig")
    parquet = pandas.read_parquet(out / SUMMARY_TABLE_PARQUET)
    assert list(table.columns) == list(parquet.columns) == list(TABLE_COLUMNS)
    assert len(table) == len(parquet) == len(rows)
    np.testing.assert_array_equal(table["vessel_ratio_percent"], parquet["vessel_ratio_percent"])
    assert set(table["study_date"]) == {"2020-03-01"}
    assert parquet.set_index("id")[OUTLIER_COLUMN]["scan-009"] == "vessel_ratio_percent"


def test_excel_reads_the_table_as_utf8_and_runs_no_formula(tmp_path):
    file = tmp_path / "x.csv"
    write_csv(file, [a_row(1, "=1+cmd|' /C calc'!A0"), a_row(2, "Größe, mit Komma"), a_row(3, "-2")], {})
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    with file.open(encoding="utf-8-sig", newline="") as opened:
        names = [row["class_name"] for row in csv.DictReader(opened)]
    assert names == ["'=1+cmd|' /C calc'!A0", "Größe, mit Komma", "'-2"]


def test_class_names_are_escaped_on_the_page(out):
    write_row(out, a_row(40, "<script>alert(1)</script>"))
    write_summary(out)
    page = (out / SUMMARY_PAGE).read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_damaged_picture_of_an_outlier_is_left_out(out):
    (scan_folder(out, "scan-009") / PICTURE_FILE).write_bytes(b"no picture")
    write_summary(out)
    assert "data:image/jpeg" not in (out / SUMMARY_PAGE).read_text(encoding="utf-8")


def test_a_cohort_of_failures_alone_has_a_summary(tmp_path, rows):
    (tmp_path / ROWS_FOLDER).mkdir()
    write_row(tmp_path, rows[-1])
    assert write_summary(tmp_path).measured == 0
    assert "No scan was measured yet" in (tmp_path / SUMMARY_PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["", "missing", "file"])
def test_a_folder_without_rows_is_refused(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="with at least one finished scan was expected"):
        write_summary(tmp_path / place)


def test_what_cannot_be_written_leaves_the_old_summary(out, monkeypatch):
    write_summary(out)
    before = (out / SUMMARY_PAGE).read_bytes()
    write_row(out, a_row(30))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("CovidCTLib.cohort.summary.write_csv", full)
    with pytest.raises(OutputError, match="more space than the disk"):
        write_summary(out)
    assert (out / SUMMARY_PAGE).read_bytes() == before
