"""All results of an analysis, as a user finds them in the folder."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from analysis_maker import all_orientations, make_analysis

import CovidCTLib
from CovidCTLib import results
from CovidCTLib.errors import CancelledError, OutputError
from CovidCTLib.results import write_results

FILES = [
    "analysis.json",
    "labelmap.nii.gz",
    "localization.nii.gz",
    "measures.csv",
    "segmentation.seg.nrrd",
    "slices.csv",
]


@pytest.fixture
def analysis():
    return make_analysis()


def test_every_file_is_there_and_named_in_the_answer(analysis, tmp_path):
    paths = write_results(analysis, tmp_path / "out", report=False)
    assert [path.name for path in paths] == FILES
    assert all(path.stat().st_size > 0 for path in paths)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == FILES


def test_the_report_is_written_unless_it_is_not_wanted(analysis, tmp_path):
    paths = write_results(analysis, tmp_path / "out")
    assert [path.name for path in paths] == sorted([*FILES, "report.html"])
    assert "<html" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_scan_is_written_on_request_with_its_own_hu(analysis, tmp_path):
    write_results(analysis, tmp_path / "out", report=False, scan=True)
    image = sitk.ReadImage(str(tmp_path / "out" / "ct.nii.gz"))
    assert image.GetPixelID() == sitk.sitkInt16
    assert np.array_equal(sitk.GetArrayFromImage(image), analysis.scan.hu)


@pytest.mark.parametrize("direction", all_orientations()[::5])
def test_images_come_back_on_the_scans_own_grid(tmp_path, direction):
    analysis = make_analysis(direction)
    write_results(analysis, tmp_path / "out", report=False)
    labelmap = sitk.ReadImage(str(tmp_path / "out" / "labelmap.nii.gz"))
    localization = sitk.ReadImage(str(tmp_path / "out" / "localization.nii.gz"))
    assert labelmap.GetPixelID() == sitk.sitkUInt8
    assert localization.GetPixelID() == sitk.sitkFloat32
    assert np.array_equal(sitk.GetArrayFromImage(labelmap), analysis.labelmap)
    assert np.array_equal(sitk.GetArrayFromImage(localization), analysis.localization)
    for image in (labelmap, localization):
        assert np.allclose(image.GetOrigin(), analysis.scan.geometry.origin_lps_mm, atol=1e-4)
        assert np.allclose(image.GetSpacing(), analysis.scan.geometry.spacing_xyz_mm)
        assert np.allclose(image.GetDirection(), analysis.scan.geometry.direction_lps, atol=1e-6)


def test_two_runs_write_the_same_bytes(analysis, tmp_path):
    write_results(analysis, tmp_path / "one", report=False)
    write_results(analysis, tmp_path / "two", report=False)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_progress_runs_to_the_end_and_never_back(analysis, tmp_path):
    seen = []
    write_results(analysis, tmp_path / "out", report=False, progress=seen.append)
    fractions = [entry.fraction for entry in seen]
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert fractions == sorted(fractions)
    assert {entry.stage for entry in seen} == {"writing"}


@pytest.mark.parametrize("asked", [1, 2, 4])
def test_cancelling_leaves_nothing_behind(analysis, tmp_path, asked):
    answers = iter([False] * (asked - 1) + [True])
    with pytest.raises(CancelledError, match=r"^Cancelled; nothing was written\.$"):
        write_results(analysis, tmp_path / "out", report=False, cancelled=lambda: next(answers))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["write_nifti", "write_segmentation", "write_record", "write_slices"])
def test_a_disk_that_runs_full_in_any_file_leaves_nothing_behind(analysis, tmp_path, monkeypatch, writer):
    def run_full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(results, writer, run_full)
    with pytest.raises(OutputError, match="need more space than the disk"):
        write_results(analysis, tmp_path / "out", report=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["4k", "12k", "24k"])
def test_a_disk_that_is_really_too_small_is_told_and_left_empty(analysis, mounted, size):
    point = mounted(f"size={size}")
    with pytest.raises(OutputError, match="need more space than the disk"):
        write_results(analysis, point / "out", report=False)
    assert list(point.iterdir()) == []


def test_a_folder_with_content_is_refused_before_anything_is_written(analysis, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=re.escape("Nothing was overwritten")):
        write_results(analysis, tmp_path, report=False)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_arrays_that_are_views_are_written_as_they_read(analysis, tmp_path):
    flipped = replace(
        analysis, lungs=analysis.lungs[::-1, :, ::-1], localization=np.asfortranarray(analysis.localization)
    )
    write_results(flipped, tmp_path / "out", report=False)
    labelmap = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "labelmap.nii.gz")))
    localization = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "localization.nii.gz")))
    layers = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "segmentation.seg.nrrd")))
    assert np.array_equal(labelmap, flipped.labelmap)
    assert np.array_equal(localization, flipped.localization)
    assert np.array_equal(layers[..., 0], flipped.lungs)


def test_the_library_offers_it_by_its_public_name():
    assert CovidCTLib.write_results is write_results
