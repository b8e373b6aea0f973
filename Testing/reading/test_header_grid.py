"""Grids that a volume file's header leaves open, or gives in another unit than mm."""

from __future__ import annotations

import struct

import pytest
import SimpleITK as sitk
from dicom_maker import chest_like, codes, write_series

from CovidCTLib.errors import InputError
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.plausibility import MAX_SPACING_MM, MIN_SPACING_MM, check_spacing

UNIT, SPACING, CODES, BITS = 123, 80, 252, 72
"""Offsets of xyzt_units, pixdim[1], the codes and the bits of a voxel in a NIfTI-1 header."""


@pytest.fixture
def image():
    made = sitk.GetImageFromArray(chest_like())
    made.SetSpacing((0.7, 0.8, 2.5))
    return made


def changed_nrrd(folder, image, drop=(), add=()):
    path = folder / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    header, voxels = path.read_bytes().split(b"\n\n", 1)
    lines = [line for line in header.decode().splitlines() if not line.startswith(tuple(drop) or ("-",))]
    path.write_bytes("\n".join([*lines, *add]).encode() + b"\n\n" + voxels)
    return path


def changed_nifti(folder, image, form, offset, *values):
    path = folder / "ct.nii"
    sitk.WriteImage(image, str(path))
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("unit", ["um", "cm", "m", "microns", "inch"])
@pytest.mark.parametrize("field", ["space units", "units"])
def test_lengths_in_another_unit_than_mm_are_refused(tmp_path, image, field, unit):
    drop = ("space",) if field == "units" else ()
    path = changed_nrrd(tmp_path, image, drop, [f'{field}: "{unit}" "{unit}" "{unit}"'])
    with pytest.raises(InputError, match=rf"^Lengths in mm were expected, but the NRRD header gives them in {unit}\. "):
        read_scan(path)


@pytest.mark.parametrize("unit", ["mm", "", "millimeter"])
def test_lengths_in_mm_and_without_a_unit_are_read(tmp_path, image, unit):
    scan = read_scan(changed_nrrd(tmp_path, image, (), [f'space units: "{unit}" "{unit}" "{unit}"']))
    assert scan.geometry.spacing_xyz_mm == pytest.approx((0.7, 0.8, 2.5))
    assert scan.facts.spacing_known
    assert scan.notices == ()


@pytest.mark.parametrize("line", [[], ["spacings: nan nan nan"]])
def test_a_nrrd_header_without_spacing_makes_it_unknown(tmp_path, image, line):
    path = changed_nrrd(tmp_path, image, ("space", "kinds"), line)
    scan = read_scan(path)
    assert codes(scan) == ["orientation-unknown", "spacing-unknown"]
    assert not scan.facts.spacing_known


def test_a_nrrd_header_with_plain_spacings_is_read(tmp_path, image):
    scan = read_scan(changed_nrrd(tmp_path, image, ("space", "kinds"), ["spacings: 0.7 0.8 2.5"]))
    assert scan.geometry.spacing_xyz_mm == pytest.approx((0.7, 0.8, 2.5))
    assert scan.facts.spacing_known
    assert codes(scan) == ["orientation-unknown"]


def test_a_meta_image_header_without_spacing_makes_it_unknown(tmp_path, image):
    path = tmp_path / "ct.mhd"
    sitk.WriteImage(image, str(path))
    lines = path.read_text().splitlines(keepends=True)
    assert read_scan(path).facts.spacing_known
    path.write_text("".join(line for line in lines if not line.startswith(("ElementSpacing", "ElementSize"))))
    scan = read_scan(path)
    assert codes(scan) == ["spacing-unknown"]
    assert not scan.facts.spacing_known


def test_a_nifti_header_without_orientation_is_said(tmp_path, image):
    scan = read_scan(changed_nifti(tmp_path, image, "<2h", CODES, 0, 0))
    assert codes(scan) == ["orientation-unknown"]
    assert scan.facts.spacing_known


@pytest.mark.parametrize("unit", [1, 3])
def test_metres_and_micrometres_that_were_meant_as_mm_are_refused(tmp_path, image, unit):
    with pytest.raises(InputError, match=r"^Voxels of 0\.05 to 50 mm were expected, but the header says .* unit\?\)"):
        read_scan(changed_nifti(tmp_path, image, "B", UNIT, unit))


def test_pixels_of_a_dicom_series_in_metres_are_refused(tmp_path):
    write_series(tmp_path, pixel_spacing=(0.0007, 0.0007))
    with pytest.raises(InputError, match=r"Voxels of 0\.05 to 50 mm were expected, but the header says 2\.5 x 0\.0007"):
        read_scan(tmp_path)


def test_the_limits_of_the_spacing_are_allowed():
    check_spacing((MIN_SPACING_MM, MAX_SPACING_MM, 1.0))
    with pytest.raises(InputError, match="50\\.1 x 1 x 1 mm"):
        check_spacing((50.1, 1.0, 1.0))


def test_studies_that_lie_one_above_the_other_are_not_one_volume(tmp_path):
    # Two patients whose series an anonymizer gave one UID: together they would look like one even stack.
    write_series(tmp_path / "a", series="1.2.9", StudyInstanceUID="1.2")
    above = [(-10.0, -20.0, -270 + 2.5 * k) for k in range(12)]
    write_series(tmp_path / "b", chest_like() + 5, series="1.2.9", StudyInstanceUID="1.3", positions=above)
    scan = read_scan(tmp_path)
    assert scan.hu.shape == (12, 20, 24)
    assert "2 acquisitions (of several studies, perhaps of several patients)" in scan.notices[0].text
    assert (read_scan(tmp_path, acquisition=2).hu == chest_like() + 5).all()


def test_images_each_with_a_study_of_its_own_are_one_volume(tmp_path):
    for k, plane in enumerate(chest_like()):
        position = [(-10.0, -20.0, 2.5 * k)]
        write_series(tmp_path / str(k), plane[None], series="1.2.9", StudyInstanceUID=f"1.{k + 1}", positions=position)
    scan = read_scan(tmp_path)
    assert scan.hu.shape == (12, 20, 24)
    assert scan.notices == ()


@pytest.mark.parametrize("left", [3, 238, 347])
def test_a_nifti_header_that_is_cut_off_is_damage(tmp_path, image, left):
    # At 238 bytes the file ends behind the size of a voxel, here below 0, and before the codes of the orientation.
    path = tmp_path / "ct.nii"
    sitk.WriteImage(image, str(path))
    header = bytearray(path.read_bytes())
    struct.pack_into("<h", header, BITS, -32768)
    path.write_bytes(header[:left])
    with pytest.raises(InputError, match="its header or its compressed data are damaged or cut off"):
        read_scan(path)
