"""Result folders that are damaged, incomplete, or of another program."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from analysis_maker import change_record

from CovidCTLib.errors import InputError
from CovidCTLib.results.reading import read_analysis
from CovidCTLib.results.record import SCHEMA_VERSION
from CovidCTLib.results.stored_record import read_stored_record


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder of that name. Check the path"):
        read_stored_record(tmp_path / "nothing")


def test_a_foreign_folder_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"this folder holds no analysis.json. Give the folder that the results"):
        read_stored_record(tmp_path)


def test_a_half_written_folder_is_said(folder, tmp_path):
    (folder / "analysis.json").unlink()
    with pytest.raises(InputError, match=r"its writing was cut short, or files were removed"):
        read_stored_record(folder)
    partial = tmp_path / "other"
    (partial / ".covidct-partial-host-1-aa").mkdir(parents=True)
    with pytest.raises(InputError, match=r"its writing was cut short, or files were removed"):
        read_analysis(partial)


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "localization.nii.gz"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing.*Analyze the CT again"):
        read_analysis(folder)


def test_a_file_that_is_a_folder_cannot_be_read(folder):
    (folder / "localization.nii.gz").unlink()
    (folder / "localization.nii.gz").mkdir()
    with pytest.raises(InputError, match=r"localization.nii.gz of the result folder must be readable"):
        read_analysis(folder)


def test_a_record_that_the_system_refuses_is_said(folder, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "no")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(InputError, match=r"the system refuses analysis.json. Check its permissions"):
        read_stored_record(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_record_that_is_no_json_is_said(folder, content):
    (folder / "analysis.json").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or no JSON. Analyze the CT again"):
        read_stored_record(folder)


def test_a_huge_record_is_not_read(folder, monkeypatch):
    monkeypatch.setattr("CovidCTLib.results.stored_record.LARGEST_RECORD_BYTES", 10)
    with pytest.raises(InputError, match=r"is damaged or no JSON"):
        read_stored_record(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"made_by": "Other 1"}'])
def test_a_record_of_another_program_is_said(folder, content):
    (folder / "analysis.json").write_text(content)
    with pytest.raises(InputError, match=r"the folder's analysis.json is of another program"):
        read_stored_record(folder)


def test_a_newer_format_is_said(folder):
    change_record(folder, schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(InputError, match=r"these have format 2: a newer CovidCT wrote them. Update CovidCT"):
        read_analysis(folder)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema_version": "1"}, "schema_version"),
        ({"case": None}, "CaseDecision"),
        ({"case": {"positive": "yes"}}, "positive"),
        ({"measures": [{"region": "lungs"}]}, "name"),
        ({"measures": {}}, "Measurement"),
        ({"notices": [{"code": "a", "text": "b", "severity": "shout"}]}, "severity"),
        ({"slices": []}, None),
        ({"slices": [1]}, "slices"),
        ({"slices": [{}] * 12}, "index"),
        ({"slices": 3}, "slices"),
        ({"options": {"aeration_bands": [{"low_hu": 1}]}}, "high_hu"),
        ({"options": {"aeration_bands": [], "threads": 0}}, "a field"),
        ({"seconds": []}, "a field"),
        ({"geometry": {"shape_zyx": [2, 3]}}, "shape_zyx"),
        ({"geometry": {"shape_zyx": [2, 3, 0]}}, "shape_zyx"),
    ],
)
def test_a_record_with_a_field_that_cannot_be_used_is_said(folder, changes, field):
    change_record(folder, **changes)
    if field is None:
        assert read_analysis(folder).slices == ()
        return
    with pytest.raises(InputError, match=rf"{field!r} is missing or cannot be used"):
        read_analysis(folder)


def test_a_record_without_a_field_is_said(folder):
    path = folder / "analysis.json"
    record = json.loads(path.read_text())
    del record["case"]
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"'case' is missing or cannot be used"):
        read_analysis(folder)


@pytest.mark.parametrize("name", ["segmentation.seg.nrrd", "localization.nii.gz", "ct.nii.gz"])
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_truncated_file_is_named(folder, name, kept):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=rf"{name} of the result folder must be complete|{name} must be as CovidCT"):
        read_analysis(folder)


def test_a_file_with_more_behind_its_end_is_damaged(folder):
    path = folder / "localization.nii.gz"
    path.write_bytes(path.read_bytes() + gzip.compress(b"more"))
    with pytest.raises(InputError, match=r"localization.nii.gz of the result folder must be complete"):
        read_analysis(folder)


def test_no_memory_is_taken_for_a_grid_that_only_the_record_claims(folder):
    change_record(folder, geometry={"shape_zyx": [10**6, 10**6, 10**6]})
    with pytest.raises(InputError, match=r"must lie on the grid that analysis.json states"):
        read_analysis(folder)


def test_a_stream_that_is_longer_than_its_grid_is_not_inflated_further(folder):
    path = folder / "localization.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(1 << 20)))
    with pytest.raises(InputError, match=r"localization.nii.gz must lie on the grid"):
        read_analysis(folder)


def test_files_of_other_programs_are_said(folder):
    path = folder / "localization.nii.gz"
    good = gzip.decompress(path.read_bytes())
    for at, byte in ((344, b"x"), (70, b"\x08")):
        path.write_bytes(gzip.compress(good[:at] + byte + good[at + 1 :]))
        with pytest.raises(InputError, match=r"localization.nii.gz must be as CovidCT wrote it"):
            read_analysis(folder)
    path.write_bytes(gzip.compress(good))
    segmentation = folder / "segmentation.seg.nrrd"
    header, _, content = segmentation.read_bytes().partition(b"\n\n")
    voxels = bytearray(gzip.decompress(content))
    voxels[0] = 3
    segmentation.write_bytes(header + b"\n\n" + gzip.compress(bytes(voxels)))
    with pytest.raises(InputError, match=r"segmentation.seg.nrrd must be as CovidCT wrote it"):
        read_analysis(folder)
    segmentation.write_bytes(b"PNG")
    with pytest.raises(InputError, match=r"segmentation.seg.nrrd must be as CovidCT wrote it"):
        read_analysis(folder)


def test_a_localization_beyond_one_is_said(folder):
    path = folder / "localization.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[352:356] = np.float32(2).tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match=r"localization.nii.gz must hold values from 0 to 1"):
        read_analysis(folder)
