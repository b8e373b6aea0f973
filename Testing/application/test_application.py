"""Walks through the panel in the real application, each step asserted there; they skip where none is given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = "COVIDCT_SLICER_DIR"
"""Environment variable with the folder of a Slicer's SlicerConfig.cmake; without it the extension is not built."""

LONGEST_STANDSTILL_S = 0.1
"""While an analysis runs the extension keeps the application from answering for no longer."""


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


def test_results_that_are_wanted_no_more_while_they_come_leave_nothing(take_walk):
    check(*take_walk("walk_adding"))


def test_three_studies_are_compared_saved_and_loaded(take_walk):
    check(*take_walk("walk_follow_up"))


def test_ten_analyses_leave_memory_level(take_walk):
    check(*take_walk("walk_memory"))


def test_a_folder_is_analyzed_in_the_panel(take_walk):
    check(*take_walk("walk_batch"))


@pytest.fixture
def a_dicom_ct(tmp_path):
    """Folder with a synthetic chest as a DICOM series."""
    sys.path.insert(0, str(ROOT / "Testing" / "reading"))
    from dicom_maker import write_series

    from CovidCTLib.phantom import make_chest_phantom

    scan = make_chest_phantom().scan
    x, y, z = scan.geometry.spacing_xyz_mm
    left, back, low = scan.geometry.origin_lps_mm
    positions = [(left, back, low + z * index) for index in range(len(scan.hu))]
    frame = "1.2.826.0.1.3680043.8.498.88"
    folder = tmp_path / "ct"
    write_series(folder, scan.hu, positions=positions, pixel_spacing=(y, x), distance=z, FrameOfReferenceUID=frame)
    return folder


def test_results_go_into_the_dicom_study_and_come_back_from_there(take_walk, a_dicom_ct, monkeypatch):
    monkeypatch.setenv("COVIDCT_WALK_CT", str(a_dicom_ct))
    check(*take_walk("walk_dicom"))


@pytest.fixture
def a_ct_of_300_slices(tmp_path):
    """A real CT, resampled along the body."""
    import SimpleITK as sitk

    source = ROOT.parent / "shared" / "data" / "volumes" / "case_09_ct.nii.gz"
    if not source.is_file():
        pytest.skip("the shared CTs are not there")
    image = sitk.ReadImage(str(source))
    x, y, z = image.GetSize()
    spacing = (*image.GetSpacing()[:2], image.GetSpacing()[2] * (z - 1) / 299)
    grid = (image.GetOrigin(), spacing, image.GetDirection())
    path = tmp_path / "ct.nrrd"
    thin = sitk.Resample(image, (x, y, 300), sitk.Transform(), sitk.sitkLinear, *grid, -1000.0, sitk.sitkInt16)
    sitk.WriteImage(thin, str(path))
    return path


@pytest.mark.parametrize("large", [False, True], ids=["sample", "300 slices"])
def test_the_interface_answers_while_an_analysis_runs(take_walk, monkeypatch, request, large):
    if large:
        monkeypatch.setenv("COVIDCT_WALK_CT", str(request.getfixturevalue("a_ct_of_300_slices")))
    found, code = take_walk("walk_standstill")
    check(found, code)
    # By the clock other programs count, too, so the bound is for what the main thread computed. The longest drawing of
    # one view within a standstill is Slicer's own; all else is the extension's, such as a second view drawn with it.
    for when in ("first", "second", "surfaces_after_second"):
        _by_clock, computed = found["measured"][f"standstill_{when}_s"]["without_drawing"]
        assert computed <= LONGEST_STANDSTILL_S, found["measured"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The extension, configured and built by a real Slicer's build; its build folder."""
    given = os.environ.get(BUILD)
    if not given:
        pytest.skip(f"no Slicer build was given (set {BUILD} to the folder of its SlicerConfig.cmake)")
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed")
    build = tmp_path_factory.mktemp("build")
    run("cmake", "-S", ROOT, "-B", build, f"-DSlicer_DIR={given}", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", build)
    return build


def run(*words):
    """Run a command, which must succeed; give what it wrote."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def test_the_built_extension_passes_its_own_tests(built, display):
    told = run(*display, "ctest", "--test-dir", built, "--output-on-failure")
    assert "100% tests passed" in told


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The built extension, installed; the folder of its modules."""
    prefix = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", built, "--prefix", prefix)
    return next(prefix.rglob("CovidCT.py")).parent


def test_the_installed_extension_works_alone_on_the_path(installed, take_walk):
    assert not list(installed.rglob("CovidCTLib/**/*.pyc"))
    assert list(installed.parents[2].rglob("share/**/CovidCT/LICENSE"))
    check(*take_walk("walk_cancelling", module_paths=(installed,)))
