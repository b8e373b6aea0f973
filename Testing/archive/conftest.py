"""Fixtures: small studies, Orthanc, listeners; each skips with the reason where a program or package is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom is not installed (pip install 'covidct[archive]')")
pytest.importorskip("highdicom", reason="highdicom is not installed (pip install 'covidct[dicom]')")

from archive_maker import ListenerProcess, Orthanc

from CovidCTLib.archive import service as service_module
from CovidCTLib.archive.sending import ArchiveAwayError, SendOutcome
from CovidCTLib.archive.spool import Spool


@pytest.fixture
def orthanc(tmp_path):
    """A running archive, empty."""
    if shutil.which("Orthanc") is None and not Path("/usr/sbin/Orthanc").exists():
        pytest.skip("Orthanc is not installed (Debian: apt-get install orthanc)")
    one = Orthanc(tmp_path / "orthanc").start()
    yield one
    one.stop()


@pytest.fixture
def a_listener(tmp_path):
    """Starts listeners with a stand-in analysis; ends them afterwards."""
    started = []

    def start(archive, **how):
        one = ListenerProcess(how.pop("spool", tmp_path / "spool"), archive, **how)
        started.append(one)
        return one.start()

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def spool(tmp_path):
    """A queue of its own."""
    one = Spool(tmp_path / "spool")
    yield one
    one.close()


@pytest.fixture
def archive(monkeypatch):
    """A stand-in for the archive: a list of what it took, and what it does with the next objects."""

    class Archive:
        def __init__(self):
            self.taken, self.away, self.refuses = [], False, ()

        def send(self, files, node, title, done):
            for file in files:
                if self.away:
                    raise ArchiveAwayError("The archive is away.")
                refused = file.name in self.refuses
                if not refused:
                    self.taken.append(file.name)
                done(SendOutcome(file, not refused, "it speaks no SEG" if refused else ""))

    one = Archive()
    monkeypatch.setattr(service_module, "send", one.send)
    return one
