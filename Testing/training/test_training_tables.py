"""Tables of a training folder, as spreadsheets write them, and every value that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.tables import columns_of, read_table

ROWS = "slice_location_mm,abnormal\n-346.1,0\n-344.1,1\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ROWS, "utf-8"),
        (ROWS, "utf-8-sig"),
        (ROWS.replace("\n", "\r\n"), "utf-8-sig"),
        (ROWS.replace(",", ";"), "utf-8-sig"),
        (ROWS.replace(",", ";").replace(".", ","), "utf-8"),
        (ROWS.replace(",", "\t"), "utf-8"),
        (ROWS.replace("slice_location_mm", ' "Slice_Location_mm"').replace(",", " , "), "utf-8"),
        (ROWS + "\n,\n , ,,\n", "utf-8"),
        ("\n,\n , ,\n" + ROWS, "utf-8"),
        ("sep=,\n" + ROWS, "utf-8"),
        ("\r\nsep=;\r\n" + ROWS.replace(",", ";").replace(".", ",").replace("\n", "\r\n"), "utf-8-sig"),
        ('"sep=;"\n;\n' + ROWS.replace(",", ";"), "utf-8"),
        ("SEP=\t\n" + ROWS.replace(",", "\t"), "utf-8"),
    ],
    ids=[
        *("plain", "bom", "windows", "semicolon", "decimal-comma", "tab", "blanks", "empty-lines"),
        *("empty-first-lines", "sep-comma", "sep-semicolon", "sep-quoted", "sep-tab"),
    ],
)
def test_tables_are_read_as_spreadsheets_write_them(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    if not text.startswith(" "):
        assert columns_of(path) == ("slice_location_mm", "abnormal")
    rows = read_table(path, ["abnormal"])
    assert [row.yes("abnormal") for row in rows] == [False, True]
    if not text.startswith(" "):
        assert [row.number("slice_location_mm") for row in rows] == [-346.1, -344.1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"slice\n1\n", r"^t\.csv must have the columns slice, patient in its first line, but lacks patient\. Name"),
        (b"", r"lacks slice, patient\. Name its columns so"),
        (b"slice,patient\n,\n", r"^t\.csv must hold a line for each slice below its first line, but holds none\. Add"),
        (b"slice,patient\n1,a\n2,b,c\n", r"^t\.csv, line 3: 2 values were expected, one a column, but there are 3\. "),
        ("slice,patient\n1,Ä\n".encode("latin-1"), r"^t\.csv must be text in UTF-8, .* Save it as 'CSV UTF-8'\.$"),
        ("slice,patient\n1,a\n".encode("utf-16"), "must be text in UTF-8"),
        (b'slice,patient\n1,"' + b"x" * 140_000, r"^t\.csv must be a table of comma-separated values, but cannot be"),
    ],
    ids=["column", "empty", "no-rows", "long-line", "latin-1", "utf-16", "open-quote"],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TrainingDataError, match=message):
        read_table(tmp_path / "t.csv", ["slice", "patient"])


def test_a_folder_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(TrainingDataError, match="cannot be read as one"):
        columns_of(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("text", " ", r"^t\.csv, line 2: a value was expected for a, but there is none\. Fill it in\.$"),
        ("number", "", "a value was expected for a"),
        ("number", "high", r"^t\.csv, line 2: a must be a number, not 'high'\. Correct it\.$"),
        ("number", "nan", "must be a number, not 'nan'"),
        ("number", "-inf", "must be a number, not '-inf'"),
        ("whole", "2.5", r"^t\.csv, line 2: a must be a whole number, not 2\.5\. Correct it\.$"),
        ("yes", "2", r"^t\.csv, line 2: a must be 0 or 1, not '2'\. Correct it\.$"),
        ("yes", "-3", "must be 0 or 1, not '-3'"),
        ("yes", "300", "must be 0 or 1, not '300'"),
        ("yes", "yes", "must be 0 or 1, not 'yes'"),
    ],
)
def test_values_are_refused_with_file_and_line(tmp_path: Path, kind: str, value: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(f"a,b\n{value},x\n")
    (row,) = read_table(tmp_path / "t.csv", ["a"])
    with pytest.raises(TrainingDataError, match=message):
        getattr(row, kind)("a")


def test_a_line_that_ends_early_lacks_its_last_values(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1\n")
    (row,) = read_table(tmp_path / "t.csv", ["a", "b"], "ward/t.csv")
    assert row.whole("a") == 1
    with pytest.raises(TrainingDataError, match=r"^ward/t\.csv, line 2: a value was expected for b"):
        row.text("b")


def test_lines_are_counted_as_in_the_file_where_it_begins_with_others(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\n\na;b\n1;2\n")
    (row,) = read_table(tmp_path / "t.csv", ["a"])
    assert row.location == "t.csv, line 4"


@pytest.mark.parametrize("columns", ["slice,abnormal,abnormal", "slice,Abnormal , abnormal"])
def test_a_column_that_stands_twice_is_refused_where_it_is_needed(tmp_path: Path, columns: str) -> None:
    (tmp_path / "t.csv").write_text(f"{columns}\n1,0,1\n")
    message = r"^ward/t\.csv must have each column once, but has abnormal 2 times\. Leave one of them\.$"
    with pytest.raises(TrainingDataError, match=message):
        read_table(tmp_path / "t.csv", ["slice", "abnormal"], "ward/t.csv")
    assert read_table(tmp_path / "t.csv", ["slice"])[0].whole("slice") == 1


def test_names_of_patients_are_of_one_unicode_form_and_those_of_files_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("slice,patient\nu\u0308,Mu\u0308ller\n\u00fc,M\u00fcller\n", encoding="utf-8")
    rows = read_table(tmp_path / "t.csv", ["slice", "patient"])
    assert [row.text("patient") for row in rows] == ["M\u00fcller", "M\u00fcller"]
    assert [row.text("slice") for row in rows] == ["u\u0308", "\u00fc"]
