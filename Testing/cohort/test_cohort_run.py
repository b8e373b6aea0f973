"""Runs on this computer: every way in which a scan ends, and runs that are killed and continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cohort_stand_ins import RESULT_FILE, STAND_IN, VOLATILE_COLUMNS, make_source

from CovidCTLib.cohort.local import measure_here
from CovidCTLib.cohort.memory import free_gb, peak_resident_gb, resident_gb, usable_processes
from CovidCTLib.cohort.process import ScanProcess
from CovidCTLib.cohort.rows import SCANS_FOLDER, read_rows
from CovidCTLib.cohort.run import EngineChoice, run_cohort
from CovidCTLib.cohort.scans import CohortScan, Task
from CovidCTLib.cohort.settings import CohortSettings, run_record
from CovidCTLib.cohort.sources import find_scans
from CovidCTLib.cohort.worker import Work, measure_scan
from CovidCTLib.errors import CovidCTError, InputError, OptionsError, OutputError

ROOT = Path(__file__).resolve().parents[2]


def stand_in_settings(**values):
    return CohortSettings("fast", analyzer=STAND_IN, **values)


def same(rows):
    """Rows without what differs from run to run."""
    return [{name: value for name, value in asdict(row).items() if name not in VOLATILE_COLUMNS} for row in rows]


posix = pytest.mark.skipif(os.name != "posix", reason="processes are limited and killed the POSIX way")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A finished run over a scan of every fate: its source, folder, outcome and progress."""
    if os.name != "posix":
        pytest.skip("processes are limited and killed the POSIX way")
    home = tmp_path_factory.mktemp("troubled")
    words = ["measure", "refuse", "mistake", "die", "kill", "eat 1", "measure 7"]
    source = make_source(home / "source", words)
    seen = []
    settings = stand_in_settings(memory_gb=0.7)
    outcome = run_cohort(
        find_scans(str(source)), home / "out", settings, engine=EngineChoice(processes=2), progress=seen.append
    )
    return source, home / "out", outcome, seen


def rows_by_number(source, out):
    numbers = {scan.id: int(Path(scan.address).stem[-4:]) for scan in find_scans(str(source))}
    return {numbers[row.id]: row for row in read_rows(out)}


def test_every_scan_has_one_row_with_its_fate(troubled):
    source, out, outcome, _ = troubled
    rows = rows_by_number(source, out)
    fates = ["ok", "failed", "failed", "killed", "killed", "memory", "ok"]
    assert [rows[index].status for index in range(7)] == fates
    assert (outcome.scans, outcome.measured, outcome.kept) == (7, 7, 0)
    assert sum(count for _, _, count in outcome.failures) == 5


def test_the_reasons_tell_what_happened_and_no_name(troubled):
    source, out, _, _ = troubled
    rows = rows_by_number(source, out)
    assert rows[1].reason == "A chest CT was expected, but this is a knee. Give a chest CT."
    assert "made a mistake with this scan (KeyError)" in rows[2].reason
    assert "ended all of a sudden with code 7" in rows[3].reason
    assert "ended by signal SIGKILL" in rows[4].reason
    assert "may take 0.7 GB of memory, but took more" in rows[5].reason
    assert not any("Jane" in row.reason or str(source) in row.reason for row in rows.values())


def test_measures_and_results_of_the_good_scans_are_there(troubled):
    source, out, _, _ = troubled
    rows = rows_by_number(source, out)
    assert rows[6].vessel_ratio_percent == 7 / 3
    assert rows[6].notices == ("thick-slices",)
    assert rows[6].content_sha256
    assert rows[6].peak_memory_gb > 0
    assert (out / SCANS_FOLDER / rows[6].id / RESULT_FILE).read_text(encoding="utf-8") == "7"
    assert {folder.name for folder in (out / SCANS_FOLDER).iterdir()} == {rows[0].id, rows[6].id}


def test_progress_counts_up_to_the_end(troubled):
    seen = troubled[3]
    assert [entry.done for entry in seen] == list(range(8))
    assert (seen[-1].scans, seen[-1].failed) == (7, 5)


def test_a_finished_run_starts_no_process(troubled, monkeypatch):
    source, out, _, _ = troubled
    monkeypatch.setattr(subprocess, "Popen", None)
    outcome = run_cohort(find_scans(str(source)), out, stand_in_settings())
    assert (outcome.measured, outcome.kept) == (0, 7)
    assert sum(count for _, _, count in outcome.failures) == 5


