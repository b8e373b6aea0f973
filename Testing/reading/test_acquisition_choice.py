"""One of several acquisitions in a series, chosen by its number."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dicom_maker import chest_like, save, slice_dataset, write_series
from pydicom.uid import generate_uid

from CovidCTLib.cli.main import main
from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan


def places(heights):
    return [(-10.0, -20.0, -300.0 + height) for height in heights]


@pytest.fixture
def two_breaths(tmp_path):
    """A folder with one series: acquisition 1 of 12 slices, and acquisition 4 of 9 other ones at the same places."""
    series = generate_uid()
    write_series(tmp_path, series=series, AcquisitionNumber=1)
    write_series(tmp_path, chest_like((9, 20, 24)) + 5, series=series, AcquisitionNumber=4, prefix="second")
    return tmp_path


def listed(folder):
    return [(one.number, one.slices) for one in list_series(folder)[0].acquisitions]


def test_acquisitions_are_listed_with_their_slices(two_breaths):
    assert listed(two_breaths) == [(1, 12), (4, 9)]


def test_the_smaller_acquisition_can_be_chosen(two_breaths):
    scan = read_scan(two_breaths, acquisition=4)
    np.testing.assert_array_equal(scan.hu, chest_like((9, 20, 24)) + 5)
    (notice,) = scan.notices
    assert (notice.code, notice.severity, notice.value) == ("chosen-acquisition", "note", 4)
    assert notice.text == "Acquisition 4 of the series, 9 of 21 images, was read, as was asked for."


def test_an_acquisition_and_a_series_are_chosen_together(two_breaths):
    write_series(two_breaths / "other", chest_like((14, 20, 24)), number=9, AcquisitionNumber=1)
    scan = read_scan(two_breaths, series="1", acquisition=4)
    assert scan.hu.shape == (9, 20, 24)


def test_the_series_that_has_the_acquisition_is_read(two_breaths):
    write_series(two_breaths / "other", chest_like((14, 20, 24)), number=9, AcquisitionNumber=1)
    assert read_scan(two_breaths).hu.shape == (14, 20, 24)
    scan = read_scan(two_breaths, acquisition=4)
    assert scan.hu.shape == (9, 20, 24)
    assert [notice.code for notice in scan.notices] == ["chosen-acquisition"]


def test_the_acquisition_of_a_single_file_of_the_series_can_be_chosen(two_breaths):
    assert read_scan(two_breaths / "im000.dcm", acquisition=4).hu.shape == (9, 20, 24)


def test_the_only_acquisition_is_no_choice_to_speak_of(tmp_path):
    write_series(tmp_path, AcquisitionNumber=3)
    assert listed(tmp_path) == []
    assert read_scan(tmp_path, acquisition=3).notices == ()


def test_an_acquisition_that_is_not_there_is_refused_with_those_that_are(two_breaths):
    with pytest.raises(InputError) as caught:
        read_scan(two_breaths, acquisition=3)
    assert str(caught.value) == (
        "An acquisition of the series was expected, but 3 was asked for and it holds 1 and 4. Choose one of these."
    )
    with pytest.raises(InputError, match=r"^Series 1 cannot be used\. An acquisition .* and it holds 1 and 4\."):
        read_scan(two_breaths, series="1", acquisition=3)


def test_an_acquisition_of_a_series_without_numbers_is_refused(tmp_path):
    write_series(tmp_path, AcquisitionNumber=None)
    with pytest.raises(InputError, match=r"but 1 was asked for and it has no acquisition numbers\. Leave the number"):
        read_scan(tmp_path, acquisition=1)


def test_one_of_many_acquisitions_is_refused_in_a_short_line(tmp_path):
    series = generate_uid()
    for k, plane in enumerate(chest_like()):
        write_series(tmp_path, plane[None], positions=places([k]), series=series, AcquisitionNumber=k, prefix=f"{k}_")
    assert len(listed(tmp_path)) == 12
    with pytest.raises(InputError, match=r"99 was asked for and it holds 12 from 0 to 11\. Choose one of these\.$"):
        read_scan(tmp_path, acquisition=99)


def test_an_acquisition_is_refused_for_a_volume_file(tmp_path):
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(chest_like()), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(InputError, match=r"An acquisition can only be chosen from a DICOM folder, but a single file"):
        read_scan(tmp_path / "ct.nii.gz", acquisition=1)


def test_an_acquisition_too_small_to_be_taken_by_itself_can_be_chosen(tmp_path):
    # Two pieces of nine slices, far apart: neither is read unless it is asked for.
    series = generate_uid()
    write_series(tmp_path, chest_like((9, 20, 24)), series=series, AcquisitionNumber=1)
    far = places(700 + np.arange(9.0))
    write_series(tmp_path, chest_like((9, 20, 24)) + 3, positions=far, series=series, AcquisitionNumber=2, prefix="far")
    with pytest.raises(InputError, match="missing in a row"):
        read_scan(tmp_path)
    np.testing.assert_array_equal(read_scan(tmp_path, acquisition=2).hu, chest_like((9, 20, 24)) + 3)


def test_one_part_of_what_fits_together_can_be_chosen(tmp_path):
    series = generate_uid()
    hu = chest_like()
    write_series(tmp_path, hu[:7], positions=places(2.5 * np.arange(7)), series=series, AcquisitionNumber=1)
    write_series(
        tmp_path, hu[7:], positions=places(2.5 * np.arange(7, 12)), series=series, AcquisitionNumber=2, prefix="u"
    )
    assert read_scan(tmp_path).hu.shape == hu.shape
    np.testing.assert_array_equal(read_scan(tmp_path, acquisition=2).hu, hu[7:])


@pytest.mark.parametrize("keyword", ["ConvolutionKernel", "StudyInstanceUID"])
def test_images_of_one_acquisition_number_that_something_else_tells_apart_are_counted(tmp_path, keyword):
    series = generate_uid()
    values = {"ConvolutionKernel": ("B31f", "B60f"), "StudyInstanceUID": ("1.2.3", "1.2.4")}[keyword]
    write_series(tmp_path, series=series, **{keyword: values[0]})
    write_series(tmp_path, chest_like((9, 20, 24)) + 5, series=series, prefix="second", **{keyword: values[1]})
    assert listed(tmp_path) == [(1, 12), (2, 9)]
    np.testing.assert_array_equal(read_scan(tmp_path, acquisition=2).hu, chest_like((9, 20, 24)) + 5)


def test_a_chosen_acquisition_can_be_taken_for_axial(two_breaths):
    scan = read_scan(two_breaths, acquisition=4, assume_axial=True)
    assert [notice.code for notice in scan.notices] == ["chosen-acquisition", "assumed-axial"]


def test_acquisitions_of_images_without_a_place_are_listed(tmp_path):
    series = generate_uid()
    for k, plane in enumerate(chest_like().astype(np.int16)):
        dataset = slice_dataset(plane, (0, 0, 0), series=series, intercept=0, AcquisitionNumber=1 + k % 2)
        del dataset.ImagePositionPatient
        save(dataset, tmp_path / f"{k}.dcm")
    assert listed(tmp_path) == [(1, 6), (2, 6)]


def test_the_command_lists_acquisitions_for_programs(two_breaths, capsys):
    assert main(["series", str(two_breaths), "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["acquisitions"] == [{"number": 1, "slices": 12}, {"number": 4, "slices": 9}]


def test_the_command_refuses_an_acquisition_that_is_not_there(two_breaths, tmp_path, capsys):
    assert main(["analyze", str(two_breaths), "-o", str(tmp_path / "out"), "--acquisition", "2", "--quiet"]) == 1
    assert "but 2 was asked for and it holds 1 and 4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
