"""Which files of a folder are read: links, pipes, odd names, DICOMDIR."""

from __future__ import annotations

import os

import numpy as np
import pytest
from dicom_maker import chest_like, edit, write_directory, write_series

from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan
from CovidCTLib.reading.dicom_files import count_links_out, find_dicom_files, read_directory


@pytest.fixture
def elsewhere(tmp_path):
    """A whole series outside the folder that is read."""
    write_series(tmp_path / "elsewhere", chest_like((14, 20, 24)))
    return tmp_path / "elsewhere"


@pytest.fixture
def folder(tmp_path):
    """The folder that is read, empty."""
    place = tmp_path / "folder"
    place.mkdir()
    return place


def link(target, place):
    try:
        place.symlink_to(target)
    except OSError:
        pytest.skip("this system makes no links")


@pytest.mark.parametrize("call", [read_scan, list_series])
def test_links_that_lead_out_of_the_folder_are_not_followed_and_it_is_said(folder, elsewhere, call):
    for path in elsewhere.iterdir():
        link(path, folder / path.name)
    link(elsewhere, folder / "deeper")
    assert list(find_dicom_files(folder)) == []
    assert count_links_out(folder) == 15
    with pytest.raises(InputError, match=r"holds none, and 15 links that lead out of it are not followed"):
        call(folder)


def test_links_out_beside_a_series_add_nothing_to_it(folder, elsewhere):
    write_series(folder)
    link(elsewhere / "im013.dcm", folder / "more.dcm")
    scan = read_scan(folder)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.notices == ()


def test_links_within_the_folder_are_copies(folder):
    write_series(folder / "a")
    link(folder / "a" / "im003.dcm", folder / "again.dcm")
    assert [notice.code for notice in read_scan(folder).notices] == ["copied-files"]


def test_links_to_themselves_and_to_nothing_are_passed_over(folder):
    write_series(folder)
    link(folder / "loop.dcm", folder / "loop.dcm")
    link(folder / "nothing", folder / "nowhere.dcm")
    np.testing.assert_array_equal(read_scan(folder).hu, chest_like())


def test_a_link_that_is_given_itself_is_followed(folder, elsewhere):
    link(elsewhere, folder / "study")
    assert read_scan(folder / "study").hu.shape[0] == 14
    link(elsewhere / "im003.dcm", folder / "slice.dcm")
    assert read_scan(folder / "slice.dcm").hu.shape[0] == 14


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["ct.dcm", "ct.nii.gz", "study.zip"])
def test_a_pipe_is_refused_and_never_opened(folder, name):
    os.mkfifo(folder / name)
    for call in (read_scan, list_series):
        with pytest.raises(InputError, match=r"this is a pipe or device. Save the CT to a file first"):
            call(folder / name)
    write_series(folder)
    np.testing.assert_array_equal(read_scan(folder).hu, chest_like())


@pytest.mark.skipif(os.name != "posix", reason="other systems allow no such names")
def test_names_with_newlines_and_escapes_are_read_and_stay_out_of_messages(folder):
    odd = folder / "new\nline \x1b[31m"
    write_series(odd)
    for path in list(odd.iterdir()):
        path.rename(odd / f"a\n{path.name}\r")
    np.testing.assert_array_equal(read_scan(odd).hu, chest_like())
    with pytest.raises(InputError) as caught:
        read_scan(odd / "not\nthere")
    assert str(caught.value).isprintable()


def test_a_kernel_that_is_no_known_one_is_not_shown_as_it_may_hold_a_name(folder):
    write_series(folder)
    for path in folder.iterdir():
        edit(path, ConvolutionKernel="B\x1b[31m60\nf" + "x" * 100)
    (entry,) = list_series(folder)
    assert entry.kernel == "other"


def test_a_dicomdir_stands_for_its_folder(folder):
    write_series(folder / "deep" / "deeper")
    directory = write_directory(folder)
    for path in (directory, folder):
        scan = read_scan(path)
        np.testing.assert_array_equal(scan.hu, chest_like())
        assert scan.notices == ()
        assert list_series(path)[0].slices == 12


def test_images_that_a_dicomdir_lists_and_that_are_not_there_are_said(folder):
    write_series(folder)
    directory = write_directory(folder)
    # The outermost slice: no gap would show that it is missing.
    heights = {path: read_position(path) for path in folder.glob("*.dcm")}
    max(heights, key=heights.get).unlink()
    (notice,) = read_scan(directory).notices
    assert (notice.code, notice.severity, notice.value) == ("listed-files-absent", "warn", 1)
    assert "lists 12 images of the series, but 1 of them are not there" in notice.text


def read_position(path):
    import pydicom

    return float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])


def test_a_dicomdir_of_other_images_is_no_matter(folder, tmp_path):
    series = write_series(tmp_path / "other", series="1.2.3")
    write_directory(tmp_path / "other").rename(folder / "DICOMDIR")
    write_series(folder, series=series)
    assert read_scan(folder).notices == ()


def test_a_damaged_or_huge_dicomdir_is_passed_over(folder, monkeypatch):
    write_series(folder)
    directory = write_directory(folder)
    assert {len(listed) for listed in read_directory(directory).values()} == {12}
    monkeypatch.setattr("CovidCTLib.reading.dicom_files.MAX_DIRECTORY_BYTES", 100)
    assert read_directory(directory) == {}
    directory.write_bytes(directory.read_bytes()[:700] + b"\xff" * 50)
    monkeypatch.undo()
    np.testing.assert_array_equal(read_scan(directory).hu, chest_like())


def test_a_dicomdir_without_its_files_is_refused(folder):
    write_series(folder)
    directory = write_directory(folder)
    for path in folder.glob("*.dcm"):
        path.unlink()
    with pytest.raises(InputError, match=r"the archive or medium holds none"):
        read_scan(directory)
