"""What can be a scan, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.scan import Scan, ScanFacts


@pytest.fixture
def hu():
    """A ramp of HU, 4 x 16 x 17 voxels."""
    return np.linspace(-1000, 1000, 4 * 16 * 17).reshape(4, 16, 17).astype(np.int16)


def test_int16_hu_are_taken_without_a_copy(hu):
    scan = Scan.from_array(hu)
    assert scan.hu is hu
    assert scan.geometry == Geometry((4, 16, 17))
    assert scan.facts == ScanFacts(source_format="array", slice_count=4)
    assert scan.notices == ()


def test_geometry_facts_and_notices_travel_along(hu):
    grid = Geometry((4, 16, 17), (0.5, 0.6, 2.0))
    facts, notices = ScanFacts(kernel="B60f"), (Notice("code", "text"),)
    scan = Scan.from_array(hu, grid, facts, notices)
    assert (scan.geometry, scan.facts, scan.notices) == (grid, facts, notices)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_other_numbers_are_limited_and_rounded_and_the_input_stays(hu, dtype):
    values = hu.astype(dtype)
    values[0, 0, :3] = -3024, 70000, 10.6 if values.dtype.kind == "f" else 11
    before = values.copy()
    scan = Scan.from_array(values)
    assert scan.hu.dtype == np.int16
    assert scan.hu[0, 0, :3].tolist() == [-1024, 32767, 11]
    np.testing.assert_array_equal(values, before)


def test_padding_of_int16_becomes_air_and_the_input_stays(hu):
    hu[1, 2, 3] = -2000
    scan = Scan.from_array(hu)
    assert scan.hu[1, 2, 3] == -1024
    assert hu[1, 2, 3] == -2000


@pytest.mark.parametrize("shape", [(16, 17), (2, 4, 16, 17)])
def test_arrays_that_are_not_three_dimensional_are_refused(shape):
    with pytest.raises(InputError, match=f"three dimensions was expected, but this has {len(shape)}"):
        Scan.from_array(np.zeros(shape, np.int16))


@pytest.mark.parametrize("dtype", [bool, np.complex64, "U3", object])
def test_voxels_that_are_no_real_numbers_are_refused(dtype):
    with pytest.raises(InputError, match="HU must be real numbers, but the voxels are"):
        Scan.from_array(np.zeros((4, 16, 17), dtype))


@pytest.mark.parametrize("shape", [(1, 16, 17), (4, 15, 15), (16, 1, 16), (4, 4, 16)])
def test_volumes_that_are_too_small_are_refused(shape):
    found = " x ".join(str(size) for size in shape[::-1])
    with pytest.raises(InputError, match=f"at least 2 slices of 16 x 16 voxels, but this is {found}"):
        Scan.from_array(np.arange(np.prod(shape)).reshape(shape))


def test_the_slices_may_lie_along_any_axis():
    values = np.arange(16 * 2 * 16).reshape(16, 2, 16)
    assert Scan.from_array(values).hu.shape == (16, 2, 16)


def test_a_grid_of_another_shape_is_refused(hu):
    with pytest.raises(InputError, match=r"shape \(4, 16, 17\), but its grid says \(17, 16, 4\)"):
        Scan.from_array(hu, Geometry((17, 16, 4)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_refused(hu, value):
    values = hu.astype(np.float32)
    values[1, 2, 3:5] = value
    with pytest.raises(InputError, match="must be finite HU, but 2 are NaN or infinite"):
        Scan.from_array(values)


def test_a_constant_volume_is_refused():
    with pytest.raises(InputError, match=r"All voxels have the same value \(-1000\)"):
        Scan.from_array(np.full((4, 16, 17), -1000))


def test_an_image_brings_its_grid(hu):
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((0.5, 0.6, 2.0))
    image.SetOrigin((1, 2, 3))
    scan = Scan.from_image(image, ScanFacts(source_format="NIfTI"))
    np.testing.assert_array_equal(scan.hu, hu)
    assert scan.geometry == Geometry((4, 16, 17), (0.5, 0.6, 2.0), (1, 2, 3))
    assert scan.facts.source_format == "NIfTI"


def test_a_colour_image_is_refused():
    with pytest.raises(InputError, match=r"one value a voxel, but this image has 3 \(colour\?\)"):
        Scan.from_image(sitk.Image((17, 16, 4), sitk.sitkVectorUInt8, 3))


@pytest.mark.parametrize("size", [(17, 16), (17, 16, 4, 2)])
def test_images_that_are_not_3d_are_refused(size):
    found = " x ".join(str(s) for s in size)
    with pytest.raises(InputError, match=rf"this image has {len(size)} dimensions \({found}\)"):
        Scan.from_image(sitk.Image(size, sitk.sitkInt16))
