"""Headers whose statements about the grid contradict one another, or are what libraries write by default."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_maker import chest_like, write_series

from CovidCTLib import Options, analyze
from CovidCTLib.checks import check_scan
from CovidCTLib.checks.body import check_body
from CovidCTLib.errors import InputError, OptionsError, QualityError
from CovidCTLib.framing import find_body
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.fill import without_fill
from CovidCTLib.scan import Scan

PIXDIM, CODES, SROW_X, SROW_Z = 76, 252, 280, 312


@pytest.fixture
def image():
    made = sitk.GetImageFromArray(chest_like())
    made.SetSpacing((0.7, 0.8, 2.5))
    made.SetOrigin((-10.0, -20.0, 30.0))
    return made


def nifti(folder, image, *edits):
    path = folder / "ct.nii"
    sitk.WriteImage(image, str(path))
    content = bytearray(path.read_bytes())
    for offset, form, values in edits:
        struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def phantom():
    """A chest; those who change its HU copy them first."""
    return make_chest_phantom((40, 128, 128), (7.0, 2.9, 2.9))


def codes(scan):
    return [(notice.code, notice.severity) for notice in scan.notices]


def test_a_whole_header_is_read_without_a_word_and_recorded(tmp_path, image):
    scan = read_scan(nifti(tmp_path, image))
    assert scan.notices == ()
    assert scan.facts.grid_from == "sform"
    assert scan.geometry.spacing_xyz_mm == pytest.approx((0.7, 0.8, 2.5))
    assert scan.geometry.origin_lps_mm == pytest.approx((-10, -20, 30))
    np.testing.assert_allclose(scan.geometry.direction_matrix, np.eye(3), atol=1e-6)


def test_pixdim_against_the_sform_is_said_and_the_sform_taken(tmp_path, image):
    path = nifti(tmp_path, image, (PIXDIM + 4, "<3f", (1, 1, 1)))
    scan = read_scan(path)
    assert codes(scan) == [("spacing-contradicts", "warn")]
    assert "0.7 x 0.8 x 2.5 mm by its sform, 1 x 1 x 1 mm by its pixdim" in scan.notices[0].text
    assert scan.geometry.spacing_xyz_mm == pytest.approx((0.7, 0.8, 2.5))
    assert read_scan(path, geometry="qform").geometry.spacing_xyz_mm == pytest.approx((1, 1, 1))


def test_sides_that_differ_are_said_and_can_be_chosen(tmp_path, image):
    path = nifti(tmp_path, image, (SROW_X, "<4f", (0.7, 0, 0, -10)))
    scan = read_scan(path)
    assert codes(scan) == [("sides-contradict", "warn")]
    assert scan.geometry.direction_lps[0] == pytest.approx(-1)
    other = read_scan(path, geometry="qform")
    assert other.facts.grid_from == "qform"
    assert other.geometry.direction_lps[0] == pytest.approx(1)


def test_another_origin_costs_a_note(tmp_path, image):
    scan = read_scan(nifti(tmp_path, image, (SROW_Z, "<4f", (0, 0, 2.5, 99))))
    assert codes(scan) == [("grids-differ", "note")]


def test_negative_sizes_count_as_positive_ones_and_are_said(tmp_path, image):
    scan = read_scan(nifti(tmp_path, image, (PIXDIM + 4, "<3f", (-0.7, 0.8, 2.5))))
    assert codes(scan) == [("negative-spacing", "warn")]
    assert scan.geometry.spacing_xyz_mm == pytest.approx((0.7, 0.8, 2.5))


def test_a_template_is_not_taken_for_the_patient(tmp_path, image):
    scan = read_scan(nifti(tmp_path, image, (CODES, "<2h", (1, 4))))
    assert scan.facts.grid_from == "qform"


def test_a_geometry_that_is_not_there_is_refused(tmp_path, image):
    path = nifti(tmp_path, image, (CODES, "<2h", (0, 1)))
    with pytest.raises(InputError, match=r"a usable qform was expected, .* its qform_code is 0"):
        read_scan(path, geometry="qform")
    with pytest.raises(OptionsError, match=r"must be one of sform, qform, not 'best'"):
        read_scan(path, geometry="best")
    other = tmp_path / "ct.mha"
    sitk.WriteImage(image, str(other))
    with pytest.raises(InputError, match=r"but this is a MetaImage file, which has one"):
        read_scan(other, geometry="sform")
    write_series(tmp_path / "dicom")
    with pytest.raises(InputError, match=r"between the two grids of a NIfTI file"):
        read_scan(tmp_path / "dicom", geometry="sform")


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd", "ct.mha"])
def test_the_default_grid_of_a_library_is_no_fact(tmp_path, name):
    path = tmp_path / name
    sitk.WriteImage(sitk.GetImageFromArray(chest_like()), str(path))
    scan = read_scan(path)
    assert codes(scan) == [("spacing-assumed", "warn")]
    assert not scan.facts.spacing_known
    given = read_scan(path, spacing_zyx_mm=(2.5, 0.8, 0.7))
    assert codes(given) == [("given-spacing", "note")]
    assert given.facts.spacing_known
    assert given.facts.grid_from == "given"
    assert given.geometry.spacing_zyx_mm == (2.5, 0.8, 0.7)


@pytest.mark.parametrize("spacing", [(0, 1, 1), (1, 1, 60), (1, 1, float("nan"))])
def test_a_spacing_that_no_ct_has_is_refused(tmp_path, image, spacing):
    with pytest.raises(OptionsError, match=r"must be three numbers from 0.05 to 50 mm"):
        read_scan(nifti(tmp_path, image), spacing_zyx_mm=spacing)


def test_two_spacings_of_a_nrrd_header_are_said(tmp_path, image):
    path = tmp_path / "ct.nrrd"
    sitk.WriteImage(image, str(path), useCompression=False)
    header, voxels = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(header + b"\nspacings: 1 1 1\n\n" + voxels)
    scan = read_scan(path)
    assert codes(scan) == [("spacing-contradicts", "warn")]
    assert scan.geometry.spacing_xyz_mm == pytest.approx((0.7, 0.8, 2.5))
    np.testing.assert_array_equal(scan.hu, chest_like())


def test_sides_of_a_meta_image_that_differ_are_said(tmp_path, image):
    path = tmp_path / "ct.mha"
    sitk.WriteImage(image, str(path), useCompression=False)
    content = path.read_bytes()
    assert b"AnatomicalOrientation = RAI" in content
    path.write_bytes(content.replace(b"AnatomicalOrientation = RAI", b"AnatomicalOrientation = LAI"))
    assert codes(read_scan(path)) == [("sides-contradict", "warn")]


@pytest.mark.parametrize("fill", [0, -500, 1000])
@pytest.mark.parametrize("corner", [(slice(None), slice(40)), (slice(30), slice(None))])
def test_a_fill_that_is_no_air_becomes_air_and_is_said(phantom, fill, corner):
    hu = np.array(phantom.scan.hu)
    body = hu > -300
    hu[:, : corner[0].stop or 1, : corner[1].stop or 1][~body[:, : corner[0].stop or 1, : corner[1].stop or 1]] = fill
    hu[:, -8:][~body[:, -8:]] = fill
    found = without_fill(Scan.from_array(hu, phantom.scan.geometry))
    assert [notice.code for notice in found.notices] == ["fill-not-air"]
    assert (found.hu[hu == fill] == -1024).mean() > 0.99
    np.testing.assert_array_equal(found.hu[body], phantom.scan.hu[body])


def test_a_lowest_value_that_is_no_air_is_called_cut_off_and_no_fill():
    phantom = make_chest_phantom((40, 128, 128), (7.0, 2.9, 2.9))
    cut = Scan.from_array(np.maximum(phantom.scan.hu, -600), phantom.scan.geometry)
    (notice,) = without_fill(cut).notices
    assert notice.code == "fill-not-air"
    assert "no voxel has less, so what lies lower was cut off" in notice.text
    assert "turn or register" not in notice.text


def test_a_phantom_has_no_fill():
    scan = make_chest_phantom((40, 128, 128), (7.0, 2.9, 2.9), noise_hu=0).scan
    assert without_fill(scan) is scan


@pytest.mark.parametrize(
    ("spacing", "message"),
    [((7.0, 2.9, 20.0), r"900 mm wide was expected.*true spacing"), ((7.0, 0.5, 2.9), r"650 mm deep was expected")],
)
def test_a_body_that_nobody_has_is_refused(phantom, spacing, message):
    geometry = Geometry((40, 128, 128), spacing[::-1], (1.0, 2.0, 3.0))
    with pytest.raises(QualityError, match=message) as caught:
        analyze(phantom.scan.hu, Options(lungs="contour", device="cpu"), geometry=geometry)
    assert caught.value.notice.code == "impossible-body"


def test_slices_that_are_not_axial_are_refused_with_the_way_out(phantom):
    sagittal = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    with pytest.raises(QualityError, match="taken for axial") as caught:
        looked_at(phantom.scan.hu, Geometry((40, 128, 128), (2.9, 2.9, 7.0), direction_lps=sagittal))
    assert caught.value.notice.code == "not-axial"
    assert "--assume-axial" in caught.value.hint
    turned = np.ascontiguousarray(phantom.scan.hu.transpose(2, 1, 0))
    with pytest.raises(QualityError, match=r"along axis 1 of the file .* axes z, y, x"):
        looked_at(turned, Geometry((128, 128, 40), (7.0, 2.9, 2.9)))
    assert looked_at(phantom.scan.hu, phantom.scan.geometry) == ()


def looked_at(hu, geometry):
    """Look at the body of a volume."""
    grid = CanonicalGrid(geometry)
    return check_body(grid, find_body(grid.take(hu, -1024), grid.geometry.spacing_zyx_mm), True)


def test_pixels_that_are_not_square_and_odd_sizes_are_warned_of(phantom):
    found = looked_at(phantom.scan.hu, Geometry((40, 128, 128), (6.0, 2.9, 7.0)))
    assert [notice.code for notice in found] == ["body-size-doubtful", "body-shape-doubtful", "pixels-not-square"]
    small = looked_at(phantom.scan.hu, Geometry((40, 128, 128), (1.2, 1.2, 3.0)))
    assert {notice.code for notice in small} == {"body-size-doubtful"}
    assert "a small child" in small[0].text


@pytest.mark.parametrize(("rows", "columns", "told"), [((2, 5), (60, 70), False), ((60, 68), (62, 70), True)])
def test_only_metal_inside_the_body_is_warned_of(phantom, rows, columns, told):
    hu = np.array(phantom.scan.hu)
    hu[18:24, slice(*rows), slice(*columns)] = 3071
    notices = check_scan(hu, CanonicalGrid(phantom.scan.geometry))
    assert any(notice.code == "metal" for notice in notices) is told