def test_a_scan_that_hangs_is_given_up(work):
    source = make_source(work.out.parent / "source", ["hang"])
    hurried = replace(work, settings=stand_in_settings(timeout_s=0.5))
    (row,) = measure_here([Task(scan) for scan in find_scans(str(source))], hurried, 1)
    assert (row.status, row.vessel_ratio_percent) == ("timeout", None)
    assert "must be done in 0.5 s, but took longer. Allow more with --timeout." in row.reason
    assert read_rows(work.out) == (row,)


@pytest.mark.parametrize("where", ["in the analyzer", "in the fetching"])
def test_no_reason_of_a_failure_holds_the_address(work, monkeypatch, where):
    folder = make_source(work.out.parent / "Doe^Jane", ["measure"])
    (scan,) = find_scans(str(folder))

    def fails(*_, **__):
        raise InputError(f"A chest CT was expected at\n{scan.address}, but it is a knee. Look at {scan.address}.")

    if where == "in the fetching":
        monkeypatch.setattr("CovidCTLib.cohort.worker.local_copy", fails)
    row = measure_scan(Task(scan), work, fails)
    assert row.status == "failed"
    assert row.reason == "A chest CT was expected at the scan, but it is a knee. Look at the scan."
    assert read_rows(work.out) == (row,)


@pytest.fixture
def work(tmp_path):
    settings = stand_in_settings()
    for name in ("rows", "scans"):
        (tmp_path / "out" / name).mkdir(parents=True)
    return Work(tmp_path / "out", settings, run_record(settings))


def test_touched_scans_keep_their_rows_and_changed_ones_get_new_ones(tmp_path):
    source = make_source(tmp_path / "source", ["measure 1", "measure 2", "measure 3"])
    out = tmp_path / "out"
    run_cohort(find_scans(str(source)), out, stand_in_settings(), engine=EngineChoice(processes=1))
    before = rows_by_number(source, out)
    os.utime(source / "scan_0000.nii", (1, 1))
    (source / "scan_0001.nii").write_text("scan measure 20", encoding="utf-8")
    (source / "scan_0002.nii").write_text("scan refuse 1", encoding="utf-8")
    outcome = run_cohort(find_scans(str(source)), out, stand_in_settings(), engine=EngineChoice(processes=1))
    after = rows_by_number(source, out)
    assert outcome.measured == 3
    assert (after[0].finished, after[0].key) == (before[0].finished, before[0].key)
    assert after[0].stamp != before[0].stamp
    assert after[1].vessel_ratio_percent == 20 / 3
    assert after[2].status == "failed"


PROGRAM = """
import sys
from CovidCTLib.cohort.run import EngineChoice, run_cohort
from CovidCTLib.cohort.settings import CohortSettings
from CovidCTLib.cohort.sources import find_scans
settings = CohortSettings("fast", analyzer=sys.argv[3])
run_cohort(find_scans(sys.argv[1]), sys.argv[2], settings, engine=EngineChoice(processes=2))
"""


def started_run(source, out):
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(source), str(out), STAND_IN], env=environment)


def await_rows(out, count):
    end = time.monotonic() + 60
    while len(list(out.glob("rows/scan-*"))) < count:
        assert time.monotonic() < end
        time.sleep(0.02)


@posix
def test_a_run_that_is_killed_outright_is_continued_without_doing_anything_twice(tmp_path):
    source = make_source(tmp_path / "source", ["wait 0.15"] * 12)
    out = tmp_path / "out"
    process = started_run(source, out)
    await_rows(out, 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)
    before = {row.id: row for row in read_rows(out)}
    assert 3 <= len(before) < 12

    outcome = run_cohort(find_scans(str(source)), out, stand_in_settings(), engine=EngineChoice(processes=2))
    after = {row.id: row for row in read_rows(out)}
    assert (len(after), outcome.kept, outcome.measured) == (12, len(before), 12 - len(before))
    assert all(after[name] == row for name, row in before.items())
    assert all(row.status == "ok" for row in after.values())
    assert not list(out.rglob(".covidct-partial-*"))
    results = sorted(path.parent.name for path in out.glob(f"scans/*/{RESULT_FILE}"))
    assert results == sorted(after)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are found in Linux's /proc")
