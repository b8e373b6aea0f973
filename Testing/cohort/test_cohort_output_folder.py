"""The output folder of a run, and what is still to be done in it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from CovidCTLib.cohort.output_folder import Gatherer, check_run, opened_run, plan, pseudonym
from CovidCTLib.cohort.rows import PATIENT_KEY_FILE, ROWS_FOLDER, CohortRow, read_rows, write_row
from CovidCTLib.cohort.scans import CohortScan
from CovidCTLib.cohort.settings import CohortSettings, key_of, models_of, run_record
from CovidCTLib.errors import OptionsError, OutputError
from CovidCTLib.options import Options

RECORD = run_record(CohortSettings("fast"))


@pytest.fixture
def out(tmp_path):
    with opened_run(tmp_path / "out", RECORD) as folder:
        yield folder


def test_a_run_is_begun_in_a_new_folder_and_continued_by_the_same_settings(tmp_path):
    for _ in range(2):
        with opened_run(tmp_path / "out", RECORD) as folder:
            assert json.loads((folder / "run.json").read_text(encoding="utf-8")) == RECORD
            assert (folder / PATIENT_KEY_FILE).stat().st_mode & 0o077 == 0
            assert (folder / ROWS_FOLDER).is_dir()


def test_other_settings_are_refused_by_their_names(out):
    other = run_record(CohortSettings("fast", Options(vessel_hu=-400), images=False))
    with pytest.raises(OutputError, match=r"run with other settings \(images: True there, False now, vessel_hu: -500"):
        check_run(out, other)


def test_what_only_limits_a_run_is_no_other_setting():
    assert run_record(CohortSettings("fast", timeout_s=5, memory_gb=1)) == RECORD
    assert run_record(CohortSettings("fast", Options(threads=2))) != RECORD


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear", encoding="utf-8")
    with pytest.raises(OutputError, match="must be empty or not exist yet"):
        check_run(tmp_path, RECORD)


def test_a_damaged_record_is_refused(out):
    (out / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(OutputError, match=r"run\.json must say how its scans were measured, but it cannot be read"):
        check_run(out, RECORD)


def test_two_runs_at_a_time_are_refused(out):
    with pytest.raises(OutputError, match="must belong to one run at a time"), opened_run(out, RECORD):
        pass


def test_a_disk_that_fails_is_said_without_the_path(tmp_path):
    with pytest.raises(OutputError, match="more space than the disk"), opened_run(tmp_path / "out", RECORD):
        raise OSError(28, "No space left on device", "/home/JaneDoe")


def test_pseudonyms_are_stable_and_need_the_secret(out, monkeypatch, tmp_path):
    name = pseudonym(out, "Jane Doe")
    assert name == pseudonym(out, "Jane Doe") != pseudonym(out, "John Doe")
    assert "Jane" not in name
    assert len(name) == 13
    assert pseudonym(out, "") == ""
    monkeypatch.setenv("COVIDCT_PATIENT_KEY", "a secret of our own")
    both = []
    for part in ("one", "two"):
        with opened_run(tmp_path / part, RECORD) as folder:
            both.append(pseudonym(folder, "Jane Doe"))
    assert both[0] == both[1] != name
    (out / PATIENT_KEY_FILE).unlink()
    with pytest.raises(OutputError, match=r"patient\.key makes the patients' pseudonyms, but it is missing"):
        pseudonym(out, "Jane Doe")


def scans(count):
    return [CohortScan(f"s{index}", f"/in/{index}", bytes=index % 3, stamp=f"stamp{index}") for index in range(count)]


def test_the_largest_scans_come_first(out):
    tasks, finished = plan(out, scans(5), retry_failed=False)
    assert [task.scan.id for task in tasks] == ["s2", "s1", "s4", "s0", "s3"]
    assert finished == ()


def test_finished_scans_are_not_done_again_but_changed_ones_are(out):
    write_row(out, CohortRow("s0", stamp="stamp0"))
    write_row(out, CohortRow("s1", stamp="an older one"))
    write_row(out, CohortRow("s2", stamp="stamp2", status="failed", reason="No lungs."))
    tasks, finished = plan(out, scans(4), retry_failed=False)
    assert {task.scan.id: task.earlier and task.earlier.stamp for task in tasks} == {"s1": "an older one", "s3": None}
    assert [row.id for row in finished] == ["s0", "s2"]


def test_failed_scans_are_done_again_on_request(out):
    write_row(out, CohortRow("s0", stamp="stamp0"))
    write_row(out, CohortRow("s1", stamp="stamp1", status="timeout", reason="Too long."))
    tasks, _ = plan(out, scans(2), retry_failed=True)
    assert [task.scan.id for task in tasks] == ["s1"]
    assert [row.id for row in read_rows(out)] == ["s0"]


def test_what_the_source_says_of_a_finished_scan_is_kept_up_to_date(out):
    write_row(out, CohortRow("s0", stamp="stamp0", class_name="CT-0"))
    tasks, _ = plan(out, [replace(scans(1)[0], class_name="CT-4", patient="Jane")], retry_failed=False)
    assert tasks == ()
    (row,) = read_rows(out)
    assert (row.class_name, row.patient) == ("CT-4", pseudonym(out, "Jane"))


def test_rows_are_gathered_a_thousand_at_a_time(out, monkeypatch):
    monkeypatch.setattr("CovidCTLib.cohort.output_folder.GATHER_AFTER", 3)
    gatherer = Gatherer(out)
    counts = []
    for index in range(4):
        write_row(out, CohortRow(f"s{index}"))
        gatherer.add(CohortRow(f"s{index}"))
        counts.append(len(list((out / ROWS_FOLDER).iterdir())))
    gatherer.finish()
    assert counts == [1, 2, 1, 2]
    assert len(list((out / ROWS_FOLDER).iterdir())) == 1
    assert len(read_rows(out)) == 4


def test_the_networks_count_in_the_key():
    whole = models_of(CohortSettings("all"))
    assert [entry.split()[0] for entry in whole.split("; ")] == ["lungs", "opacities", "slices"]
    assert "lungs" not in models_of(CohortSettings("all", Options(lungs="contour")))
    assert models_of(CohortSettings("fast")) == ""
    assert key_of({"models": whole}, "ab") != key_of({"models": ""}, "ab") != key_of({"models": ""}, "cd")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"measures": "some"}, "measures must be one of all, fast, not 'some'"),
        ({"timeout_s": 0.0}, "timeout of a scan must be above 0 seconds, not 0"),
        ({"memory_gb": -1.0}, "memory of a process must be above 0 GB, not -1"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(OptionsError, match=message):
        CohortSettings(**values)
