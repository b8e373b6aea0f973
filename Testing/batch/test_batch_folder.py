"""A folder of CTs: a folder of results each, a table of which is which, and a run that goes on where it stopped."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
from dataclasses import replace

import pytest

from CovidCTLib.batch import cases
from CovidCTLib.batch.cases import TABLE_FILE
from CovidCTLib.batch.run import ENDED_BEFORE, analyze_folder
from CovidCTLib.batch.table import COLUMNS, CaseTable
from CovidCTLib.errors import CancelledError, InputError, OptionsError, OutputError
from CovidCTLib.results.names import RECORD_FILE


@pytest.fixture
def folder(tmp_path):
    """A folder with three CTs, of which the second is damaged, and what is none."""
    source = tmp_path / "in"
    (source / "c dicom").mkdir(parents=True)
    (source / "c dicom" / "1.dcm").write_text("third")
    for name in ("a.nii.gz", "b_bad.nrrd", "notes.txt", ".hidden.nii"):
        (source / name).write_text(name)
    return source


def table_of(out):
    """Rows of the table, without the checksums and what was given of the grid."""
    with (out / TABLE_FILE).open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert tuple(head) == COLUMNS
    assert len({row[-1] for row in rows}) == len(rows)
    return [tuple(row[:-2]) for row in rows]


def analyzed(quick, source, out, **others):
    """Run the batch; gives what failed, and what was told of each case."""
    told = []
    options = others.pop("options", quick.options)
    failures = analyze_folder(source, out, options, quick.models, report=False, tell=told.append, **others)
    return failures, [(event.number, event.count, event.event, event.folder) for event in told]


DAMAGED = "The file is damaged. Copy it again."


def test_each_ct_gets_its_folder_and_its_row(quick, folder, tmp_path):
    shares = []
    failures, told = analyzed(quick, folder, tmp_path / "out", progress=lambda stage, share: shares.append(share))
    assert failures == (None, DAMAGED, None)
    assert [event[:3] for event in told] == [
        (1, 3, "begun"),
        (1, 3, "done"),
        (2, 3, "begun"),
        (2, 3, "failed"),
        (3, 3, "begun"),
        (3, 3, "done"),
    ]
    assert table_of(tmp_path / "out") == [
        ("a.nii.gz", "case_0001", "done", ""),
        ("b_bad.nrrd", "case_0002", "failed", DAMAGED),
        ("c dicom", "case_0003", "done", ""),
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["case_0001", "case_0003", TABLE_FILE]
    assert json.loads((tmp_path / "out" / "case_0003" / RECORD_FILE).read_text(encoding="utf-8"))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_a_second_run_keeps_what_is_finished_and_tries_the_rest_again(quick, folder, tmp_path):
    out = tmp_path / "out"
    analyzed(quick, folder, out)
    quick.read.clear()
    # A file that comes earlier in the order of the names gets a new number, the others keep theirs.
    (folder / "a first.nii").write_text("new")
    failures, told = analyzed(quick, folder, out)
    assert quick.read == ["a first.nii", "b_bad.nrrd"]
    assert failures == (None, None, DAMAGED, None)
    assert [event[2:] for event in told if event[2] != "begun"] == [
        ("done", "case_0004"),
        ("kept", "case_0001"),
        ("failed", "case_0002"),
        ("kept", "case_0003"),
    ]


def test_another_ct_of_the_same_name_is_not_taken_for_the_finished_one(quick, folder, tmp_path):
    out = tmp_path / "out"
    analyzed(quick, folder, out)
    (folder / "a.nii.gz").write_text("another CT")
    # The damaged one was mended, and keeps its number, under which there are no results yet.
    (folder / "b_bad.nrrd").write_text("mended, but bad by its name")
    analyzed(quick, folder, out)
    assert [row[:3] for row in table_of(out)] == [
        ("a.nii.gz", "case_0001", "done"),
        ("b_bad.nrrd", "case_0002", "failed"),
        ("c dicom", "case_0003", "done"),
        ("a.nii.gz", "case_0004", "done"),
    ]


def test_the_values_beside_a_header_belong_to_the_ct(tmp_path):
    (tmp_path / "a.mhd").write_text("header")
    (tmp_path / "a.raw").write_text("values")
    before = cases.content_of_case(tmp_path / "a.mhd")
    (tmp_path / "a.raw").write_text("other values")
    assert cases.content_of_case(tmp_path / "a.mhd") != before
    assert cases.content_of_case(tmp_path / "nowhere.nii") == ""


@pytest.mark.parametrize("error", [CancelledError("Cancelled."), KeyboardInterrupt()])
def test_a_run_that_is_stopped_goes_on_later(quick, folder, tmp_path, error):
    out = tmp_path / "out"

    def stop(name):
        if name == "c dicom":
            raise error

    quick.on = stop
    with pytest.raises(CancelledError, match="the CTs that were finished stay"):
        analyzed(quick, folder, out)
    assert [row[2] for row in table_of(out)] == ["done", "failed", "waiting"]
    assert sorted(path.name for path in out.iterdir()) == ["case_0001", TABLE_FILE]
    quick.on = lambda name: None
    _failures, told = analyzed(quick, folder, out)
    assert [event[2] for event in told if event[2] != "begun"] == ["kept", "failed", "done"]


def test_a_run_may_be_stopped_between_two_cases(quick, folder, tmp_path):
    asked = iter([False] * 4 + [True] * 9)
    with pytest.raises(CancelledError, match="Start again with both folders"):
        analyzed(quick, folder, tmp_path / "out", cancelled=lambda: next(asked))
    assert not list((tmp_path / "out").glob(".*"))


def test_after_an_end_in_the_middle_the_case_has_failed_and_the_rest_follows(quick, folder, tmp_path):
    out = tmp_path / "out"

    class DeadError(BaseException):
        pass

    def die(name):
        if name == "b_bad.nrrd":
            raise DeadError

    quick.on = die
    with pytest.raises(DeadError):
        analyzed(quick, folder, out)
    assert [row[2] for row in table_of(out)] == ["done", "running", "waiting"]
    (out / f".covidct-partial-{'0' * 8}-1-x").mkdir()
    quick.on = lambda name: None
    failures, told = analyzed(quick, folder, out, skip=2)
    assert failures == (None, ENDED_BEFORE, None)
    assert [event[:3] for event in told] == [(2, 3, "failed"), (3, 3, "begun"), (3, 3, "done")]
    assert table_of(out)[1] == ("b_bad.nrrd", "case_0002", "failed", ENDED_BEFORE)


def test_what_a_killed_run_left_is_removed(quick, folder, tmp_path):
    from CovidCTLib.writing.folder import temporary_name

    out = tmp_path / "out"
    out.mkdir()
    left = out / temporary_name().replace(f"-{os.getpid()}-", "-999999999-")
    left.mkdir()
    analyzed(quick, folder, out)
    assert not left.exists()


def test_results_that_are_complete_count_whatever_the_table_says(quick, folder, tmp_path):
    out = tmp_path / "out"
    analyzed(quick, folder, out)
    text = (out / TABLE_FILE).read_text(encoding="utf-8")
    (out / TABLE_FILE).write_text(text.replace("case_0001,done", "case_0001,running"), encoding="utf-8")
    _failures, told = analyzed(quick, folder, out)
    assert told[0][2] == "kept"
    assert table_of(out)[0][2] == "done"
    # Results that somebody removed are made again.
    for file in (out / "case_0003").iterdir():
        file.unlink()
    (out / "case_0003").rmdir()
    _failures, told = analyzed(quick, folder, out)
    assert told[-1] == (3, 3, "done", "case_0003")


def test_folders_of_an_earlier_version_without_a_table_are_left_alone(quick, folder, tmp_path):
    (tmp_path / "out" / "case_0007").mkdir(parents=True)
    analyzed(quick, folder, tmp_path / "out")
    assert [row[1] for row in table_of(tmp_path / "out")] == ["case_0008", "case_0009", "case_0010"]


def test_results_of_other_settings_are_not_mixed(quick, folder, tmp_path):
    out = tmp_path / "out"
    analyzed(quick, folder, out)
    before = (out / TABLE_FILE).read_bytes()
    with pytest.raises(OutputError, match="those in case_0001 were made with others"):
        analyzed(quick, folder, out, options=replace(quick.options, vessel_hu=-400))
    for card in quick.models.cards():
        card.sha256 = "0" * 64
    with pytest.raises(OutputError, match="settings, networks and version"):
        analyzed(quick, folder, out)
    assert (out / TABLE_FILE).read_bytes() == before


GIVEN = {"assume_axial": True, "geometry": "qform", "spacing_zyx_mm": (2.0, 0.7, 0.75)}


def test_what_is_given_of_the_grid_goes_to_every_ct_and_into_the_table(quick, folder, tmp_path):
    analyzed(quick, folder, tmp_path / "out", grid=GIVEN)
    assert quick.grid == GIVEN
    with (tmp_path / "out" / TABLE_FILE).open(encoding="utf-8", newline="") as file:
        assert {row["grid"] for row in csv.DictReader(file)} == {"assume axial, qform, spacing 2 0.7 0.75"}


@pytest.mark.parametrize(
    "other", [None, {**GIVEN, "spacing_zyx_mm": (2.0, 0.7, 0.7)}, {**GIVEN, "geometry": None}], ids=str
)
def test_results_of_another_grid_are_not_mixed(quick, folder, tmp_path, other):
    out = tmp_path / "out"
    analyzed(quick, folder, out, grid=GIVEN)
    with pytest.raises(OutputError, match="those in case_0001 were made with others"):
        analyzed(quick, folder, out, grid=other)
    _failures, told = analyzed(quick, folder, out, grid=GIVEN)
    assert [event[2] for event in told if event[2] != "begun"] == ["kept", "failed", "kept"]


def test_what_is_given_counts_for_cases_that_have_no_results_yet(quick, folder, tmp_path):
    (folder / "a.nii.gz").rename(folder / "a_bad.nii.gz")
    for name in ("b_bad.nrrd", "c dicom/1.dcm"):
        (folder / name).unlink()
    (folder / "c dicom").rmdir()
    assert analyzed(quick, folder, tmp_path / "out")[0] == (DAMAGED,)
    assert analyzed(quick, folder, tmp_path / "out", grid=GIVEN)[0] == (DAMAGED,)
    assert "assume axial, qform" in (tmp_path / "out" / TABLE_FILE).read_text(encoding="utf-8")


def test_a_spacing_that_is_none_is_told_before_any_case(quick, folder, tmp_path):
    with pytest.raises(OptionsError, match=r"not 2 0 0\.7"):
        analyzed(quick, folder, tmp_path / "out", grid={**GIVEN, "spacing_zyx_mm": (2.0, 0.0, 0.7)})
    assert not (tmp_path / "out").exists()


def test_the_device_and_the_threads_may_be_others(quick, folder, tmp_path):
    analyzed(quick, folder, tmp_path / "out")
    _failures, told = analyzed(quick, folder, tmp_path / "out", options=replace(quick.options, device="cpu", threads=1))
    assert told[0][2] == "kept"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("Jane Doe"), r"made a mistake with this CT \(ZeroDivisionError\)"),
        (MemoryError(), "too little free memory for this CT"),
    ],
)
def test_an_unknown_error_of_one_case_is_told_by_its_kind_alone(quick, folder, tmp_path, error, reason):
    def fail(name):
        if name == "a.nii.gz":
            raise error

    quick.on = fail
    failures, _told = analyzed(quick, folder, tmp_path / "out")
    assert failures[2] is None
    assert re.search(reason, failures[0])
    assert "Jane" not in failures[0]


def test_a_folder_of_results_is_no_ct(quick, folder, tmp_path):
    (folder / "c dicom" / RECORD_FILE).write_text("{}")
    failures, _told = analyzed(quick, folder, tmp_path / "out")
    assert "this is a folder of results" in failures[2]


def test_a_full_disk_ends_the_run_and_what_is_done_stays(quick, folder, tmp_path, monkeypatch):
    import CovidCTLib.results

    write = CovidCTLib.results.write_results

    def full(analysis, out, **others):
        if out.name == "case_0003":
            raise OutputError("The results need more space.")
        return write(analysis, out, **others)

    monkeypatch.setattr(CovidCTLib.results, "write_results", full)
    with pytest.raises(OutputError, match="more space"):
        analyzed(quick, folder, tmp_path / "out")
    assert [row[2] for row in table_of(tmp_path / "out")] == ["done", "failed", "waiting"]


def test_networks_or_a_device_that_cannot_be_used_are_told_before_any_case(quick, folder, tmp_path):
    def refuse():
        raise OptionsError("There is no such device.")

    quick.models.load_own = refuse
    with pytest.raises(OptionsError, match="no such device"):
        analyzed(quick, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_results_in_the_folder_of_the_cts(quick, folder):
    with pytest.raises(OutputError, match="need a folder of their own"):
        analyzed(quick, folder, folder)
    # In a subfolder of it they are no CT when the run goes on.
    for _ in range(2):
        assert len(analyzed(quick, folder, folder / "results")[0]) == 3


def test_a_folder_of_nothing_but_results_is_told(folder, tmp_path):
    (tmp_path / "alone" / "results").mkdir(parents=True)
    with pytest.raises(InputError, match="this one holds none"):
        cases.cases_beside(tmp_path / "alone", tmp_path / "alone" / "results")


@pytest.mark.parametrize(
    "text",
    ["name,size\na.nii,3\n", "", f"{','.join(COLUMNS)}\na.nii,../../elsewhere,done,,\n", f"{','.join(COLUMNS)}\na\n"],
)
def test_a_table_of_another_program_is_refused(quick, folder, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / TABLE_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match="changed or is of another program"):
        analyzed(quick, folder, tmp_path / "out")
    assert (tmp_path / "out" / TABLE_FILE).read_text(encoding="utf-8") == text


def test_a_table_that_no_csv_reader_takes_is_refused(tmp_path):
    (tmp_path / TABLE_FILE).write_text('"' + "x" * (csv.field_size_limit() + 1) + '"\n', encoding="utf-8")
    with pytest.raises(OutputError, match="of another program"):
        CaseTable(tmp_path)


def test_a_folder_that_cannot_be_read_or_written_is_told(quick, folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError):
        analyzed(quick, folder, tmp_path / "file" / "out")

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr("CovidCTLib.batch.table.highest_case_number", refuse)
    with pytest.raises(OutputError, match=r"system refuses \(Permission denied\)"):
        CaseTable(tmp_path / "out")


def test_names_of_any_bytes_and_line_breaks_come_back_as_they_were(quick, tmp_path):
    if os.name != "posix":
        pytest.skip("names of files are Unicode there")
    source = tmp_path / "in"
    source.mkdir()
    for name in (b"line\nbreak.nii", b'\xff\xfe, of "old" times.nii'):
        (source / os.fsdecode(name)).write_bytes(name)
    analyzed(quick, source, tmp_path / "out")
    quick.read.clear()
    _failures, told = analyzed(quick, source, tmp_path / "out")
    assert [event[2] for event in told] == ["kept", "kept"]
    assert quick.read == []


def test_a_folder_with_cts_that_is_none_or_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="there is none at this path"):
        cases.cases_of_folder(tmp_path / "nowhere")

    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "iterdir", refuse)
        with pytest.raises(InputError, match=r"the system refuses \(Permission denied\)"):
            cases.cases_of_folder(tmp_path)
