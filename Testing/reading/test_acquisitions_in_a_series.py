"""Acquisitions, phases, studies and copies under one SeriesInstanceUID."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from dicom_maker import chest_like, codes, places, write_series
from pydicom.uid import generate_uid

from CovidCTLib.errors import InputError
from CovidCTLib.reading import read_scan


def test_two_acquisitions_of_the_same_places_are_told_apart(tmp_path):
    series = generate_uid()
    write_series(tmp_path, series=series, AcquisitionNumber=1)
    write_series(tmp_path, chest_like((9, 20, 24)) + 5, series=series, AcquisitionNumber=2, prefix="second")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert codes(scan) == ["several-acquisitions"]
    assert "the largest, of 12 slices, was read" in scan.notices[0].text


def test_acquisitions_of_other_heights_are_told_apart(tmp_path):
    # Chest and head in one series: the gap between them is larger than any that is filled.
    series = generate_uid()
    write_series(tmp_path, series=series, AcquisitionNumber=1)
    head = [(-10.0, -20.0, 400.0 + k) for k in range(10)]
    write_series(tmp_path, chest_like((10, 20, 24)), positions=head, series=series, AcquisitionNumber=2, prefix="head")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert codes(scan) == ["several-acquisitions"]
    assert "2 acquisitions (apart from each other); the largest, of 12 slices" in scan.notices[0].text


def test_a_gap_between_small_acquisitions_stays_a_gap(tmp_path):
    series = generate_uid()
    write_series(tmp_path, chest_like((9, 20, 24)), series=series, AcquisitionNumber=1)
    far = [(-10.0, -20.0, 400.0 + k) for k in range(9)]
    write_series(tmp_path, chest_like((9, 20, 24)), positions=far, series=series, AcquisitionNumber=2, prefix="far")
    with pytest.raises(InputError, match=r"At most 2 slices may be missing in a row"):
        read_scan(tmp_path)


def test_acquisitions_that_lie_between_each_other_are_not_mixed(tmp_path):
    # Two breath-holds, the second half a slice higher: together they would look like one even stack.
    series = generate_uid()
    write_series(tmp_path, series=series, AcquisitionNumber=1)
    between = [(-10.0, -20.0, -298.75 + 2.5 * k) for k in range(11)]
    write_series(tmp_path, chest_like()[:11] + 9, positions=between, series=series, AcquisitionNumber=2, prefix="s")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert "2 acquisitions (of the same region)" in scan.notices[0].text


def test_a_step_and_shoot_series_of_many_acquisitions_is_one_volume(tmp_path):
    series = generate_uid()
    hu = chest_like()
    for k, plane in enumerate(hu):
        write_series(
            tmp_path, plane[None], positions=places([2.5 * k]), series=series, AcquisitionNumber=k // 2, prefix=f"{k}_"
        )
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, hu)
    assert scan.notices == ()


def test_acquisitions_that_meet_in_a_slice_are_one_volume(tmp_path):
    series = generate_uid()
    hu = chest_like()
    write_series(tmp_path, hu[:7], positions=places(2.5 * np.arange(7)), series=series, AcquisitionNumber=1)
    upper = places(2.5 * np.arange(6, 12))
    write_series(tmp_path, hu[6:] + 1, positions=upper, series=series, AcquisitionNumber=2, prefix="upper")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, np.concatenate([hu[:7], hu[7:] + 1]))
    assert [(n.code, n.value) for n in scan.notices] == [("doubled-slices", 1)]
    assert "where two acquisitions meet" in scan.notices[0].text


def test_two_reconstructions_in_a_series_are_told_apart_by_their_kernel(tmp_path):
    series = generate_uid()
    write_series(tmp_path, series=series)
    write_series(tmp_path, chest_like((9, 20, 24)) + 5, series=series, ConvolutionKernel="B31f", prefix="soft")
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())


def test_studies_under_one_series_uid_are_told_apart(tmp_path):
    series = generate_uid()
    write_series(tmp_path, series=series)
    write_series(tmp_path, chest_like((9, 20, 24)) + 5, series=series, StudyInstanceUID="1.2.3", prefix="other")
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())


def numbered(folder, first, **keywords):
    """A series whose image numbers go on from ``first``; each slice by itself, as its number is its own."""
    for k, plane in enumerate(chest_like() + keywords.pop("more", 0)):
        write_series(
            folder,
            plane[None],
            positions=places([2.5 * k]),
            InstanceNumber=first + k,
            prefix=f"{first + k}_",
            **keywords,
        )


def test_phases_are_told_apart_where_the_position_jumps_back(tmp_path):
    series = generate_uid()
    numbered(tmp_path, 1, series=series)
    numbered(tmp_path, 13, series=series, more=50)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert "2 acquisitions (of the same places)" in scan.notices[0].text


def test_slices_at_one_place_that_nothing_tells_apart_are_refused(tmp_path):
    series = generate_uid()
    write_series(tmp_path, series=series)
    write_series(tmp_path, chest_like() + 1, series=series, prefix="second")
    with pytest.raises(InputError, match=r"12 of 24 lie where another one does, and neither their acquisition numbers"):
        read_scan(tmp_path)


def test_slices_that_were_sent_twice_under_new_names_are_read_once(tmp_path):
    series = generate_uid()
    write_series(tmp_path, series=series)
    write_series(tmp_path, series=series, prefix="second")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert [(n.code, n.severity, n.value) for n in scan.notices] == [("doubled-slices", "note", 12)]


def test_copies_of_a_file_are_read_once(tmp_path):
    write_series(tmp_path / "a")
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "im003.dcm", tmp_path / "b" / "copy.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert codes(scan) == ["copied-files"]
