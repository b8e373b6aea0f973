"""Manifests of cohorts."""

from __future__ import annotations

import datetime

import pyarrow
import pyarrow.parquet
import pytest

from CovidCTLib.cohort.manifest import read_manifest
from CovidCTLib.errors import CovidCTError, InputError


@pytest.fixture
def manifest(tmp_path):
    """A writer of manifests."""

    def write(text, encoding="utf-8"):
        file = tmp_path / "scans.csv"
        file.write_bytes(text.encode(encoding))
        return str(file)

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_column_is_read(manifest, tmp_path, separator):
    lines = ["Path,ID,Class,Patient,Date,remark", "a/x.nii,s1,CT-0,Jane,2020-03-01,fine", "/y.nii,s2,,,20200302,"]
    one, two = read_manifest(manifest("\ufeff" + "\n".join(lines).replace(",", separator)))
    assert (one.address, one.id, one.class_name) == (str(tmp_path / "a/x.nii"), "s1", "CT-0")
    assert (one.patient, one.study_date) == ("Jane", "2020-03-01")
    assert (two.address, two.class_name, two.patient, two.study_date) == ("/y.nii", "", "", "2020-03-02")


def test_a_parquet_manifest_is_read_alike(tmp_path):
    table = pyarrow.table(
        {
            "path": ["x.nii", "s3://bucket/y.nii"],
            "class": ["CT-0", None],
            "date": [datetime.date(2020, 3, 1), None],
            "patient": [7, None],
            "weight": [1.0, 2.0],
        }
    )
    file = tmp_path / "scans.parquet"
    pyarrow.parquet.write_table(table, file)
    one, two = read_manifest(str(file))
    assert (one.address, one.id, one.patient, one.study_date) == (str(tmp_path / "x.nii"), "", "7", "2020-03-01")
    assert (two.address, two.class_name, two.patient, two.study_date) == ("s3://bucket/y.nii", "", "", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\nx.nii,1\n", "with the column path .* but it is none of the columns that were found"),
        ("", "with the column path .* columns that were found .0."),
        ("path,id\n", "with one row a scan was expected, but it has none"),
        ("path,id\nx.nii,a\n,b\n", "must name a path, but row 2 has none"),
        ("path,id\nx.nii,a\ny.nii,A\n", "Every id of the manifest must occur once, but rows 1 and 2 have the same"),
        ("path,id\nx.nii,a\nx.nii,b\n", "Every path of the manifest must occur once, but rows 1 and 2"),
        ("path,id\nx.nii,../a\n", "must name files .* but that of row 1 cannot"),
        ("path,id\nx.nii,_gathered\n", "must name files .* but that of row 1 cannot"),
        ("path,id\nx.nii,a.\n", "must name files .* but that of row 1 cannot"),
        (f"path,id\nx.nii,{'a' * 65}\n", "must name files .* but that of row 1 cannot"),
        (f"path,class\nx.nii,{'a' * 65}\n", "class of the manifest must be a word of up to 64 characters"),
        ("path,date\nx.nii,March\n", "must have the form YYYY-MM-DD, but that of row 1 has not"),
        ("path,date\nx.nii,2020-02-30\n", "must have the form YYYY-MM-DD, but that of row 1 has not"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(manifest, text, message):
    with pytest.raises(InputError, match=message):
        read_manifest(manifest(text))


def test_a_message_names_rows_and_neither_ids_nor_paths(manifest):
    with pytest.raises(InputError) as caught:
        read_manifest(manifest("path,id\nx.nii,JaneDoe\ny.nii,JaneDoe\n"))
    assert "Jane" not in str(caught.value)


def test_another_encoding_is_refused(manifest):
    with pytest.raises(InputError, match="in UTF-8 was expected"):
        read_manifest(manifest("path,class\nx.nii,Lungenentzündung\n", "latin-1"))


def test_a_csv_with_endless_cells_is_refused(manifest):
    with pytest.raises(InputError, match="comma-separated values was expected"):
        read_manifest(manifest("path,id\n" + "x" * 200_000 + ",a\n"))


def test_a_parquet_file_that_is_none_is_refused(tmp_path):
    file = tmp_path / "scans.parquet"
    file.write_bytes(b"no table")
    with pytest.raises(InputError, match="in Parquet was expected, but this file is damaged"):
        read_manifest(str(file))


def test_a_manifest_that_is_missing_is_said(tmp_path):
    with pytest.raises(CovidCTError, match="but there is none"):
        read_manifest(str(tmp_path / "gone.csv"))
