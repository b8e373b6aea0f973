"""The batch script in the real application without its window: whatever happens, it ends by a code and one line."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "CovidCT"
SCRIPT = MODULE / "Resources" / "Examples" / "slicer_batch.py"

APPLICATION = "SlicerApp-real"
"""Name of the application's process, which the launcher starts."""

LONGEST_S = 900
END_S = 120
"""Seconds in which the application ends after a signal; generous, for busy machines."""

FAILING = """
import runpy, sys
import CovidCT
def fail(self, *given, **named):
    raise RuntimeError("Doe^Jane")
CovidCT.CovidCTLogic.analyzeFolder = fail
runpy.run_path({script!r})
"""


@pytest.fixture(scope="module")
def cts(tmp_path_factory):
    """A folder with two CTs."""
    import SimpleITK as sitk

    from CovidCTLib.phantom import make_chest_phantom

    folder = tmp_path_factory.mktemp("cts")
    scan = make_chest_phantom().scan
    image = scan.geometry.to_image(scan.hu)
    for name in ("a", "b"):
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"), True)
    return folder


@pytest.fixture
def start(slicer_program, tmp_path):
    """Start the application with a script and its arguments; what is left at the end is ended."""
    started = []

    def begin(script, *arguments):
        words = [slicer_program, "--no-splash", "--ignore-slicerrc", "--no-main-window"]
        words += ["--additional-module-paths", str(MODULE), "--python-script", str(script), *map(str, arguments)]
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        log = (tmp_path / f"log-{len(started)}.txt").open("wb")
        pipe = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
        process = subprocess.Popen(words, env=environment, stdout=pipe.stdin, stderr=subprocess.STDOUT)
        pipe.stdin.close()
        started.append((process, pipe, Path(log.name)))
        return process

    begin.said = lambda: started[-1][2].read_text(errors="replace")
    yield begin
    for process, pipe, _log in started:
        application = application_of(process.pid)
        if application is not None:
            os.kill(application, signal.SIGKILL)
        process.kill()
        process.wait()
        pipe.wait()


def application_of(pid):
    """Process of the application among those that came from another; None where it does not run."""
    try:
        if Path(f"/proc/{pid}/comm").read_text().strip() == APPLICATION:
            return pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    found = (application_of(int(child)) for child in children)
    return next((child for child in found if child is not None), None)


def last_lines(start):
    """What the script itself said when something was wrong."""
    return [line for line in start.said().splitlines() if line.startswith("slicer_batch: ")]


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def test_a_folder_is_analyzed_and_goes_on_where_it_stopped(start, cts, tmp_path):
    out = tmp_path / "out"
    for word in ("done", "finished before"):
        assert start(SCRIPT, cts, out).wait(LONGEST_S) == 0, start.said()
        assert [line for line in start.said().splitlines() if f"Case 2 of 2: {word}" in line]
        assert last_lines(start) == []
    assert (out / "case_0002" / "analysis.json").is_file()
    assert (out / "cases.csv").is_file()
    assert hidden(out) == []


def test_a_folder_that_is_not_there_ends_by_a_line(start, tmp_path):
    assert start(SCRIPT, tmp_path / "none", tmp_path / "out").wait(LONGEST_S) == 1
    (line,) = last_lines(start)
    assert "folder" in line


def test_an_error_inside_ends_by_a_line_that_tells_nothing_of_a_patient(start, cts, tmp_path):
    script = tmp_path / "failing.py"
    script.write_text(FAILING.format(script=str(SCRIPT)))
    assert start(script, cts, tmp_path / "out").wait(LONGEST_S) == 1
    (line,) = last_lines(start)
    assert "RuntimeError" in line
    assert "Jane" not in start.said()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are found in Linux's /proc")
@pytest.mark.parametrize(
    ("number", "target"),
    [(signal.SIGINT, "application"), (signal.SIGTERM, "application"), (signal.SIGTERM, "launcher")],
)
def test_a_signal_ends_it_and_what_was_done_stays(start, cts, tmp_path, number, target):
    out = tmp_path / "out"
    process = start(SCRIPT, cts, out)
    until((out / "case_0001").exists, LONGEST_S)
    application = application_of(process.pid)
    assert application is not None
    launcher = int(Path(f"/proc/{application}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(application if target == "application" else launcher, number)
    until(lambda: application_of(application) is None, END_S)
    code = process.wait(END_S)
    if target == "application":
        assert code == 1
        assert len(last_lines(start)) == 1
        assert "the CTs that were finished stay" in last_lines(start)[0]
    assert (out / "case_0001" / "analysis.json").is_file()
    assert not (out / "case_0002").exists()
    assert hidden(out) == []
