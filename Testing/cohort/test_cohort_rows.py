"""The table of a cohort."""

from __future__ import annotations

import pyarrow.dataset
import pyarrow.parquet
import pytest

from CovidCTLib.cohort.rows import (
    COLUMNS,
    GATHERED_FILE,
    ROWS_FOLDER,
    CohortRow,
    gather_rows,
    read_row,
    read_rows,
    require_pyarrow,
    row_file,
    row_schema,
    write_row,
)
from CovidCTLib.errors import CovidCTError, InputError, OutputError


@pytest.fixture
def out(tmp_path):
    (tmp_path / ROWS_FOLDER).mkdir()
    return tmp_path


def full_row(name="a", **changes):
    values = {
        "key": "0" * 32,
        "class_name": "CT-1",
        "lung_volume_ml": 1.0 / 3,
        "case_positive": True,
        "slice_index": 7,
        "notices": ("thick-slices", "own-model"),
        "bytes": 2**40,
    }
    return CohortRow(name, **{**values, **changes})


def test_a_row_comes_back_to_the_last_digit(out):
    for row in (full_row("a"), CohortRow("b", status="failed", reason="No lungs.")):
        write_row(out, row)
        assert read_row(out, row.id) == row
    assert [row.id for row in read_rows(out)] == ["a", "b"]


def test_the_schema_has_the_columns_of_a_row_with_their_types():
    schema = row_schema()
    assert tuple(schema.names) == COLUMNS
    types = {name: str(schema.field(name).type) for name in COLUMNS}
    assert types["lung_volume_ml"] == "double"
    assert types["case_positive"] == "bool"
    assert types["slice_index"] == types["bytes"] == "int64"
    assert types["notices"] == "list<item: string>"
    assert types["id"] == "string"


def test_a_row_that_is_written_twice_is_there_once(out):
    write_row(out, full_row(class_name="old"))
    write_row(out, full_row(class_name="new"))
    assert [row.class_name for row in read_rows(out)] == ["new"]


def test_a_row_that_is_not_there_is_none(out):
    assert read_row(out, "a") is None
    assert read_rows(out) == ()
    assert read_rows(out / "nowhere") == ()


def test_gathered_rows_are_the_same_rows_in_one_file(out):
    rows = [full_row(f"s{index}") for index in range(5)]
    for row in rows:
        write_row(out, row)
    gather_rows(out, rows[:3])
    gather_rows(out, rows[3:])
    assert [file.name for file in (out / ROWS_FOLDER).iterdir()] == [GATHERED_FILE]
    assert read_rows(out) == tuple(rows)
    assert pyarrow.dataset.dataset(out / ROWS_FOLDER / GATHERED_FILE).count_rows() == 5


def test_a_rows_own_file_counts_more_than_the_gathered_one(out):
    gather_rows(out, [full_row(class_name="old")])
    write_row(out, full_row(class_name="new"))
    assert [row.class_name for row in read_rows(out)] == ["new"]


def test_rows_can_be_forgotten(out):
    write_row(out, full_row("a"))
    gather_rows(out, [full_row("b"), full_row("c")])
    gather_rows(out, [], without=["a", "b"])
    assert [row.id for row in read_rows(out)] == ["c"]


def test_what_is_being_written_is_left_out(out):
    write_row(out, full_row())
    (out / ROWS_FOLDER / ".covidct-partial-x.parquet").write_bytes(b"half")
    assert len(read_rows(out)) == 1


def test_a_damaged_file_is_refused(out):
    row_file(out, "a").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(InputError, match="must hold rows of this version's cohorts, but a file in it cannot be read"):
        read_rows(out)


def test_a_table_with_other_columns_is_refused(out):
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"], "other": [1]}), row_file(out, "a"))
    with pytest.raises(InputError, match="must hold rows of this version's cohorts"):
        read_row(out, "a")


def test_a_folder_that_is_gone_is_said_when_a_row_is_written(tmp_path):
    with pytest.raises(OutputError, match="must lie in a folder that exists"):
        write_row(tmp_path / "gone", full_row())


def test_a_file_that_cannot_be_removed_after_gathering_is_said(out):
    row_file(out, "a").mkdir()
    with pytest.raises(OutputError, match=r"could not be written|must be writable|must be empty"):
        gather_rows(out, [full_row("a")])


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(CovidCTError, match=r"needs the package pyarrow.*covidct\[cohort\]"):
        require_pyarrow()
