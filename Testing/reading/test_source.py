"""Paths that hold no scan."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_maker import chest_like, write_series

import CovidCTLib
from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan

CALLS = [read_scan, list_series]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["nowhere", "nul\0byte"])
def test_a_path_that_is_not_there_is_refused(tmp_path, call, name):
    with pytest.raises(InputError, match=r"A file or folder was expected at .* but there is none"):
        call(tmp_path / name)


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_folder_is_refused(tmp_path, call):
    with pytest.raises(InputError, match=r"but the folder is empty"):
        call(tmp_path)


@pytest.mark.parametrize("call", CALLS)
def test_a_folder_without_dicom_is_refused(tmp_path, call):
    (tmp_path / "notes.txt").write_text("no CT here")
    with pytest.raises(InputError, match=r"DICOM images of a CT was expected, but this one holds none"):
        call(tmp_path)


@pytest.mark.parametrize("call", CALLS)
def test_a_folder_of_volume_files_is_refused_with_a_hint(tmp_path, call):
    sitk.WriteImage(sitk.GetImageFromArray(chest_like()), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(InputError, match=r"it holds 1 volume files .* Give one of these files itself"):
        call(tmp_path)


def test_a_file_of_an_unknown_type_is_refused(tmp_path):
    (tmp_path / "ct.tif").write_bytes(b"II*\0" + b"\1" * 300)
    with pytest.raises(InputError, match=r"one of .nii, .nii.gz, .* but the file is of another type"):
        read_scan(tmp_path / "ct.tif")


def test_a_series_of_a_single_volume_file_is_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(chest_like()), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(InputError, match=r"can only be chosen from a DICOM folder"):
        read_scan(tmp_path / "ct.nii.gz", series="1")


def test_the_series_of_a_file_cannot_be_listed(tmp_path):
    (tmp_path / "ct.dcm").write_bytes(b"")
    with pytest.raises(InputError, match=r"A folder with DICOM files was expected, but a single file was given"):
        list_series(tmp_path / "ct.dcm")


def test_the_series_of_a_volume_file_cannot_be_listed_and_its_folder_is_not_proposed(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(chest_like()), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(InputError, match=r"it holds one CT and no series\. Analyze the file itself\.$"):
        list_series(tmp_path / "ct.nii.gz")


def test_paths_may_be_text(tmp_path):
    write_series(tmp_path)
    np.testing.assert_array_equal(read_scan(str(tmp_path)).hu, chest_like())
    assert list_series(str(tmp_path))[0].slices == 12


def test_the_package_offers_read_scan():
    assert CovidCTLib.read_scan is read_scan
