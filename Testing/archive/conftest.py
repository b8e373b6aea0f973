"""Fixtures: small studies, Orthanc, listeners; each skips with the reason where a program or package is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom is not installed (pip install 'covidct[archive]')")
pytest.importorskip("highdicom", reason="highdicom is not installed (pip install 'covidct[dicom]')")

from archive_maker import ListenerProcess, Orthanc


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
