"""Fixtures: a CT as DICOM, its analysis, its DICOM results, and the validators."""

from __future__ import annotations

import shutil
import subprocess

import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (pip install 'covidct[dicom]')")
pytest.importorskip("plutoprint", reason="PlutoPrint is not installed (pip install 'covidct[pdf]')")

from study_maker import analyzed, write_ct

from CovidCTLib.dicom_results import write_dicom


@pytest.fixture(scope="session")
def ct_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "ct"
    write_ct(folder)
    return folder


@pytest.fixture(scope="session")
def an_analysis(ct_folder):
    return analyzed(ct_folder)


@pytest.fixture(scope="session")
def results(an_analysis, tmp_path_factory):
    """Folder of the DICOM results, with a binary segmentation; only read it."""
    folder = tmp_path_factory.mktemp("results") / "dicom"
    write_dicom(an_analysis, folder)
    return folder


@pytest.fixture
def validate():
    """Run a validator on a file; gives the lines that it says. Skips where it is not installed."""

    def run(program, *arguments):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: dicom3tools has dciodvfy, dcmtk has dsrdump)")
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False)
        return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()

    return run
