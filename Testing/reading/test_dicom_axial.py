"""Slices whose place in space was lost, taken for axial ones on request."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_maker import chest_like, write_series
from pydicom.uid import generate_uid

from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan

IDENTITY = (1, 0, 0, 0, 1, 0, 0, 0, 1)


def write_bare(folder, *, numbers=None, **keywords):
    """A series, slice by slice from the feet up, whose elements of ``keywords`` are lost or wrong."""
    series = generate_uid()
    for k, plane in enumerate(chest_like()):
        more = {name: value(k) if callable(value) else value for name, value in keywords.items()}
        if numbers is not None:
            more["InstanceNumber"] = numbers(k)
        place = [(-10.0, -20.0, -300.0 + 2.5 * k)]
        write_series(folder, plane[None], positions=place, series=series, prefix=f"{k:02d}_", **more)


@pytest.mark.parametrize("orientation", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0), (1, 0, 0, 0, 0, -1)])
def test_a_wrong_orientation_is_overruled_and_it_is_said(tmp_path, orientation):
    write_bare(tmp_path, orientation=orientation)
    with pytest.raises(InputError):
        read_scan(tmp_path)
    scan = read_scan(tmp_path, assume_axial=True)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.geometry.direction_lps == IDENTITY
    assert scan.geometry.origin_lps_mm == (-10, -20, -300)
    (notice,) = scan.notices
    assert (notice.code, notice.severity) == ("assumed-axial", "warn")
    assert "heights from positions" in notice.text
    (entry,) = list_series(tmp_path, assume_axial=True)
    assert (entry.orientation, entry.usable) == ("axial", True)


def test_without_positions_the_slice_locations_give_the_heights(tmp_path):
    write_bare(tmp_path, ImagePositionPatient=None, SliceLocation=lambda k: 3.0 * k)
    scan = read_scan(tmp_path, assume_axial=True)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.geometry.spacing_xyz_mm == (0.7, 0.8, 3.0)
    assert "heights from slice locations" in scan.notices[0].text


@pytest.mark.parametrize(("distance", "expected"), [(1.25, 1.25), (None, 99.0)])
def test_without_heights_the_image_numbers_count_down_from_the_head(tmp_path, distance, expected):
    more = {} if distance is None else {"SpacingBetweenSlices": distance}
    write_bare(tmp_path, ImagePositionPatient=[0, 0, 0], numbers=lambda k: 12 - k, SliceThickness=9, **more)
    scan = read_scan(tmp_path, assume_axial=True)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.geometry.spacing_xyz_mm[2] == min(expected, 9)
    assert "heights from image numbers" in scan.notices[0].text


@pytest.mark.parametrize(
    "keywords",
    [
        {"numbers": lambda k: 3, "SpacingBetweenSlices": 1},
        {"numbers": lambda k: k, "SpacingBetweenSlices": 0},
        {"numbers": lambda k: k, "SliceThickness": None},
        {"numbers": lambda k: k, "SpacingBetweenSlices": lambda k: 1 + k},
    ],
)
def test_slices_that_nothing_orders_are_refused(tmp_path, keywords):
    write_bare(tmp_path, ImagePositionPatient=None, **keywords)
    with pytest.raises(InputError, match=r"Slices with heights were expected .* but 12 slices have none"):
        read_scan(tmp_path, assume_axial=True)


def test_missing_slices_are_found_among_assumed_ones_too(tmp_path):
    write_bare(tmp_path, orientation=(0, 0, 0, 0, 0, 0))
    next(tmp_path.glob("05_*")).unlink()
    codes = [notice.code for notice in read_scan(tmp_path, assume_axial=True).notices]
    assert codes == ["assumed-axial", "missing-slices"]


def test_a_volume_file_is_taken_for_axial_on_request(tmp_path):
    image = sitk.GetImageFromArray(chest_like())
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))
    sitk.WriteImage(image, str(tmp_path / "ct.mha"))
    scan = read_scan(tmp_path / "ct.mha", assume_axial=True)
    assert scan.geometry.direction_lps == IDENTITY
    assert scan.geometry.spacing_xyz_mm == (0.7, 0.8, 2.5)
    assert [notice.code for notice in scan.notices] == ["assumed-axial"]
    assert read_scan(tmp_path / "ct.mha").notices == ()
