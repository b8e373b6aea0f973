"""Walks through the panel in the real application, each step asserted there; they skip where none is given."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = "COVIDCT_SLICER_DIR"
"""Environment variable with the folder of a Slicer's SlicerConfig.cmake; without it the extension is not built."""

LONGEST_STANDSTILL_S = 0.1
"""While an analysis runs the application answers within this time."""


def check(found, code):
    """Every step held, and the application ended as it says."""
    wrong = [f"{entry['step']}: {entry['found']}" for entry in found["steps"] if not entry["held"]]
    assert not wrong, "\n".join(wrong)
    assert found["steps"]
    assert code == 0


def test_one_ct_from_its_sample_to_the_report(take_walk):
    found, code = take_walk("walk_analysis")
    check(found, code)


def test_segments_are_corrected_in_the_segment_editor_and_measured_again(take_walk):
    check(*take_walk("walk_editing"))


def test_an_analysis_can_be_cancelled_at_any_moment(take_walk):
    check(*take_walk("walk_cancelling"))


def test_three_studies_are_compared_saved_and_loaded(take_walk):
    check(*take_walk("walk_follow_up"))


def test_ten_analyses_leave_memory_level(take_walk):
    check(*take_walk("walk_memory"))


def test_a_folder_is_analyzed_in_the_panel(take_walk):
    check(*take_walk("walk_batch"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The extension, configured, built and installed by a real Slicer's build; the folder of its modules."""
    given = os.environ.get(BUILD)
    if not given:
        pytest.skip(f"no Slicer build was given (set {BUILD} to the folder of its SlicerConfig.cmake)")
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed")
    build, prefix = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("installed")
    for words in (
        ["cmake", "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={given}", "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", str(build)],
        ["cmake", "--install", str(build), "--prefix", str(prefix)],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return next(prefix.rglob("CovidCT.py")).parent


def test_the_installed_extension_works_alone_on_the_path(installed, take_walk):
    assert not list(installed.rglob("CovidCTLib/**/*.pyc"))
    assert list(installed.parents[2].rglob("share/**/CovidCT/LICENSE"))
    check(*take_walk("walk_cancelling", module_paths=(installed,)))
