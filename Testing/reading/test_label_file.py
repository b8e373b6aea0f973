"""Painted masks, and what a header says of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from CovidCTLib.errors import InputError
from CovidCTLib.reading.label_file import read_labels
from CovidCTLib.reading.photo_origin import PhotoOrigin, origin_from_description


@pytest.fixture
def labels():
    """A mask with a label in one corner."""
    array = np.zeros((4, 16, 20), np.uint16)
    array[0, 0, 0], array[3, 15, 19] = 1, 300
    return array


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "RAI", "SPL"])
@pytest.mark.parametrize("ending", ["nii.gz", "nrrd"])
def test_labels_come_in_the_canonical_orientation(labels, tmp_path, orientation, ending):
    image = sitk.DICOMOrient(sitk.GetImageFromArray(labels), orientation)
    sitk.WriteImage(image, str(tmp_path / f"a.{ending}"))
    assert np.array_equal(read_labels(tmp_path / f"a.{ending}"), labels)


def test_whole_numbers_in_floats_are_labels(labels, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(labels.astype(np.float32)), str(tmp_path / "a.nrrd"))
    assert np.array_equal(read_labels(tmp_path / "a.nrrd"), labels)


@pytest.mark.parametrize("value", [0.5, -1, 70000])
def test_an_image_is_no_mask(labels, tmp_path, value):
    array = labels.astype(np.float32)
    array[1, 1, 1] = value
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="A mask of whole-number labels was expected, but its values run from"):
        read_labels(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("name", "found"), [("no.nii.gz", "there is none"), ("a.txt", "its name ends in none of these")]
)
def test_what_is_no_volume_file_is_refused(tmp_path, name, found):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=f"A mask in a file of type .* was expected, but {found}"):
        read_labels(tmp_path / name)


def test_an_oblique_mask_is_refused(labels, tmp_path):
    image = sitk.GetImageFromArray(labels)
    c, s = np.cos(0.5), np.sin(0.5)
    image.SetDirection((1, 0, 0, 0, c, -s, 0, s, c))
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="along the patient's axes was expected, but this one is turned by 29 degrees"):
        read_labels(tmp_path / "a.nrrd")


def test_four_dimensions_are_refused(tmp_path):
    sitk.WriteImage(sitk.Image([4, 4, 4, 1], sitk.sitkUInt8), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="A 3D mask was expected, but this one has 4 dimensions"):
        read_labels(tmp_path / "a.nrrd")


def test_damaged_data_are_refused(labels, tmp_path):
    path = tmp_path / "a.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="A readable mask was expected, but this file is damaged"):
        read_labels(path)


@pytest.mark.parametrize("known", [True, False])
def test_the_origin_survives_the_header(known):
    origin = PhotoOrigin(known, 34, 3)
    assert len(origin.description) < 80
    assert origin_from_description(origin.description) == origin
    assert origin_from_description(origin.description + " ") == origin
    assert len(origin.notices) == (1 if known else 2)
    assert "The references of 3 of its 34 slices are doubtful." in origin.notices[0].text


@pytest.mark.parametrize(
    "text", ["", "CovidCT scan in HU", "CovidCT photos", "x CovidCT photos; spacing known; 1 slices"]
)
def test_other_descriptions_say_nothing_of_pictures(text):
    assert origin_from_description(text) is None