def test_the_processes_end_with_the_run_that_started_them(tmp_path):
    source = make_source(tmp_path / "source", ["hang", "wait 0.01"])
    process = started_run(source, tmp_path / "out")
    await_rows(tmp_path / "out", 1)
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    numbers = [int(number) for file in children for number in file.read_text(encoding="ascii").split()]
    assert numbers
    process.kill()
    process.wait()
    end = time.monotonic() + 5
    while any(Path(f"/proc/{number}/exe").exists() for number in numbers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{number}/exe").exists() for number in numbers)


def test_rows_do_not_depend_on_the_number_of_processes(tmp_path):
    source = make_source(tmp_path / "source", [f"measure {number}" for number in (0.1, 1.7, 3.3)] + ["refuse"])
    for processes in (1, 2):
        run_cohort(
            find_scans(str(source)),
            tmp_path / f"out{processes}",
            stand_in_settings(),
            engine=EngineChoice(processes=processes),
        )
    assert same(read_rows(tmp_path / "out1")) == same(read_rows(tmp_path / "out2"))


@posix
def test_a_full_disk_stops_the_run_and_keeps_what_is_finished(tmp_path):
    source = make_source(tmp_path / "source", ["measure 3", "full 123", "measure 5"])
    out = tmp_path / "out"
    (source / "scan_0000.nii").write_text("scan measure 3".ljust(999), encoding="utf-8")
    (source / "scan_0001.nii").write_text("scan full 123".ljust(888), encoding="utf-8")
    with pytest.raises(OutputError, match="The results need more space than the disk"):
        run_cohort(find_scans(str(source)), out, stand_in_settings(), engine=EngineChoice(processes=1))
    assert [row.vessel_ratio_percent for row in read_rows(out)] == [1.0]
    assert not list(out.rglob(".covidct-partial-*"))
    (source / "scan_0001.nii").write_text("scan measure 123", encoding="utf-8")
    outcome = run_cohort(find_scans(str(source)), out, stand_in_settings(), engine=EngineChoice(processes=1))
    assert (outcome.kept, outcome.measured, len(read_rows(out))) == (1, 2, 3)


def test_an_analyzer_that_cannot_be_loaded_stops_the_run_at_once(tmp_path):
    source = make_source(tmp_path / "source", ["measure"])
    settings = CohortSettings("fast", analyzer="nowhere:nothing")
    with pytest.raises(OptionsError, match="of the form module:function was expected, but 'nowhere:nothing'"):
        run_cohort(find_scans(str(source)), tmp_path / "out", settings)


def test_a_process_that_never_gets_ready_is_given_up(work, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CovidCTError, match="expected to start, but it ended 3 times before it was ready"):
        ScanProcess(work).run(Task(CohortScan("a", "/nowhere")))


def test_a_closed_process_measures_no_more(work):
    process = ScanProcess(work)
    process.close()
    with pytest.raises(CovidCTError, match="expected to measure scans, but it was closed"):
        process.run(Task(CohortScan("a", "/nowhere")))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "cloud"}, "engine must be one of local, spark, not 'cloud'"),
        ({"processes": 0}, "number of processes must be at least 1, not 0"),
        ({"master": "spark://host:7077"}, "belong to the engine spark, but the engine is local"),
    ],
)
def test_engines_that_there_are_not_are_refused(values, message):
    with pytest.raises(OptionsError, match=message):
        EngineChoice(**values)


def test_no_process_at_all_is_refused(work):
    with pytest.raises(OptionsError, match="must be at least 1, not 0"):
        next(measure_here([Task(CohortScan("a", "/nowhere"))], work, 0))


def test_the_number_of_processes_follows_the_memory(monkeypatch):
    cores = usable_processes(1e-6)
    assert 1 <= cores <= (os.cpu_count() or 1)
    assert usable_processes(1e6) == 1
    monkeypatch.setattr("CovidCTLib.cohort.memory.free_gb", lambda: None)
    assert usable_processes(1e6) == cores


def test_memory_is_measured():
    assert 0.02 < resident_gb(os.getpid()) < 10
    assert 0.02 < peak_resident_gb() < 10
    assert free_gb() > 0
    assert resident_gb(2**22 + 1) is None


def test_without_psutil_memory_is_not_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert resident_gb(os.getpid()) is None
    assert free_gb() is None


def test_windows_tells_the_peak_by_psutil(monkeypatch):
    told = SimpleNamespace(
        Process=lambda: SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=2_500_000_000))
    )
    monkeypatch.setitem(sys.modules, "psutil", told)
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_resident_gb() == 2.5
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert peak_resident_gb() is None
